"""``penstock delete-user``: a privacy request."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from penstock.cli._exit import Exit, epilog, fail
from penstock.cli._output import Output, json_option
from penstock.cli._store import store_option
from penstock.cli._times import timeout_option
from penstock.collector.layout import Layout
from penstock.collector.store.chores import NotDoneError, delete_user, deletions_of

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.collector.store.deletions import Deletion


@click.command(
    "delete-user", epilog=epilog(Exit.OK, Exit.FAILED, Exit.USAGE, Exit.PENDING, Exit.MISSING)
)
@click.argument("user")
@store_option
@timeout_option(300.0, "Seconds to wait for it.")
@click.option("--records", is_flag=True, help="Delete nothing; show when this was deleted before.")
@json_option
def delete_user_command(
    *, user: str, store: Path, timeout: float, records: bool, as_json: bool
) -> None:
    """
    Delete all events of a user id or anonymous id, for good.

    From files, log, quarantine, outboxes and dead letters, while the collector runs or not. A
    record of it is kept that holds nothing of the user; --records finds it by the id.
    """
    output = Output(as_json=as_json)
    layout = Layout(store)
    if records:
        found = [_shown(record) for record in deletions_of(layout, user)]
        output.show({"deletions": found}, lambda console: console.print(_listed(found)))
        return
    try:
        shown = _shown(delete_user(layout, user, timeout))
    except NotDoneError as error:
        fail(str(error), Exit.PENDING)
    output.show(shown, lambda console: console.print(_listed([shown])))


def _shown(record: Deletion) -> dict[str, Any]:
    return {
        "id": record.id,
        "asked_at": _time(record.asked_at),
        "done_at": _time(record.done_at),
        "events": record.events,
        "quarantined": record.quarantined,
        "files": record.files,
        "waiting": record.waiting,
        "letters": record.letters,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _listed(records: list[dict[str, Any]]) -> str:
    return "\n".join(
        f"{r['done_at']}: deleted {r['events']:,} events, {r['quarantined']:,} quarantined items, "
        f"{r['waiting']:,} events in outboxes and {r['letters']:,} dead letters ({r['id']})"
        for r in records
    )
