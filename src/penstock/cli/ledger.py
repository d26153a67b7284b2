"""``penstock ledger``: where every accepted event is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.markup import escape

from penstock.cli._exit import Exit, epilog
from penstock.cli._journal import journal_argument
from penstock.cli._output import Output, json_option, ledger_table
from penstock.config import default_journal_root
from penstock.journal import Ledger, inspect

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console


@click.command("ledger", epilog=epilog(Exit.OK, Exit.FAILED, Exit.USAGE, Exit.MISSING))
@journal_argument
@json_option
def ledger_command(directory: Path | None, as_json: bool) -> None:
    """
    Show where every event is that was ever accepted into the journal DIR.

    DIR is PENSTOCK_JOURNAL by default, else the user's state directory. Lanes of living, dead and
    finished processes count. Nothing is changed, and no key is needed.
    """
    root = directory or default_journal_root()
    journals = inspect(root)
    total = sum((journal.ledger for journal in journals), Ledger())
    data = {
        "directory": str(root),
        "ledger": total.to_dict(),
        "journals": [
            {
                "directory": str(journal.path),
                "lanes": journal.lanes,
                "ledger": journal.ledger.to_dict(),
            }
            for journal in journals
        ],
    }

    def human(console: Console) -> None:
        if not journals:
            console.print(f"{escape(str(root))}: no journal here")
        for journal in journals:
            console.print(ledger_table(journal.ledger, title=escape(str(journal.path))))

    Output(as_json=as_json).show(data, human)
