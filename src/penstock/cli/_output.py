"""What a command prints: for people on a terminal, JSON everywhere else."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.journal import Ledger

json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON, as is done anyway when the output is not a terminal.",
)


class Output:
    """
    Standard output for the result, standard error for everything on the way.

    Args:
        as_json: Whether the user asked for JSON.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.human = not as_json and sys.stdout.isatty()
        #: Whether progress may be drawn.
        self.lively = not as_json and sys.stderr.isatty()
        self._result = Console(highlight=False, soft_wrap=True)
        self.notes = Console(stderr=True, highlight=False, soft_wrap=True)

    def show(self, data: dict[str, Any], human: Callable[[Console], None]) -> None:
        """Print the result: *data* as one line of JSON, or whatever *human* draws."""
        if self.human:
            human(self._result)
        else:
            click.echo(json.dumps(data, ensure_ascii=False))

    def note(self, text: str) -> None:
        """Say something on standard error; plain text, no markup."""
        self.notes.print(escape(text))


def ledger_table(ledger: Ledger, title: str = "Ledger") -> Table:
    """``accepted = delivered + pending + dead``, a line per destination."""
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("destination")
    for column in ("accepted", "delivered", "pending", "dead"):
        table.add_column(column, justify="right")
    for name, account in ledger.destinations.items():
        dead = ", ".join(f"{count:,} {reason}" for reason, count in account.dead.items())
        table.add_row(
            escape(name),
            f"{account.accepted:,}",
            f"{account.delivered:,}",
            f"{account.pending:,}",
            dead or "0",
        )
    return table
