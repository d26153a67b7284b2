"""A progress bar on a terminal, nothing anywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from penstock.cli._output import Output
    from penstock.importing import Progress as Rows
    from penstock.importing import Source
    from penstock.journal import Ledger


class Meter:
    """
    Draws how far an import is: first the rows, then their delivery.

    Args:
        source: Tells how much of the file is read.
        output: Says whether anybody is looking.
    """

    def __init__(self, source: Source, output: Output) -> None:
        self._source = source
        self._bars: Progress | None = None
        self._reading: TaskID | None = None
        self._sending: TaskID | None = None
        if output.lively:
            self._bars = Progress(
                TextColumn("{task.description:>10}"),
                BarColumn(),
                TextColumn("{task.fields[count]}"),
                TimeElapsedColumn(),
                console=output.notes,
                transient=True,
            )

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._reading = self._bars.add_task("rows", total=self._source.size, count="")
            self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def rows(self, progress: Rows) -> None:
        """Show the rows dealt with."""
        if self._bars is not None and self._reading is not None:
            done = self._source.size if progress.complete else self._source.position()
            self._bars.update(self._reading, completed=done, count=f"{progress.rows:,}")

    def deliveries(self, ledger: Ledger) -> None:
        """Show the deliveries, once all rows are in the journal."""
        if self._bars is None:
            return
        done = ledger.delivered + sum(ledger.dead.values())
        total = done + ledger.pending
        if self._sending is None:
            self._sending = self._bars.add_task("delivered", total=total, count="")
        self._bars.update(
            self._sending, completed=done, total=total, count=f"{done:,} of {total:,}"
        )
