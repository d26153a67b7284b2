"""Files become rows: every line is a row or a rejected row, and numbers never move."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import hashlib
import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from penstock.importing import BadRow, CsvOptions, Row, Source, SourceError
from penstock.importing._csv import read_csv
from penstock.importing._jsonl import read_jsonl
from penstock.importing._lines import Lines

if TYPE_CHECKING:
    from pathlib import Path


def csv_rows(content: bytes, **options: Any) -> list[Row | BadRow]:
    return list(read_csv(Lines(io.BytesIO(content)), **options))


def jsonl_rows(content: bytes) -> list[Row | BadRow]:
    return list(read_jsonl(Lines(io.BytesIO(content))))


def source(directory: Path, name: str, content: bytes, **options: Any) -> Source:
    path = directory / name
    path.write_bytes(content)
    return Source(path, **options)


# -- CSV -----------------------------------------------------------------------------------


def test_a_csv_row_has_its_number_its_line_and_its_text() -> None:
    """Blank lines are no rows, but they are lines."""
    assert csv_rows(b"a,b\n1,2\n\n3,4\n") == [
        Row(1, 2, {"a": "1", "b": "2"}, b"1,2\n"),
        Row(2, 4, {"a": "3", "b": "4"}, b"3,4\n"),
    ]


def test_a_quoted_field_may_span_lines() -> None:
    """The row is one, and the next one's line is right."""
    rows = csv_rows(b'a,b\n"x\ny",1\nz,2\n')
    assert [(row.number, row.line) for row in rows] == [(1, 2), (2, 4)]
    assert rows[0] == Row(1, 2, {"a": "x\ny", "b": "1"}, b'"x\ny",1\n')


def test_an_empty_cell_is_absent_and_a_zero_is_not() -> None:
    """No value is no property; nought is a value."""
    assert csv_rows(b"a,b,c\n,0,0.00\n")[0] == Row(1, 2, {"b": "0", "c": "0.00"}, b",0,0.00\n")


def test_texts_that_mean_no_value_can_be_named() -> None:
    r"""``\N`` of MySQL, NULL of others."""
    (row,) = csv_rows(b"a,b,c\nNULL,\\N,x\n", nulls=frozenset({"", "NULL", r"\N"}))
    assert isinstance(row, Row)
    assert row.values == {"c": "x"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1\n", "2 columns expected, 1 found"),
        (b"1,2,3\n", "2 columns expected, 3 found"),
        (b'"x"y,2\n', "',' expected after '\"'"),
        (b"\xff,2\n", "line 3 is not utf-8"),
    ],
)
def test_a_bad_csv_row_is_told_and_the_next_is_read(line: bytes, reason: str) -> None:
    """One bad row costs one row, and the rows after it keep their numbers."""
    rows = csv_rows(b"a,b\n0,0\n" + line + b"9,9\n")
    assert rows[1] == BadRow(2, 3, reason, line)
    assert rows[2] == Row(3, 4, {"a": "9", "b": "9"}, b"9,9\n")


def test_a_quote_left_open_is_one_bad_row_to_the_end() -> None:
    """Rows swallowed by a stray quote are rejected with their text, never taken for one field."""
    rows = csv_rows(b'a,b\n1,2\n"oops,3\n4,5\n')
    assert [type(row) for row in rows] == [Row, BadRow]
    assert rows[1].raw == b'"oops,3\n4,5\n'


def test_a_byte_order_mark_is_no_part_of_the_first_column() -> None:
    """Spreadsheets write one."""
    (row,) = csv_rows(b"\xef\xbb\xbfa\n1\n")
    assert row == Row(1, 2, {"a": "1"}, b"1\n")


@pytest.mark.parametrize("content", [b"", b"\n", b"a,a\n1,2\n"])
def test_a_csv_file_without_a_usable_header_is_refused(content: bytes) -> None:
    """No header, or two columns of one name, would put values in the wrong place."""
    with pytest.raises(SourceError):
        csv_rows(content)


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


@given(st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=20))
def test_what_a_csv_writer_wrote_is_read_back(table: list[list[str]]) -> None:
    """Every cell arrives as it was, empty ones as absent."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["a", "b", "c"], *table])
    rows = csv_rows(text.getvalue().encode())
    wanted = [{k: v for k, v in zip("abc", cells, strict=True) if v} for cells in table]
    assert [row.values for row in rows if isinstance(row, Row)] == wanted


@given(st.binary(max_size=300))
def test_any_bytes_are_rows_bad_rows_or_no_csv(content: bytes) -> None:
    """Nothing else is raised, numbers count up, and no byte of a row's lines is lost."""
    try:
        rows = csv_rows(b"a,b\n" + content)
    except SourceError:
        return
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    left = b"".join(line for line in content.splitlines(keepends=True))
    for row in rows:
        assert row.raw is not None
        assert row.raw in left


# -- JSON lines ----------------------------------------------------------------------------


def test_json_lines_keep_types_and_nesting() -> None:
    """Numbers are numbers, null is null, objects are objects."""
    (row,) = jsonl_rows(b'{"a":1,"b":{"c":[true,null]},"d":12345678901234567890123}\n')
    assert isinstance(row, Row)
    assert row.values == {"a": 1, "b": {"c": [True, None]}, "d": 12345678901234567890123}


@pytest.mark.parametrize("line", [b"{", b"[1]", b'"x"', b"NaN", b"\xff", b'{"a":NaN}', b"[" * 9999])
def test_a_bad_json_line_is_told_and_the_next_is_read(line: bytes) -> None:
    """One bad line costs one row."""
    rows = jsonl_rows(b'{"a":1}\n' + line + b'\n\n{"a":2}')
    assert [type(row) for row in rows] == [Row, BadRow, Row]
    assert [(row.number, row.line) for row in rows] == [(1, 1), (2, 2), (3, 4)]
    assert rows[1].raw == line + b"\n"


def test_a_line_above_the_bound_is_rejected_and_skipped() -> None:
    """Memory stays flat, whatever the file holds."""
    content = b'{"a":"' + b"x" * 500 + b'"}\n{"a":2}\n'
    rows = list(read_jsonl(Lines(io.BytesIO(content), limit=64)))
    assert [type(row) for row in rows] == [BadRow, Row]
    assert len(rows[0].raw or b"") == 64
    assert [row.line for row in rows] == [1, 2]


def test_a_csv_line_above_the_bound_is_rejected_and_skipped() -> None:
    """A cut cell never passes for a whole one."""
    lines = Lines(io.BytesIO(b"a\n" + b"x" * 500 + b"\n2\n"), limit=64)
    rows = list(read_csv(lines))
    assert [(type(row), row.number) for row in rows] == [(BadRow, 1), (Row, 2)]


# -- Parquet -------------------------------------------------------------------------------


def test_parquet_values_become_json_values(tmp_path: Path) -> None:
    """Each column type has one form, exact where JSON allows."""
    table = pa.table(
        {
            "text": ["a", None],
            "whole": [1, 2],
            "money": [Decimal("11.77"), Decimal("12.00")],
            "when": pa.array([dt.datetime(1997, 1, 1, 12), None], pa.timestamp("us")),
            "zoned": pa.array(
                [dt.datetime(1997, 1, 1, tzinfo=dt.UTC)] * 2, pa.timestamp("ms", "UTC")
            ),
            "day": [dt.date(1997, 1, 1), None],
            "took": [dt.timedelta(seconds=90), None],
            "raw": [b"x", None],
            "list": [[1, None], []],
            "map": [{"k": 1.5}, {"k": float("nan")}],
        }
    )
    parquet.write_table(table, tmp_path / "t.parquet")
    found = Source(tmp_path / "t.parquet")
    assert found.columns() == table.column_names
    first, second = found.rows()
    assert first == Row(
        1,
        None,
        {
            "text": "a",
            "whole": 1,
            "money": 11.77,
            "when": "1997-01-01T12:00:00+00:00",
            "zoned": "1997-01-01T00:00:00+00:00",
            "day": "1997-01-01",
            "took": 90.0,
            "raw": "x",
            "list": [1, None],
            "map": {"k": 1.5},
        },
        None,
    )
    assert isinstance(second, Row)
    assert second.values["money"] == 12
    assert second.values["map"] == {"k": None}


def test_a_binary_value_that_is_no_text_rejects_its_row(tmp_path: Path) -> None:
    """It has no JSON form; the other rows have."""
    parquet.write_table(pa.table({"a": [b"\xff", b"ok"]}), tmp_path / "t.parquet")
    bad, good = Source(tmp_path / "t.parquet").rows()
    assert bad == BadRow(1, None, "a binary value is not UTF-8 text", None)
    assert good == Row(2, None, {"a": "ok"}, None)


def test_what_is_no_parquet_file_is_refused(tmp_path: Path) -> None:
    """Its name says so, its content does not."""
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        list(source(tmp_path, "t.parquet", b"a,b\n1,2\n").rows())


# -- the file ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.csv", "csv"),
        ("a.CSV.GZ", "csv"),
        ("a.tsv", "csv"),
        ("a.jsonl", "jsonl"),
        ("a.ndjson.gz", "jsonl"),
        ("a.parquet", "parquet"),
    ],
)
def test_the_name_tells_the_format(tmp_path: Path, name: str, format: str) -> None:  # noqa: A002
    """Compressed or not, in any case."""
    assert source(tmp_path, name, b"").format == format


def test_a_name_that_tells_nothing_is_refused_unless_the_format_is_given(tmp_path: Path) -> None:
    """A guess would import garbage."""
    with pytest.raises(SourceError, match="--format"):
        source(tmp_path, "orders.txt", b"a\n1\n")
    assert source(tmp_path, "orders.txt", b"a\n1\n", format="csv").columns() == ["a"]


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    """Before anything else happens."""
    with pytest.raises(SourceError, match="no such file"):
        Source(tmp_path / "orders.csv")


def test_the_digest_is_that_of_the_content_however_compressed(tmp_path: Path) -> None:
    """A file compressed again is the same import."""
    content = b"a,b\n1,2\n"
    wanted = hashlib.sha256(content).hexdigest()
    assert source(tmp_path, "a.csv", content).digest() == wanted
    assert source(tmp_path, "b.csv.gz", gzip.compress(content, 1)).digest() == wanted
    assert source(tmp_path, "c.csv.gz", gzip.compress(content, 9)).digest() == wanted


def test_a_damaged_gzip_file_is_refused_before_a_row_is_sent(tmp_path: Path) -> None:
    """The digest reads it to the end first."""
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 10_000)
    cut = source(tmp_path, "a.csv.gz", whole[:-20])
    with pytest.raises(SourceError, match="damaged or cut short"):
        cut.digest()
    with pytest.raises(SourceError, match="damaged or cut short"):
        list(cut.rows())


def test_tsv_files_are_split_at_tabs_and_options_win(tmp_path: Path) -> None:
    """The usual, unless told otherwise."""
    assert source(tmp_path, "a.tsv", b"a\tb,c\n").columns() == ["a", "b,c"]
    options = CsvOptions(delimiter=";", encoding="latin-1")
    (row,) = source(tmp_path, "a.csv", b"a;b\n\xe9;,\n", csv=options).rows()
    assert isinstance(row, Row)
    assert row.values == {"a": "é", "b": ","}


def test_json_lines_have_no_columns_of_their_own(tmp_path: Path) -> None:
    """Each row brings its own."""
    assert source(tmp_path, "a.jsonl", json.dumps({"a": 1}).encode()).columns() is None


def test_a_large_file_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    """Rows come one by one: the position moves with them."""
    found = source(tmp_path, "a.csv", b"a,b\n" + b"1,2\n" * 500_000)
    rows = found.rows()
    for _ in range(1000):
        next(rows)
    assert 0 < found.position() < found.size // 10
    assert sum(1 for _ in rows) == 499_000
