"""
Telling how the destinations stand, once a second.

An outbox is a few lanes. The pipeline holds those it appends to and delivers, and their accounts
are in memory: nothing is read but the first event that waits. A lane that is not held is being
adopted this moment, belongs to a destination that is not configured any more, or to somebody who
drains it by hand; it is recounted as `penstock ledger` does it, and seldom.

Sums of all time do not go back when a lane is removed: it left its account in a file first. Only
erasing a user's events can take one back (`penstock.collector.store.unsent`).
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from penstock.collector.routing.standings import Standing, StandingsFile, told_in
from penstock.errors import JournalError
from penstock.journal.disk import LANE_PREFIX, RETIRED
from penstock.journal.inspection import LaneState, look_at, retired_ledgers
from penstock.journal.ledger import DestinationLedger, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from penstock.collector.layout import Layout
    from penstock.collector.routing.standings import Told

_log = logging.getLogger("penstock.collector")

#: Seconds between two tellings.
_EVERY_S = 1.0
#: Seconds that the adoption of a lane may take; until then the outbox stands as it was told last.
_ADOPTED_S = 10.0
#: Seconds for which a recount of a lane that somebody else has is good enough.
_RECOUNTED_S = 60.0


class Live(NamedTuple):
    """An outbox that the pipeline has open."""

    #: ``{lane: its state}``
    lanes: dict[str, LaneState]
    #: ``{destination name: (outcome, status, requests)}``
    requests: dict[str, list[tuple[str, str, int]]]


_CLOSED = Live({}, {})
_UNREADABLE = LaneState(Ledger(), {})


class Teller:
    """
    Tells how the destinations of a store stand.

    Args:
        layout: The store.
        live: Gives the outboxes that are open, by the names of their directories.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        layout: Layout,
        live: Callable[[], Mapping[str, Live]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._layout = layout
        self._live = live
        self._clock = clock
        self._told: Told = told_in(layout.standings)
        self._file: StandingsFile | None = None
        #: ``{lane: when we first saw that it is not held}``
        self._foreign: dict[Path, float] = {}
        #: ``{lane: (when it was recounted, what was found)}``
        self._recounted: dict[Path, tuple[float, LaneState]] = {}

    def tell(self) -> None:
        """
        Tell once.

        Raises:
            OSError: An outbox cannot be read now, or there is no room for the file yet.
        """
        live = self._live()
        root = self._layout.outbox
        there = {path.name for path in root.iterdir() if path.is_dir()} if root.is_dir() else set()
        self._told = {
            name: self._outbox(root / name, live.get(name, _CLOSED))
            for name in sorted({*there, *live})
        }
        if self._file is None:
            self._file = StandingsFile(self._layout.standings)
        self._file.tell(self._told)
        self._foreign = {path: at for path, at in self._foreign.items() if path.exists()}
        recounted = self._recounted.items()
        self._recounted = {path: found for path, found in recounted if path in self._foreign}

    def _outbox(self, journal: Path, live: Live) -> dict[str, Standing]:
        # In this order: what is retired between the two is in the file, and counts from there.
        retired = retired_ledgers(journal / RETIRED)
        paths = [path for path in journal.glob(f"{LANE_PREFIX}*") if path.name not in retired]
        foreign = [path for path in paths if path.name not in live.lanes]
        if any(self._is_new(path) for path in foreign):
            return self._told.get(journal.name, {})
        held = [state for name, state in live.lanes.items() if name not in retired]
        states = [*held, *map(self._recount, foreign)]
        total = sum([*retired.values(), *(state.ledger for state in states)], Ledger())
        accounts = {**dict.fromkeys(live.requests, DestinationLedger()), **total.destinations}
        return {
            name: Standing(
                ledger=account,
                oldest=min((s.oldest[name] for s in states if name in s.oldest), default=None),
                requests=live.requests.get(name, []),
            )
            for name, account in accounts.items()
        }

    def _is_new(self, lane: Path) -> bool:
        now = self._clock()
        return now < self._foreign.setdefault(lane, now) + _ADOPTED_S

    def _recount(self, lane: Path) -> LaneState:
        at, found = self._recounted.get(lane, (0.0, _UNREADABLE))
        now = self._clock()
        if lane not in self._recounted or now >= at + _RECOUNTED_S:
            try:
                found = look_at(lane)
            except JournalError:
                found = _UNREADABLE
            self._recounted[lane] = now, found
        return found

    @contextmanager
    def working(self) -> Iterator[None]:
        """Tell once a second meanwhile."""
        leave = threading.Event()
        thread = threading.Thread(
            target=self._work, args=(leave,), name="penstock-teller", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            leave.set()
            thread.join()
            if self._file is not None:
                self._file.close()

    def _work(self, leave: threading.Event) -> None:
        while True:
            try:
                self.tell()
            except (OSError, ValueError):  # a lane went while it was read: next time
                _log.debug("cannot tell how the destinations stand", exc_info=True)
            except Exception:  # noqa: BLE001 - the border: it must never stop the pipeline
                _log.exception("cannot tell how the destinations stand")
            if leave.wait(_EVERY_S):
                return
