"""The import itself: row after row into the journal, with a checkpoint behind."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from penstock.errors import QueueFullError, ValidationError
from penstock.importing.rows import BadRow, BadValue, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from penstock.importing.calls import Call, Calls
    from penstock.importing.checkpoint import Checkpoint, Progress
    from penstock.importing.pace import Pace
    from penstock.importing.rejects import Rejects

#: A checkpoint each so many rows: 0.1 ms of work, against 5 ms to read and capture them.
EVERY_ROWS = 1000
#: ... or so many seconds, for slow rates.
EVERY_S = 1.0
#: How often a full journal is asked again.
FULL_S = 0.1


class Importer:
    """
    Carries rows into a client.

    The client should be strict (a value or size it cannot take rejects the row) and should
    block when its journal is full.

    Args:
        client: Where rows go; anything with a `penstock.Client`'s methods.
        calls: Makes a call of a row.
        progress: Where to begin; kept up to date.
        rejects: Takes rows that cannot be used.
        checkpoint: Remembers the progress; None to remember nothing (a dry run).
        pace: Holds the rate; None for as fast as possible.
        watch: Told the progress after each checkpoint.
        guard: Called before each checkpoint; raises if what was captured is not safe.
        wait: Called while the journal is full, before the row is tried again; may raise.
    """

    def __init__(
        self,
        client: Any,
        calls: Calls,
        progress: Progress,
        rejects: Rejects,
        *,
        checkpoint: Checkpoint | None = None,
        pace: Pace | None = None,
        watch: Callable[[Progress], None] = lambda _: None,
        guard: Callable[[], object] = lambda: None,
        wait: Callable[[], object] = lambda: time.sleep(FULL_S),
    ) -> None:
        self.progress = progress
        self._client = client
        self._calls = calls
        self._rejects = rejects
        self._checkpoint = checkpoint
        self._pace = pace
        self._watch = watch
        self._guard = guard
        self._wait = wait
        self._due_s = 0.0

    def run(self, rows: Iterable[Row | BadRow], limit: int | None = None) -> Progress:
        """
        Deal with every row that the progress does not count yet.

        The checkpoint is saved also when this ends by an exception or a signal's.

        Args:
            rows: All rows of the file, from the first.
            limit: Stop after the row of this number.
        """
        try:
            for row in rows:
                if limit is not None and row.number > limit:
                    return self.progress
                if row.number > self.progress.rows:
                    self._deal_with(row)
            self.progress.complete = True
        finally:
            self._save()
            self._rejects.close()
        return self.progress

    def _deal_with(self, row: Row | BadRow) -> None:
        reason = row.reason if isinstance(row, BadRow) else self._capture(row)
        if reason:
            self._rejects.add(row, reason)
            self.progress.rejected += 1
        else:
            self.progress.accepted += 1
        self.progress.rows = row.number
        if not row.number % EVERY_ROWS or (self._pace and time.monotonic() > self._due_s):
            self._save()

    def _capture(self, row: Row) -> str:
        """Capture the row; the reason why not, else an empty text."""
        if self._pace:
            self._pace.wait()
        try:
            self._insist(self._calls.of(row))
        except (BadValue, ValidationError) as error:
            return str(error)
        return ""

    def _insist(self, call: Call) -> None:
        """A full journal empties as events are delivered: wait, rather than lose the row."""
        while True:
            try:
                call.on(self._client)
            except QueueFullError:
                self._watch(self.progress)
                self._wait()
            else:
                return

    def _save(self) -> None:
        self._guard()
        self.progress.rejects_bytes = self._rejects.flush()
        if self._checkpoint is not None:
            self._checkpoint.save(self.progress)
        self._due_s = time.monotonic() + EVERY_S
        self._watch(self.progress)
