"""``penstock compact``: fewer, bigger files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from penstock.cli._exit import Exit, epilog, fail
from penstock.cli._output import Output, json_option
from penstock.cli._store import store_option
from penstock.cli._times import timeout_option
from penstock.collector.layout import Layout
from penstock.collector.store.chores import NotDoneError, compact

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    "compact", epilog=epilog(Exit.OK, Exit.FAILED, Exit.USAGE, Exit.PENDING, Exit.MISSING)
)
@store_option
@timeout_option(3600.0, "Seconds to wait for it.")
@json_option
def compact_command(*, store: Path, timeout: float, as_json: bool) -> None:
    """
    Merge the store's files into one per day and source.

    The collector merges files by itself; this is for before a store is copied away.
    """
    from penstock.collector import open_store

    try:
        compact(Layout(store), timeout)
    except NotDoneError as error:
        fail(str(error), Exit.PENDING)
    files = len(open_store(store).files())
    Output(as_json=as_json).show(
        {"files": files}, lambda console: console.print(f"{files:,} files of events")
    )
