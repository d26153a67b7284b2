"""``penstock events``: what a collector stored, for people and for pipes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner, Result

from collector_kit import NOW, track
from penstock.cli import _output
from penstock.cli.events import Since, events_command
from penstock.cli.serve import serve_command
from penstock.collector.log import LaneLog
from test_collector_decoding import entry
from test_collector_sealing import LIMIT, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with three events and one bad item."""
    log = LaneLog(tmp_path / "log", limit_bytes=LIMIT)
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


@pytest.mark.parametrize("command", [serve_command, events_command])
def test_help_tells_exit_codes(command: click.Command) -> None:
    """So that scripts can rely on them."""
    assert "Exit codes" in CliRunner().invoke(command, ["--help"]).output


def test_rows_of_a_big_answer_keep_their_shape(tmp_path: Path) -> None:
    """More events than are shown at once: the newest."""
    log = LaneLog(tmp_path / "log", limit_bytes=LIMIT)
    log.append(entry({"batch": [track(n) for n in range(200)]}), int(NOW))
    log.close()
    rows = lines(tmp_path)
    assert len(rows) == 50
    assert rows[0]["message_id"] == track(199)["messageId"]
