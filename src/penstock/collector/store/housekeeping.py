"""
Housekeeping: what must be done to a store's files besides sealing, one thing after the other.

Requests first (deletions, compaction on demand), then what has expired, then small files, then
files that stopped counting a while ago. It runs in a thread beside the pipeline; whatever goes
wrong in it is told and tried again, and never stops the pipeline.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from penstock.collector.store import wishes
from penstock.collector.store.compaction import Compactor
from penstock.collector.store.deletions import delete_user, forget
from penstock.collector.store.expiry import expire
from penstock.collector.store.unsent import unlent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from penstock.collector.config import Keeping
    from penstock.collector.layout import Layout
    from penstock.collector.store.catalog import Catalog
    from penstock.collector.store.unsent import Lend
    from penstock.collector.store.wishes import Wish

_log = logging.getLogger("penstock.collector")

#: Seconds before trying again what went wrong.
_RETRY_S = 5.0
#: Seconds between two looks for what has expired.
_EXPIRY_S = 600.0
_MS_PER_HOUR = 3_600_000


class Housekeeper:
    """
    Keeps a store's files.

    Args:
        layout: The store.
        catalog: Its catalog.
        keeping: When to merge files, what to delete, how long ids are remembered.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        layout: Layout,
        catalog: Catalog,
        keeping: Keeping,
        clock: Callable[[], float],
    ) -> None:
        self._layout = layout
        self._catalog = catalog
        self._keeping = keeping
        self._clock = clock
        self._compactor = Compactor(layout, catalog, keeping.compaction)
        self._taken: set[str] = set()
        self._granted: list[Wish] = []
        self._expired_at = 0.0
        self._leave = threading.Event()
        #: Set by whoever delivers the store's outboxes.
        self.lend: Lend = unlent

    def new_wishes(self) -> list[Wish]:
        """Requests that nobody has taken up; the log must be sealed before they are granted."""
        return [wish for wish in wishes.pending(self._layout) if wish.id not in self._taken]

    def grant(self, sealed_for: Sequence[Wish]) -> None:
        """The log is sealed up to when these were asked: they can be done."""
        self._taken.update(wish.id for wish in sealed_for)
        self._granted += sealed_for

    def step(self) -> int:
        """
        Do what is due.

        Returns:
            How much was done; 0 when there was nothing to do.

        Raises:
            OSError: The disk is full or failing: call again later.
        """
        done = 0
        while self._granted:
            self._fulfil(self._granted[0])
            self._taken.discard(self._granted.pop(0).id)
            done += 1
        done += self._expire()
        done += self._compactor.step(self._clock())
        return done + self._catalog.sweep(self._keeping.compaction.grace)

    def settle(self) -> None:
        """
        Leave nothing outside the partitions: other engines read these only.

        Raises:
            OSError: The disk is full or failing; nothing has changed.
        """
        self._compactor.settle(self._clock())

    def _fulfil(self, wish: Wish) -> None:
        if wish.kind == "delete-user":
            delete_user(self._layout, self._catalog, wish, self.lend)
        else:
            self._compactor.step(self._clock(), everything=True)
        wishes.fulfilled(self._layout, wish)

    def _expire(self) -> int:
        now = self._clock()
        if now < self._expired_at + _EXPIRY_S:
            return 0
        forget(self._layout, now * 1000 - 2 * self._keeping.window.hours * _MS_PER_HOUR)
        expired = expire(self._layout, self._catalog, self._keeping.retention, now)
        self._expired_at = now
        return expired

    @contextmanager
    def working(self) -> Iterator[None]:
        """Work in a thread meanwhile; at the end, let it finish what it is at."""
        thread = threading.Thread(target=self._work, name="penstock-housekeeper", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._leave.set()
            thread.join()

    def _work(self) -> None:
        while not self._leave.is_set():
            pause = self._keeping.compaction.poll
            try:
                self.step()
            except OSError as error:
                _log.error("cannot tidy the store, trying again: %s", error.strerror or error)
                pause = _RETRY_S
            except Exception:  # noqa: BLE001 - the border: it must never stop the pipeline
                _log.exception("cannot tidy the store, trying again")
                pause = _RETRY_S
            self._leave.wait(pause)
