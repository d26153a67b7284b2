"""``penstock drain``: deliver what dead processes left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from penstock.cli._destinations import chosen, destination_options
from penstock.cli._exit import Exit, epilog
from penstock.cli._journal import journal_argument
from penstock.cli._output import Output, json_option, ledger_table
from penstock.cli._sending import client_config
from penstock.cli._times import timeout_option
from penstock.config import default_journal_root
from penstock.journal import inspect

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from penstock.destinations import Destination


@click.command(
    "drain", epilog=epilog(Exit.OK, Exit.FAILED, Exit.USAGE, Exit.PENDING, Exit.DEAD, Exit.MISSING)
)
@journal_argument
@destination_options
@timeout_option(60.0, "Seconds to try in all.")
@json_option
def drain_command(directory: Path | None, timeout: float, as_json: bool, **addresses: Any) -> None:
    """
    Adopt what dead processes left in the journal DIR and deliver it.

    DIR is PENSTOCK_JOURNAL by default, else the user's state directory. Name the same
    destinations as the program had: keys are not in the journal. Processes that live keep their
    events.
    """
    from penstock import Client

    destinations = chosen(**addresses)
    root = _root(directory, destinations)
    client = Client(*destinations, config=client_config(str(root) if root else None))
    try:
        ledger = client.flush(timeout=timeout)
    finally:
        ledger = client.close(timeout=0)
    code = Exit.PENDING if ledger.pending else Exit.DEAD if ledger.dead else Exit.OK
    others = _others(root or default_journal_root(), destinations)
    data = {
        "status": "pending" if ledger.pending else "drained",
        "ledger": ledger.to_dict(),
        "others": [{"destinations": names, "pending": pending} for names, pending in others],
    }

    def human(console: Console) -> None:
        console.print(f"{ledger.delivered:,} delivered, {ledger.pending:,} pending")
        console.print(ledger_table(ledger))
        for names, pending in others:
            console.print(f"Left alone: {pending:,} for {escape(', '.join(names))}")

    Output(as_json=as_json).show(data, human)
    raise click.exceptions.Exit(code)


def _root(directory: Path | None, destinations: list[Destination]) -> Path | None:
    """The journal's root, also when DIR is the part of it that belongs to some destinations."""
    if directory is None or not any(directory.glob("lane-*")):
        return directory
    from penstock.delivery.engine import journal_directory

    root = directory.absolute().parent
    named = {destination.id: destination.name for destination in destinations}
    if journal_directory(root, named).name != directory.absolute().name:
        raise click.UsageError(f"{directory} holds events for other destinations")
    return root


def _others(root: Path, destinations: list[Destination]) -> list[tuple[list[str], int]]:
    """What waits in the journal for destinations that were not named: ``[(names, pending)]``."""
    ours = {destination.id for destination in destinations}
    return [
        (sorted(journal.destinations.values()), journal.ledger.pending)
        for journal in inspect(root)
        if journal.ledger.pending and journal.destinations.keys() != ours
    ]
