"""``penstock events``: what a collector has stored."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from penstock.cli._exit import Exit, epilog
from penstock.cli._output import Output, json_option
from penstock.cli._store import store_option
from penstock.collector import Filter, open_store
from penstock.collector.query import GROUPINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

_SPAN = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SHOWN = ("received_at", "source", "type", "event", "name", "user_id", "properties")
_SHOWN_QUARANTINED = ("received_at", "source", "reason", "detail", "raw")
#: Characters of a cell on a terminal.
_MOST_SHOWN = 60
#: Characters the last column has at least.
_LEAST_LAST = 12


class Since(click.ParamType[datetime]):
    """``90s``, ``15m``, ``2h``, ``7d``, or an RFC 3339 time."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The time, aware."""
        found = _SPAN.fullmatch(value)
        try:
            if found:
                span = timedelta(**{_UNITS[found.group(2)]: int(found.group(1))})
                return datetime.now(UTC) - span
            moment = datetime.fromisoformat(value)
        except (ValueError, OverflowError):
            self.fail("a time is 90s, 15m, 2h, 7d, or RFC 3339", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.command("events", epilog=epilog(Exit.OK, Exit.FAILED, Exit.USAGE, Exit.MISSING))
@store_option
@click.option("--source", metavar="NAME", help="Only events of this source.")
@click.option("--type", "type_", metavar="TYPE", help="Only track, identify, ...")
@click.option("--event", metavar="NAME", help="Only events of this name.")
@click.option("--user", metavar="ID", help="Only events of this user id or anonymous id.")
@click.option(
    "--since", type=Since(), metavar="TIME", help="Received since: 15m, 2h, 7d, or a time."
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most this many."
)
@click.option("--count", "counting", is_flag=True, help="Only count them.")
@click.option("--by", type=click.Choice(GROUPINGS), help="Count them by a column.")
@click.option(
    "--quarantine", is_flag=True, help="Show items that could not become events, and why."
)
@json_option
def events_command(
    *,
    store: Path,
    source: str | None,
    type_: str | None,
    event: str | None,
    user: str | None,
    since: datetime | None,
    limit: int,
    counting: bool,
    by: str | None,
    quarantine: bool,
    as_json: bool,
) -> None:
    """
    Show what a collector has stored, the newest first.

    Works while the collector runs, and when it does not. One JSON object per line when piped.
    """
    output = Output(as_json=as_json)
    chosen = Filter(source, type_, event, user, since)
    opened = open_store(store)
    if quarantine:
        _print(output, opened.quarantined(chosen, limit), _SHOWN_QUARANTINED)
    elif by:
        counts = opened.count_by(by, chosen).items()
        _print(output, [{by: value, "count": count} for value, count in counts], (by, "count"))
    elif counting:
        _print(output, [{"count": opened.count(chosen)}], ("count",))
    else:
        _print(output, opened.events(chosen, limit), _SHOWN)


def _print(output: Output, rows: Sequence[Mapping[str, Any]], shown: Iterable[str]) -> None:
    if not output.human:
        for row in rows:
            present = {name: value for name, value in row.items() if value is not None}
            click.echo(msgspec.json.encode(present))
        return
    output.show({}, lambda console: _draw(console, rows, list(shown)))


def _draw(console: Console, rows: Sequence[Mapping[str, Any]], columns: list[str]) -> None:
    """A line per row; the last column, which may be long, gets what the others leave."""
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    left = console.width - sum(widths[:-1]) - len(widths)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for name in columns:
        last = name == columns[-1]
        most = max(left, _LEAST_LAST) if last else None
        table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=most)
    for line in cells:
        table.add_row(*map(escape, line))
    console.print(table)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, int):
        return f"{value:,}"
    text = "" if value is None else value if isinstance(value, str) else _json(value)
    printable = "".join(char if char.isprintable() else "�" for char in text)
    return printable if len(printable) <= _MOST_SHOWN else printable[: _MOST_SHOWN - 1] + "…"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
