"""``penstock events``: what a collector stored, for people and for pipes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
import pyarrow.csv
import pyarrow.ipc
import pyarrow.json
import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

from collector_kit import NOW, entry, track
from collector_process import ServedCollector
from patience import wait_for
from penstock.cli import _output
from penstock.cli._group import penstock
from penstock.cli.compact import compact_command
from penstock.cli.delete_user import delete_user_command
from penstock.cli.events import Since, events_command
from penstock.cli.query import query_command
from penstock.cli.serve import serve_command
from penstock.collector import Retention, open_store
from penstock.collector.layout import Layout
from penstock.collector.store.chores import compact
from penstock.errors import ConfigError
from penstock.journal._locks import FileLock
from store_kit import lane, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with three events and one bad item."""
    log = lane(Layout(tmp_path))
    write(log, 1, 2)
    later = int(NOW + 1) * 1000
    page = {"type": "page", "messageId": "p", "userId": "u-2", "name": "[bold]<b>\x1b[31m"}
    log.append(entry({"batch": [page, {"type": "zoo"}]}, source="app", received_at=later), int(NOW))
    log.close()
    return tmp_path


def run(store: Path, *options: str) -> Result:
    result = CliRunner().invoke(events_command, ["--store", str(store), *options])
    assert result.exit_code == 0, result.output
    return result


def lines(store: Path, *options: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(store, *options).stdout.splitlines()]


def test_events_are_json_lines_when_piped(store: Path) -> None:
    """The newest first, JSON nested, what has no value left out."""
    rows = lines(store)
    assert [row["type"] for row in rows] == ["page", "track", "track"]
    assert rows[-1]["properties"] == {"revenue": 49.5}
    assert datetime.fromisoformat(rows[-1]["timestamp"]).timestamp() == NOW
    assert "group_id" not in rows[-1]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--source", "app"], 1),
        (["--type", "track"], 2),
        (["--event", "Order Completed"], 2),
        (["--user", "u-2"], 2),
        (["--since", "2026-03-01T10:20:32Z"], 1),
        (["--since", "7d"], 0),
        (["--limit", "1"], 1),
    ],
)
def test_events_can_be_chosen(store: Path, options: list[str], count: int) -> None:
    """One option per question."""
    assert len(lines(store, *options)) == count


def test_events_can_be_counted(store: Path) -> None:
    """All of them, or by a column."""
    assert lines(store, "--count") == [{"count": 3}]
    assert lines(store, "--count", "--type", "page") == [{"count": 1}]
    assert lines(store, "--by", "type") == [
        {"type": "track", "count": 2},
        {"type": "page", "count": 1},
    ]


def test_bad_items_can_be_seen(store: Path) -> None:
    """With the reason."""
    (row,) = lines(store, "--quarantine")
    assert (row["reason"], row["raw"]) == ("invalid_type", '{"type":"zoo"}')


def test_a_terminal_gets_a_table(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What clients sent is shown as text: it neither paints nor moves the cursor."""
    real = _output.Output.__init__

    def on_a_terminal(self: _output.Output, **options: bool) -> None:
        real(self, **options)
        self.human = True

    monkeypatch.setattr(_output.Output, "__init__", on_a_terminal)
    shown = run(store, "--by", "name").stdout
    assert "[bold]<b>" in shown
    assert "\x1b[31m" not in shown
    assert "Order Completed" in run(store).stdout


def test_an_empty_store_shows_nothing(tmp_path: Path) -> None:
    """Before anything came."""
    assert lines(tmp_path / "none") == []
    assert lines(tmp_path / "none", "--count") == [{"count": 0}]


@pytest.mark.parametrize("value", ["soon", "5", "1w", "", "99999999999999d"])
def test_times_that_are_none_are_told(value: str) -> None:
    """With the forms that are."""
    with pytest.raises(click.BadParameter, match="15m"):
        Since().convert(value, None, None)


def test_spans_count_back_from_now() -> None:
    """``2h`` is two hours ago; a time without a zone is UTC."""
    found = Since().convert("2h", None, None)
    assert abs(datetime.now(UTC) - timedelta(hours=2) - found) < timedelta(seconds=5)
    assert Since().convert("2026-03-01", None, None) == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "command",
    [serve_command, events_command, query_command, delete_user_command, compact_command],
)
def test_help_tells_exit_codes(command: click.Command) -> None:
    """So that scripts can rely on them."""
    assert "Exit codes" in CliRunner().invoke(command, ["--help"]).output


def test_rows_of_a_big_answer_keep_their_shape(tmp_path: Path) -> None:
    """More events than are shown at once: the newest."""
    log = lane(Layout(tmp_path))
    log.append(entry({"batch": [track(n) for n in range(200)]}), int(NOW))
    log.close()
    rows = lines(tmp_path)
    assert len(rows) == 50
    assert rows[0]["message_id"] == track(199)["messageId"]


# -- penstock query --------------------------------------------------------------------------

TYPES = "SELECT type, count(*) AS n, min(received_at) AS first FROM events GROUP BY type ORDER BY n"


def ask(store: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(query_command, ["--store", str(store), *arguments])
    assert result.exit_code == 0, result.output
    return result


def test_a_question_is_answered_in_lines(store: Path) -> None:
    """One JSON object each, times and all; question marks take values."""
    rows = [json.loads(line) for line in ask(store, TYPES).stdout.splitlines()]
    assert [(row["type"], row["n"]) for row in rows] == [("page", 1), ("track", 2)]
    found = ask(
        store, "SELECT message_id FROM events WHERE user_id = ? AND type = ?", "u-2", "page"
    )
    assert json.loads(found.stdout) == {"message_id": "p"}


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("out.csv", pyarrow.csv.read_csv),
        ("out.parquet", pyarrow.parquet.read_table),
        ("out", pyarrow.parquet.read_table),
        ("out.arrow", lambda path: pyarrow.ipc.open_stream(path).read_all()),
        ("out.jsonl", pyarrow.json.read_json),
    ],
)
def test_an_answer_can_be_a_file(store: Path, tmp_path: Path, name: str, read: Any) -> None:
    """Its name tells the format; the rows are the same in all of them."""
    path = tmp_path / name
    assert ask(store, TYPES, "--output", str(path)).stdout == ""
    table = read(path)
    assert table.column("type").to_pylist() == ["page", "track"]
    assert table.column("n").to_pylist() == [1, 2]


def test_an_answer_can_be_piped_in_any_format(store: Path) -> None:
    """Arrow is for the next program."""
    result = ask(store, TYPES, "--format", "arrow")
    assert pyarrow.ipc.open_stream(result.stdout_bytes).read_all().num_rows == 2
    assert ask(store, TYPES, "--format", "csv").stdout.startswith('"type","n"')


def test_a_table_is_drawn_for_people(store: Path) -> None:
    """With the columns of the question; what clients sent neither paints nor moves the cursor."""
    shown = ask(store, 'SELECT name AS "[bold]x", type FROM events', "--format", "table").stdout
    assert "[bold]x" in shown
    assert "[bold]<b>" in shown
    assert "\x1b[31m" not in shown


@pytest.mark.parametrize(
    "sql", ["DELETE FROM events", "COPY events TO 'x.csv'", "SELECT 1; SELECT 2", "SELEKT"]
)
def test_a_question_only_asks(store: Path, sql: str) -> None:
    """Anything else is told in one line."""
    result = CliRunner().invoke(penstock, ["query", "--store", str(store), sql])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")


def test_an_answer_that_cannot_be_written_is_told(store: Path) -> None:
    """With the path."""
    options = ["query", "--store", str(store), "SELECT 1", "--output", str(store / "no" / "x.csv")]
    result = CliRunner().invoke(penstock, options)
    assert result.exit_code == 1
    assert "x.csv" in result.stderr


# -- penstock delete-user, penstock compact ---------------------------------------------------


def told(command: click.Command, *arguments: str) -> Any:
    result = CliRunner().invoke(command, list(arguments))
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_user_can_be_deleted(store: Path) -> None:
    """And it can be shown that it was."""
    where = ("--store", str(store))
    assert told(delete_user_command, "u-2", "--records", *where) == {"deletions": []}
    record = told(delete_user_command, "u-2", *where)
    assert (record["events"], record["quarantined"]) == (2, 0)
    assert told(delete_user_command, "u-2", "--records", *where) == {"deletions": [record]}
    assert [row["user_id"] for row in lines(store)] == ["u-1"]


def test_a_store_can_be_compacted(store: Path) -> None:
    """One file per day and source, without a collector running."""
    assert told(compact_command, "--store", str(store)) == {"files": 2}
    assert len(open_store(store).files()) == 2
    assert list((store / "log").iterdir()) == []


@pytest.mark.parametrize("command", [["delete-user", "u"], ["compact"]])
def test_a_store_that_is_not_there_is_told(tmp_path: Path, command: list[str]) -> None:
    """And not made."""
    missing = tmp_path / "none"
    result = CliRunner().invoke(penstock, [*command, "--store", str(missing)])
    assert result.exit_code == 2
    assert not missing.exists()


@pytest.mark.parametrize("command", [["delete-user", "u"], ["compact"]])
def test_a_busy_collector_is_told(store: Path, command: list[str]) -> None:
    """The exit code says: it is asked, and not done yet."""
    busy = FileLock.acquire(store / "pipeline.lock")
    assert busy is not None
    result = CliRunner().invoke(penstock, [*command, "--store", str(store), "--timeout", "0.01"])
    assert result.exit_code == 3
    busy.release()


def test_what_is_not_kept_goes(tmp_path: Path) -> None:
    """``penstock serve --keep`` deletes days that are over, of all sources or of one."""
    log = lane(Layout(tmp_path))
    for source in ("web", "app"):
        write(log, 1, source=source, received_at=1_000_000_000_000)
    log.close()
    compact(Layout(tmp_path), 30)
    collector = ServedCollector(tmp_path, "--keep", "99999", "--keep", "web=30")
    store = open_store(tmp_path)
    wait_for(lambda: store.count_by("source") == {"app": 1}, "the end of what is not kept")
    assert collector.stop() == 0
    assert store.count_by("source") == {"app": 1}


def test_days_to_keep_are_read() -> None:
    """One for all, and one for each source that has its own."""
    assert Retention.parse([]) == Retention()
    assert Retention.parse(["90"]) == Retention(days=90)
    assert Retention.parse(["web=0", "7"]) == Retention(days=7, sources={"web": 0})


@pytest.mark.parametrize("spec", ["", "soon", "-1", "=3", "web=", "web", "90d", "100000"])
def test_days_that_are_none_are_told(spec: str) -> None:
    """Nothing is deleted by a guess."""
    with pytest.raises(ConfigError, match="SOURCE=DAYS"):
        Retention.parse([spec])


def test_days_are_said_once() -> None:
    """Two numbers for one source are a mistake."""
    with pytest.raises(ConfigError, match="once for each"):
        Retention.parse(["web=1", "web=2"])
