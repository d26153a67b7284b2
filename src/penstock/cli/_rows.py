"""Rows of a store on a terminal, or as JSON lines."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console

    from penstock.cli._output import Output

#: Characters of a cell on a terminal.
_MOST_SHOWN = 60
#: Characters the last column has at least.
_LEAST_LAST = 12


def print_rows(output: Output, rows: Sequence[Mapping[str, Any]], shown: Iterable[str]) -> None:
    """
    Print rows.

    Args:
        output: Where to; says whether people read it.
        rows: By column name. A value that is None is left out of JSON.
        shown: The columns of the table, in order.
    """
    if not output.human:
        for row in rows:
            present = {name: value for name, value in row.items() if value is not None}
            click.echo(msgspec.json.encode(present, enc_hook=str))
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
        table.add_column(escape(name), no_wrap=True, overflow="ellipsis", max_width=most)
    for line in cells:
        table.add_row(*map(escape, line))
    console.print(table)


def plain_text(text: str) -> str:
    """A text that a terminal shows and does not obey."""
    return "".join(char if char.isprintable() else "�" for char in text)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, int):
        return f"{value:,}"
    text = "" if value is None else value if isinstance(value, str) else _json(value)
    printable = plain_text(text)
    return printable if len(printable) <= _MOST_SHOWN else printable[: _MOST_SHOWN - 1] + "…"


def _json(value: object) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()
