"""
The pipeline: follows the lanes of the log and seals them.

It runs in a process of its own and owns everything in the store but the log's writing end. The
serving process keeps a pipe to its standard input; when that closes, for whatever reason, the
pipeline seals what there is and exits.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from penstock.collector.dedupe import Seen
from penstock.collector.entry import unpacked
from penstock.collector.reading import Entry, LaneReader, lane_paths, sweep
from penstock.collector.sealing import Batch, Sealer, prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.collector.config import Sealing, Window
    from penstock.collector.layout import Layout

_MS = 1000
#: Seconds after which a lane that was not finished being made never will be.
_ABANDONED_S = 3600.0


class Pending:
    """What was read of a lane and is not sealed yet."""

    def __init__(self, reader: LaneReader) -> None:
        self.reader = reader
        self.entries: list[Entry] = []
        self.events = 0
        self.bytes = 0
        #: Milliseconds since 1970 when the oldest entry arrived.
        self.oldest = 0

    def read(self, policy: Sealing) -> None:
        """Read on until there is enough for a file."""
        while not self.full(policy):
            entry = self.reader.next()
            if entry is None:
                return
            self._add(entry)

    def _add(self, entry: Entry) -> None:
        try:
            head, _body = unpacked(entry.payload)
        except ValueError:  # not written by an ingest worker
            self.reader.lost += 1
            return
        if not self.entries:
            self.oldest = head.received_at
        self.entries.append(entry)
        self.events += head.count
        self.bytes += max(head.size, len(entry.payload))

    def full(self, policy: Sealing) -> bool:
        """Whether it is enough for a file."""
        return self.events >= policy.events or self.bytes >= policy.bytes

    def due(self, policy: Sealing, now_ms: float) -> bool:
        """Whether it should be sealed now."""
        waited = now_ms - self.oldest >= policy.seconds * _MS
        return bool(self.entries) and (self.full(policy) or waited or self.reader.complete)

    def take(self) -> list[Entry]:
        """Hand the entries over."""
        taken, self.entries = self.entries, []
        self.events = self.bytes = 0
        return taken


class Pipeline:
    """
    Seals a store's log.

    Args:
        layout: The store.
        sealing: When to write a file.
        window: What deduplication remembers.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        layout: Layout,
        sealing: Sealing,
        window: Window,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._layout = layout
        self._policy = sealing
        self._window = window
        self._clock = clock
        self._sealer = Sealer(layout)
        self._seen = Seen(window)
        self._lanes: dict[str, Pending] = {}
        self._unwritten: Batch | None = None

    def start(self) -> None:
        """Clean up after a predecessor that died and learn what the store holds."""
        self._sealer.recover()
        sweep(self._layout.log, self._clock() - _ABANDONED_S)
        present = {path.name for path in lane_paths(self._layout.log)}
        for lane in set(self._sealer.sealed.lanes) - present:
            self._sealer.retire(lane)
        since = self._clock() - self._window.hours * 3600
        self._sealer.restore(self._seen, int(since * _MS))

    def step(self, *, drain: bool = False) -> int:
        """
        Look at every lane once and seal what is due.

        Args:
            drain: Seal everything there is.

        Returns:
            Files' worth of runs sealed; 0 when there was nothing to do.

        Raises:
            OSError: The disk is full or failing. Nothing is lost: call again later.
        """
        self._write()
        self._find_lanes()
        runs = 0
        for lane in list(self._lanes.values()):
            lane.reader.complete = lane.reader.complete or lane.reader.abandoned()
            lane.read(self._policy)
            while lane.entries and (drain or lane.due(self._policy, self._clock() * _MS)):
                self._seal(lane)
                runs += 1
                lane.read(self._policy)
                if drain and not lane.reader.complete and not lane.full(self._policy):
                    break  # a worker that goes on writing must not keep us here
            if lane.reader.complete and not lane.entries:
                self._retire(lane)
        return runs

    def _find_lanes(self) -> None:
        paths = [path for path in lane_paths(self._layout.log) if path.name not in self._lanes]
        if paths:
            self._sealer.register([path.name for path in paths])
        for path in paths:
            self._lanes[path.name] = Pending(LaneReader(path, self._sealer.sealed.lanes[path.name]))

    def _seal(self, lane: Pending) -> None:
        entries = lane.take()
        self._unwritten = prepare(lane.reader.name, entries, self._seen.admit)
        self._unwritten.counts.lost, lane.reader.lost = lane.reader.lost, 0
        self._write()

    def _write(self) -> None:
        """Commit the batch that was prepared, at last."""
        batch = self._unwritten
        if batch is None:
            return
        self._sealer.commit(batch)
        self._unwritten = None
        name, _first, last = batch.run
        self._lanes[name].reader.forget(last)

    def _retire(self, lane: Pending) -> None:
        """Remove a lane that is sealed whole and that nobody writes."""
        lane.reader.remove()
        del self._lanes[lane.reader.name]
        self._sealer.retire(lane.reader.name)

    def close(self) -> None:
        """Let go of the log."""
        for lane in self._lanes.values():
            lane.reader.close()
        self._lanes.clear()
