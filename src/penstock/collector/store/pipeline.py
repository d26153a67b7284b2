"""
The pipeline: follows the lanes of the log and seals them.

It runs in a process of its own and owns everything in the store but the log's writing end. The
serving process keeps a pipe to its standard input; when that closes, for whatever reason, the
pipeline seals what there is and exits.

Any number of workers write, a lane each; the pipeline takes from all of them in turn, so that one
that is behind does not keep the others waiting.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from penstock.collector.log.entry import unpacked
from penstock.collector.log.lane import sync_directory
from penstock.collector.log.reading import Entry, LaneReader, lane_paths, sweep
from penstock.collector.store.catalog import Catalog
from penstock.collector.store.dedupe import Seen
from penstock.collector.store.housekeeping import Housekeeper
from penstock.collector.store.memory import restore
from penstock.collector.store.sealing import Run, Sealer, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from penstock.collector.config import Keeping, Sealing
    from penstock.collector.layout import Layout
    from penstock.collector.store.sealing import Sink

_MS = 1000
#: Seconds after which a lane that was not finished being made never will be.
_ABANDONED_S = 3600.0


class Lane:
    """
    One lane being followed.

    Args:
        reader: Reads it.
    """

    def __init__(self, reader: LaneReader) -> None:
        self.reader = reader
        #: What was read of it and is not sealed yet.
        self.entries: list[Entry] = []
        #: Nobody writes it any more, and everything was read.
        self.exhausted = False

    def next(self) -> Entry | None:
        """The next entry that is complete."""
        complete = self.reader.complete
        entry = self.reader.next()
        self.exhausted = complete and entry is None
        return entry


class Backlog:
    """
    What was read of all lanes and is not sealed yet.

    Args:
        policy: When it is enough for a run.
    """

    def __init__(self, policy: Sealing) -> None:
        self._policy = policy
        self._events = 0
        self._bytes = 0
        #: Milliseconds since 1970 when the oldest entry arrived.
        self._oldest = 0.0

    def read(self, lanes: Sequence[Lane]) -> None:
        """Read on, from each lane in turn, until there is enough or nothing more."""
        active = list(lanes)
        while active and not self.is_full:
            active = [lane for lane in active if self._read(lane)]

    def _read(self, lane: Lane) -> bool:
        entry = lane.next()
        if entry is None:
            return False
        try:
            head, _body = unpacked(entry.payload)
        except ValueError:  # not written by an ingest worker
            lane.reader.lost += 1
            return True
        self._oldest = min(self._oldest, head.received_at) if self._events else head.received_at
        lane.entries.append(entry)
        self._events += max(head.count, 1)
        self._bytes += max(head.size, len(entry.payload))
        return True

    @property
    def is_full(self) -> bool:
        """Whether it is enough for a run."""
        return self._events >= self._policy.events or self._bytes >= self._policy.bytes

    def is_due(self, now_ms: float) -> bool:
        """Whether it has waited long enough."""
        waited = now_ms - self._oldest >= self._policy.seconds * _MS
        return bool(self._events) and (self.is_full or waited)

    def clear(self) -> None:
        """It was sealed."""
        self._events = self._bytes = 0


class Pipeline:
    """
    Seals a store's log.

    Args:
        layout: The store.
        keeping: When to seal, what deduplication remembers, when to merge, what to delete.
        clock: Seconds since 1970.
        sinks: Others who get each run.
    """

    def __init__(
        self,
        layout: Layout,
        keeping: Keeping,
        *,
        clock: Callable[[], float] = time.time,
        sinks: Sequence[Sink] = (),
    ) -> None:
        self._layout = layout
        self._window = keeping.window
        self._clock = clock
        self._catalog = Catalog(layout, clock)
        self._sealer = Sealer(layout, self._catalog, sinks)
        self._seen = Seen(keeping.window)
        self._backlog = Backlog(keeping.sealing)
        self._lanes: dict[str, Lane] = {}
        #: Prepared, in this order; the first may be being written.
        self._unwritten: deque[Run] = deque()
        self._writing: Future[None] | None = None
        self._writer = ThreadPoolExecutor(1, "penstock-writer")
        #: Merges, expires and deletes; in a thread of its own or when told to.
        self.housekeeper = Housekeeper(layout, self._catalog, keeping, clock)

    def start(self) -> None:
        """Clean up after a predecessor that died and learn what the store holds."""
        self._catalog.recover()
        sweep(self._layout.log, self._clock() - _ABANDONED_S)
        present = {path.name for path in lane_paths(self._layout.log)}
        for lane in set(self._catalog.sealed.lanes) - present:
            self._catalog.retire(lane)
        since = self._clock() - self._window.hours * 3600
        restore(self._seen, self._layout, self._catalog, int(since * _MS))

    def step(self, *, drain: bool = False) -> int:
        """
        Look at every lane once and seal what is due.

        Args:
            drain: Seal everything there is.

        Returns:
            Runs sealed; 0 when there was nothing to do.

        Raises:
            OSError: The disk is full or failing. Nothing is lost: call again later.
        """
        self._write_all()
        wishes = self.housekeeper.new_wishes()
        self._find_lanes()
        runs = self._seal_all(drain=drain or bool(wishes))
        self._write_all()
        self.housekeeper.grant(wishes)
        for lane in [x for x in self._lanes.values() if x.exhausted and not x.entries]:
            self._retire(lane)
        return runs

    def _seal_all(self, *, drain: bool) -> int:
        """Seal until nothing is due; a worker that goes on writing does not keep us here."""
        lanes = list(self._lanes.values())
        runs, full = 0, True
        while full:
            self._backlog.read(lanes)
            full = self._backlog.is_full
            left = [lane for lane in lanes if lane.entries]
            ended = any(lane.reader.complete for lane in left)
            if not left or not (drain or ended or self._backlog.is_due(self._clock() * _MS)):
                break
            self._seal(left)
            runs += 1
        return runs

    def _find_lanes(self) -> None:
        for path in lane_paths(self._layout.log):
            if path.name not in self._lanes:
                last = self._catalog.sealed.lanes.get(path.name, 0)
                self._lanes[path.name] = Lane(LaneReader(path, last))
        for lane in self._lanes.values():
            lane.reader.complete = lane.reader.complete or lane.reader.abandoned()

    def _seal(self, lanes: Sequence[Lane]) -> None:
        lost = sum(lane.reader.lost for lane in self._lanes.values())
        entries = {lane.reader.name: lane.entries for lane in lanes}
        run = prepare(entries, self._seen.admit, lost=lost)
        for lane in self._lanes.values():
            lane.reader.lost = 0
        for lane in lanes:
            lane.entries = []
        self._backlog.clear()
        self._unwritten.append(run)
        self._write_next()

    def _write_all(self) -> None:
        """Commit every run that was prepared."""
        while self._unwritten:
            self._write_next()
            self._settle()

    def _write_next(self) -> None:
        """
        Begin to commit the first run, when the one before it is.

        While its files are written, the next run can be decoded: that is what makes a pipeline that
        is behind catch up.
        """
        self._settle()
        if self._unwritten:
            self._writing = self._writer.submit(self._sealer.commit, self._unwritten[0])

    def _settle(self) -> None:
        """
        Wait for the run being written; the log may forget it then.

        Raises:
            OSError: The disk is full or failing; it is still the first.
        """
        writing, self._writing = self._writing, None
        if writing is None:
            return
        writing.result()
        for name, last in self._unwritten.popleft().lanes.items():
            self._lanes[name].reader.forget(last)

    def _retire(self, lane: Lane) -> None:
        """Remove a lane that is sealed whole and that nobody writes."""
        lane.reader.remove()
        sync_directory(self._layout.log)
        del self._lanes[lane.reader.name]
        self._catalog.retire(lane.reader.name)

    def close(self) -> None:
        """Let go of the log."""
        self._writer.shutdown()
        for lane in self._lanes.values():
            lane.reader.close()
        self._lanes.clear()
