"""``penstock dead``: what will not be sent again, why, and how to send it again after all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.markup import escape

from penstock.cli._destinations import ADDRESSES, destination_options
from penstock.cli._exit import Exit, epilog, fail
from penstock.cli._journal import journal_argument
from penstock.cli._output import Output, json_option
from penstock.cli._rows import print_rows
from penstock.cli._times import Since, timeout_option
from penstock.config import default_journal_root
from penstock.journal import letters

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from penstock.journal.letters import Found, Replayed

_SHOWN = ("died_at", "destination", "reason", "status", "type", "event", "message_id")
_EPILOG = epilog(Exit.OK, Exit.FAILED, Exit.USAGE, Exit.MISSING)
_FILTERS = (
    click.option("--destination", metavar="NAME", help="Only what died for this destination."),
    click.option("--reason", metavar="REASON", help="Only rejected, too_large, expired, ..."),
    click.option("--since", type=Since(), metavar="TIME", help="Only what died since: 15m, 2h."),
    click.option("--before", type=Since(), metavar="TIME", help="Only what died before: 7d."),
)


def _filters(command: Any) -> Any:
    for option in reversed(_FILTERS):
        command = option(command)
    return command


@click.group("dead", epilog=_EPILOG)
def dead_command() -> None:
    """
    List, show and replay dead letters: events a destination will not be sent again.

    DIR is a journal, a directory that holds several, or a collector's store; PENSTOCK_JOURNAL by
    default, else the user's state directory.
    """


@dead_command.command("list", epilog=_EPILOG)
@journal_argument
@_filters
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N.")
@json_option
def list_command(
    *, directory: Path | None, limit: int | None, as_json: bool, **filters: Any
) -> None:
    """List dead letters, the oldest first; one JSON object per line when piped."""
    found = letters.find(directory or default_journal_root(), _wanted(**filters))
    rows = [_row(letter) for letter in found[-(limit or len(found)) :]]
    print_rows(Output(as_json=as_json), rows, _SHOWN)


@dead_command.command("show", epilog=_EPILOG)
@click.argument("message_id", metavar="ID")
@journal_argument
@json_option
def show_command(*, message_id: str, directory: Path | None, as_json: bool) -> None:
    """Show the letters of one event, by its message id or the beginning of it."""
    found = letters.find(directory or default_journal_root(), letters.Wanted(ids=(message_id,)))
    if not found:
        fail(f"no dead letter with the id {message_id}", Exit.FAILED)
    if len({one.message_id for one in found}) > 1:
        fail(f"{len(found)} letters begin with {message_id}: give more of the id", Exit.USAGE)
    data = [{**_row(one), "message": msgspec.Raw(one.letter.message)} for one in found]
    output = Output(as_json=as_json)
    if not output.human:
        print_rows(output, data, _SHOWN)
        return
    output.show({}, lambda console: _draw(console, data))


@dead_command.command(
    "replay",
    epilog=epilog(
        Exit.OK, Exit.FAILED, Exit.USAGE, Exit.PENDING, Exit.DEAD, Exit.MISSING, Exit.INTERRUPTED
    ),
)
@journal_argument
@_filters
@click.option("--id", "ids", metavar="ID", multiple=True, help="Only this message; repeatable.")
@click.option("--dry-run", is_flag=True, help="Only say what would be put back.")
@click.option("--deliver", is_flag=True, help="Deliver at once; name all the destinations.")
@timeout_option(60.0, "Seconds to deliver.")
@destination_options
@json_option
def replay_command(
    *,
    directory: Path | None,
    ids: tuple[str, ...],
    dry_run: bool,
    deliver: bool,
    timeout: float,
    as_json: bool,
    **options: Any,
) -> None:
    """
    Put dead letters back into the journal, each for the destination it died for.

    Message ids stay, and the age counts from now. The next process that uses the journal delivers
    them, as does `penstock drain`, or this command with --deliver.
    """
    addresses = {name: options.pop(name) for name in ADDRESSES}
    wanted = _wanted(**options)._replace(ids=ids)
    root = directory or default_journal_root()
    output = Output(as_json=as_json)
    if dry_run:
        _tell(output, "dry run", _counts(letters.find(root, wanted)))
        return
    if not deliver:
        replayed = letters.replay(root, wanted)
        _tell(output, "replayed", _sums(replayed), skipped=sum(one.skipped for one in replayed))
        return
    from penstock.cli._replaying import delivered, outlet_of

    outlet = outlet_of(letters.find(root, wanted), addresses)
    replayed = letters.replay(root, wanted)
    ledger = delivered(outlet, timeout)
    code = Exit.PENDING if ledger.pending else Exit.DEAD if ledger.dead else Exit.OK
    status = "pending" if ledger.pending else "delivered"
    skipped = sum(one.skipped for one in replayed)
    _tell(output, status, _sums(replayed), skipped=skipped, ledger=ledger.to_dict())
    raise click.exceptions.Exit(code)


def _wanted(
    *,
    destination: str | None,
    reason: str | None,
    since: datetime | None,
    before: datetime | None,
) -> letters.Wanted:
    return letters.Wanted(
        destination,
        reason,
        since.timestamp() if since else None,
        before.timestamp() if before else None,
    )


def _row(found: Found) -> dict[str, Any]:
    letter = found.letter
    return {
        "died_at": datetime.fromtimestamp(letter.died_at, UTC),
        "destination": letter.destination,
        "reason": letter.reason,
        "status": letter.status,
        "detail": letter.detail,
        "attempts": letter.attempts,
        "type": found.type,
        "event": found.event or None,
        "message_id": found.message_id,
        "journal": str(found.journal),
    }


def _draw(console: Console, rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        message = msgspec.json.format(bytes(row.pop("message")), indent=2).decode()
        for name, value in row.items():
            if value not in (None, ""):
                console.print(f"{name:>12}  {escape(str(value))}")
        console.print(message, markup=False)


def _counts(found: Sequence[Found]) -> dict[str, int]:
    """Events per destination; two letters of one event count once."""
    events = {(one.letter.destination, one.message_id) for one in found}
    names = sorted({name for name, _ in events})
    return {name: sum(other == name for other, _ in events) for name in names}


def _sums(replayed: Sequence[Replayed]) -> dict[str, int]:
    names = sorted({name for one in replayed for name in one.put_back})
    return {name: sum(one.put_back.get(name, 0) for one in replayed) for name in names}


def _tell(output: Output, status: str, counts: dict[str, int], **more: Any) -> None:
    def human(console: Console) -> None:
        told = ", ".join(f"{count:,} for {escape(name)}" for name, count in counts.items())
        console.print(f"{status}: {told or 'nothing'}")

    total = sum(counts.values())
    output.show({"status": status, "letters": total, "destinations": counts, **more}, human)
