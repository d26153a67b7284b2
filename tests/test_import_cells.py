"""Cells become JSON values by rules that can be told in a sentence each."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.importing.cells import TYPES, automatic, identifier
from penstock.importing.rows import BadValue
from penstock.importing.timestamps import parse_instant, timestamp_parser


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("0", 0),
        ("-7", -7),
        ("12.00", 12.0),
        ("-0.5", -0.5),
        ("999999999999999", 999999999999999),
        ("true", True),
        ("False", False),
    ],
)
def test_auto_reads_what_is_beyond_doubt(cell: str, value: Any) -> None:
    """Plain whole numbers, plain decimals, true and false."""
    assert automatic(cell) == value
    assert type(automatic(cell)) is type(value)


@pytest.mark.parametrize(
    "cell",
    [
        "00001",
        "+4512345678",
        "12E5",
        "1e3",
        "9999999999999999",
        "1_000",
        "1,5",
        " 1",
        ".5",
        "5.",
        "NaN",
        "inf",
        "-",
        "yes",
        "t",
        "٣",
        "1.1.1",
        "",
    ],
)
def test_auto_leaves_everything_else_as_text(cell: str) -> None:
    """Postcodes, phone numbers, article numbers and long ids survive as they are."""
    assert automatic(cell) == cell
    assert isinstance(automatic(cell), str)


@given(st.text())
def test_auto_never_changes_what_a_cell_says(cell: str) -> None:
    """A number it reads writes itself back to the same digits, give or take trailing zeros."""
    value = automatic(cell)
    if isinstance(value, bool):
        assert cell.lower() == json.dumps(value)
    elif isinstance(value, int):
        assert str(value) == cell or cell == "-0"
    elif isinstance(value, float):
        assert float(cell) == value
    else:
        assert value == cell


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("string", "007", "007"),
        ("string", 7, "7"),
        ("string", True, "true"),
        ("string", {"a": 1}, '{"a":1}'),
        ("integer", " 42 ", 42),
        ("integer", "+42", 42),
        ("integer", "12.0", 12),
        ("integer", 12.0, 12),
        ("integer", "12345678901234567890", 12345678901234567890),
        ("number", "1e3", 1000.0),
        ("number", 3, 3.0),
        ("boolean", "Yes", True),
        ("boolean", "0", False),
        ("boolean", 1, True),
        ("json", '{"a":[1]}', {"a": [1]}),
        ("json", [1], [1]),
        ("timestamp", "2026-03-01T10:20:30+02:00", "2026-03-01T08:20:30.000Z"),
        ("auto", "1", 1),
    ],
)
def test_a_named_type_converts(kind: str, cell: Any, value: Any) -> None:
    """What the type says, whether the cell was text or not."""
    assert TYPES[kind](cell) == value
    assert type(TYPES[kind](cell)) is type(value)


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("integer", "12.5"),
        ("integer", "x"),
        ("integer", True),
        ("integer", None),
        ("integer", "1_0"),
        ("integer", "inf"),
        ("number", "1,5"),
        ("number", "nan"),
        ("number", "1_0"),
        ("number", False),
        ("number", [1]),
        ("number", 10**400),
        ("boolean", "maybe"),
        ("json", "{"),
        ("timestamp", "yesterday"),
        ("timestamp", "20260301"),
        ("timestamp", 1),
        ("timestamp", True),
        ("timestamp", [1]),
    ],
)
def test_a_cell_that_is_not_of_its_named_type_is_refused(kind: str, cell: Any) -> None:
    """The row goes to the rejects, never a guess into the event."""
    with pytest.raises(BadValue):
        TYPES[kind](cell)


def test_an_id_is_text_or_a_whole_number() -> None:
    """Leading zeros stay; 1.0 and true are nobody's id."""
    assert identifier("00001") == "00001"
    assert identifier(17) == "17"
    for cell in (1.0, True, ["x"], None):
        with pytest.raises(BadValue):
            identifier(cell)


@pytest.mark.parametrize(
    ("pattern", "cell", "wanted"),
    [
        ("auto", "1997-01-01", "1997-01-01T00:00:00.000Z"),
        ("auto", "1997-01-01 12:30:00", "1997-01-01T12:30:00.000Z"),
        ("auto", "2026-03-01T10:20:30.123456Z", "2026-03-01T10:20:30.123Z"),
        ("unix", "1700000000", "2023-11-14T22:13:20.000Z"),
        ("unix", 1700000000.5, "2023-11-14T22:13:20.500Z"),
        ("unix_ms", "1700000000123", "2023-11-14T22:13:20.123Z"),
        ("unix_us", "1700000000123456", "2023-11-14T22:13:20.123Z"),
        ("%d.%m.%Y %H:%M", "24.12.2025 18:00", "2025-12-24T18:00:00.000Z"),
        ("%Y%m%d", "20251224", "2025-12-24T00:00:00.000Z"),
    ],
)
def test_times_are_read_by_their_pattern(pattern: str, cell: Any, wanted: str) -> None:
    """One pattern for the column, and RFC 3339 in UTC for the event."""
    assert timestamp_parser(pattern)(cell) == wanted


def test_a_time_without_a_zone_is_in_the_zone_of_the_file() -> None:
    """UTC unless told, summer time included; a zone in the cell wins."""
    parse = timestamp_parser("auto", "Europe/Copenhagen")
    assert parse("2026-07-01T12:00:00") == "2026-07-01T10:00:00.000Z"
    assert parse("2026-01-01T12:00:00") == "2026-01-01T11:00:00.000Z"
    assert parse("2026-07-01T12:00:00Z") == "2026-07-01T12:00:00.000Z"


@pytest.mark.parametrize("zone", ["Nowhere/Atlantis", "../etc/passwd", ""])
def test_a_zone_that_does_not_exist_is_refused(zone: str) -> None:
    """At once, not at the first row."""
    with pytest.raises(ValueError, match="no such time zone"):
        timestamp_parser("auto", zone)


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.none())
def test_any_cell_is_a_time_or_refused(cell: Any) -> None:
    """Nothing else is raised, and a time has one form."""
    for pattern in ("auto", "unix", "unix_ms", "%Y"):
        try:
            found = timestamp_parser(pattern)(cell)
        except BadValue:
            continue
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found)


@given(st.datetimes(timezones=st.timezones() | st.just(dt.UTC)))
def test_an_aware_time_keeps_its_instant(moment: dt.datetime) -> None:
    """Written in any zone, read back to the millisecond."""
    try:
        written = dt.datetime.fromisoformat(moment.isoformat())
        wanted = written.astimezone(dt.UTC)
    except OverflowError:
        return
    found = dt.datetime.fromisoformat(parse_instant(written.isoformat()))
    assert dt.timedelta() <= wanted - found < dt.timedelta(milliseconds=1)
