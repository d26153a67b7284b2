"""
Following a store: what arrives, read off the log, and what becomes of it, read off the ledger.

An event is seen as soon as the disk has it. Its verdict is known when the pipeline has sealed its
request: the new files say which events were stored, and one that is in none of them was a
repetition. Decoding is bounded: of more than `MOST_PER_SECOND` events a second, whole requests are
left out and counted, so that watching stays cheap while the collector is busy.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from penstock.collector.layout import EVENTS, TABLES
from penstock.collector.log.entry import unpacked
from penstock.collector.log.reading import LaneReader, lane_paths
from penstock.collector.pages.arrival import (
    CHANGED,
    DUPLICATE,
    RECEIVED,
    STORED,
    Arrival,
    arrivals_of,
)
from penstock.collector.pages.minutes import SHOWN, Minutes
from penstock.collector.pages.ring import Ring
from penstock.collector.store import ledger, recent, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from penstock.collector.layout import Layout
    from penstock.collector.log.reading import Entry
    from penstock.collector.pages.arrival import Place

_log = logging.getLogger("penstock.collector")

#: Events decoded in a second.
MOST_PER_SECOND = 2000
#: Seconds between two looks.
_POLL_S = 0.1
#: Seconds before trying again what went wrong.
_RETRY_S = 2.0
#: Looks at the log between two at what is to be kept of it.
_KEEP_EVERY = 5
#: Seconds that who looks first waits for the chart.
_PATIENCE_S = 1.0
#: Events whose verdict is waited for.
_MOST_PENDING = 20_000


class Follower:
    """
    Fills a ring and the minutes.

    Args:
        layout: The store.
        kept_bytes: How much of the requests is kept, see `penstock.collector.store.recent`.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        layout: Layout,
        kept_bytes: int = recent.KEPT_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._layout = layout
        self._kept_bytes = kept_bytes
        self._clock = clock
        self.ring = Ring()
        self.minutes = Minutes()
        self._readers: dict[str, LaneReader] = {}
        self._pending: dict[str, Arrival] = {}
        self._sealed = ledger.load(layout.sealed)
        self.minutes.see(self._sealed.counts, clock())
        #: Files that began to count before the last look, and with it: an event may be sealed
        #: between our looks at the log and at the ledger, and is seen with the next look.
        self._files: tuple[list[Path], list[Path]] = ([], [])
        #: Places of pending events that were found in a file.
        self._stored: set[Place] = set()
        self._looks = 0
        self._seeding = threading.Lock()
        self._seeder: threading.Thread | None = None
        self._allowance = float(MOST_PER_SECOND)
        self._deletions = self._last_deletion()

    def run(self, leave: threading.Event) -> None:
        """Follow until told to leave; whatever goes wrong is told and tried again."""
        while not leave.is_set():
            pause = _POLL_S
            try:
                self.step()
            except Exception as error:  # noqa: BLE001 - the border: the pages show what they have
                _log.error("the debugger cannot follow the log: %s", type(error).__name__)
                pause = _RETRY_S
            leave.wait(pause)

    def step(self) -> None:
        """Look once."""
        if self._looks % _KEEP_EVERY == 0:
            with contextlib.suppress(OSError):  # a full disk: then the requests are not kept
                recent.keep(self._layout, self._kept_bytes)
        self._looks += 1
        self._allowance = min(MOST_PER_SECOND, self._allowance + MOST_PER_SECOND * _POLL_S)
        self._forget_deleted()
        arrivals = [arrival for reader in self._lanes() for arrival in self._read(reader)]
        self.ring.add(arrivals)
        self._pending |= {a.key: a for a in arrivals if a.verdict == RECEIVED}
        for key in list(islice(self._pending, max(0, len(self._pending) - _MOST_PENDING))):
            self._stored.discard(self._pending.pop(key).place)  # the pipeline is far behind
        self._settle()

    # -- what arrives ----------------------------------------------------------------------

    def _lanes(self) -> list[LaneReader]:
        present = {path.name: path for path in lane_paths(self._layout.log)}
        for name, path in present.items():
            if name not in self._readers:
                after = self._sealed.lanes.get(name, 0)
                self._readers[name] = LaneReader(path, after)
        for name in set(self._readers) - set(present):
            self._readers.pop(name).close()
        return list(self._readers.values())

    def _read(self, reader: LaneReader) -> Iterator[Arrival]:
        while (entry := reader.next()) is not None:
            with contextlib.suppress(ValueError):  # wiped, or not written by a worker
                yield from self._decoded(reader.name, entry)

    def _decoded(self, lane: str, entry: Entry) -> Iterator[Arrival]:
        count = unpacked(entry.payload)[0].count
        if self._allowance <= 0:
            self.ring.skipped += count
            return
        self._allowance -= count
        yield from arrivals_of(entry.payload, lane, entry.ordinal)

    # -- what becomes of it ----------------------------------------------------------------

    def _settle(self) -> None:
        before, self._sealed = self._sealed, ledger.load(self._layout.sealed)
        self.minutes.see(self._sealed.counts, self._clock())
        new = self._files_after(before.through) if before.through != self._sealed.through else []
        self._files = self._files[1], new
        if not self._pending:
            return
        self._look_into([*self._files[0], *new])
        due = [arrival for arrival in self._pending.values() if self._is_sealed(arrival)]
        self.ring.add([_settled(arrival, arrival.place in self._stored) for arrival in due])
        for arrival in due:
            del self._pending[arrival.key]
            self._stored.discard(arrival.place)

    def _is_sealed(self, arrival: Arrival) -> bool:
        """A lane that is gone was sealed to its end."""
        return arrival.request <= self._sealed.lanes.get(arrival.lane, 0) or (
            arrival.lane not in self._readers and arrival.lane not in self._sealed.lanes
        )

    def _files_after(self, number: int) -> list[Path]:
        found = [f for f in self._layout.files(EVENTS) if number < f.number <= self._sealed.through]
        return [file.path for file in sorted(found, key=lambda file: file.number)]

    def _look_into(self, files: list[Path]) -> None:
        """Note which pending events are in these files."""
        if files:
            from penstock.collector.pages.stored import places_in

            places = {arrival.place for arrival in self._pending.values()}
            ids = {place[0] for place in places}
            for path in files:
                with contextlib.suppress(OSError):  # merged, and gone
                    self._stored |= places & places_in(path, ids)

    # -- the rest --------------------------------------------------------------------------

    def seed(self, patience_s: float = _PATIENCE_S) -> None:
        """
        Count the hour before our start from the store; once, when somebody looks.

        Args:
            patience_s: Seconds to wait for that; it goes on by itself.
        """
        with self._seeding:
            if self._seeder is None:
                self._seeder = threading.Thread(target=self._seed, daemon=True)
                self._seeder.start()
        self._seeder.join(patience_s)

    def _seed(self) -> None:
        from penstock.collector.pages.stored import rows_by_minute

        try:
            seen = snapshot.take(self._layout)
            since = self._clock() - SHOWN * 60
            stored, bad = (rows_by_minute(seen.files[table], since) for table in TABLES)
        except (OSError, ValueError):  # files were merged meanwhile, for once too fast
            return
        self.minutes.restart(stored, bad, seen.counts, self._clock())

    def _last_deletion(self) -> int:
        try:
            return self._layout.deletions.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def _forget_deleted(self) -> None:
        """Somebody's data was deleted: what is in memory may be theirs."""
        last = self._last_deletion()
        if last != self._deletions:
            self._deletions = last
            recent.forget(self._layout)
            self.ring.clear()
            self._pending.clear()
            self._stored.clear()


def _settled(arrival: Arrival, stored: bool) -> Arrival:
    verdict = (CHANGED if arrival.note else STORED) if stored else DUPLICATE
    return msgspec.structs.replace(arrival, verdict=verdict)
