"""``penstock events``: what a collector has stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from penstock.cli._exit import Exit, epilog
from penstock.cli._output import Output, json_option
from penstock.cli._rows import print_rows
from penstock.cli._store import store_option
from penstock.cli._times import Since
from penstock.collector import Filter, open_store
from penstock.collector.store.query import GROUPINGS

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

_SHOWN = ("received_at", "source", "type", "event", "name", "user_id", "properties")
_SHOWN_QUARANTINED = ("received_at", "source", "reason", "detail", "raw")


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
        print_rows(output, opened.quarantined(chosen, limit), _SHOWN_QUARANTINED)
    elif by:
        counts = opened.count_by(by, chosen).items()
        print_rows(output, [{by: value, "count": count} for value, count in counts], (by, "count"))
    elif counting:
        print_rows(output, [{"count": opened.count(chosen)}], ("count",))
    else:
        print_rows(output, opened.events(chosen, limit), _SHOWN)
