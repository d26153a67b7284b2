"""
A lane: the chain of segments one process appends to, and the cursors that follow it.

What an append does for every record is the pen's (`penstock.journal._pen`); what it needs now
and then, such as a segment, is in `Lane.append`.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from threading import RLock
from typing import TYPE_CHECKING

import orjson

from penstock.errors import ClosedError
from penstock.journal._budget import JournalFull
from penstock.journal._chain import Chain, last_ordinal
from penstock.journal._cursor import CURSOR_BYTES, Cursor, Hole, Position
from penstock.journal._pen import CLOSED, NEVER, new_pen
from penstock.journal._reader import Reader
from penstock.journal._segment import SEGMENT_HEADER_BYTES, MemoryStore, Segment
from penstock.journal._slot import Slot
from penstock.journal.ledger import DestinationLedger, merged
from penstock.journal.record import checksum, span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.journal._budget import Budget
    from penstock.journal._reader import Chunk
    from penstock.journal._segment import SegmentStore
    from penstock.journal.record import Record, Run, Wanted

#: Room for what was refused before it became a record, both halves.
STATE_BYTES = 8 * 1024
#: A segment's number that no lane reaches.
_LAST = 1 << 62


class Lane:
    """
    One chain of segments.

    Args:
        open_store: Called by the first append; may raise `OSError`, then the lane stays in
            memory and *on_degraded* is told.
        budget: Bytes the journal may take.
        destinations: ``{identity: name}`` of those that will read; each has a cursor from the
            start, so that no segment is deleted before all have passed.
        on_wake: Called by `append` when a batch is complete, and by the first append.
        on_degraded: Called once with the error when the disk cannot be used.
        keep_aside: Stores an event elsewhere that comes while the lane is being opened or grows,
            on the very thread that does it; None where nothing outlives the process anyway.
        synced: Whether the disk is to know that a segment was passed before it is deleted: a
            power loss in between would leave a cursor that misses it.
    """

    def __init__(
        self,
        open_store: Callable[[], SegmentStore],
        budget: Budget,
        destinations: Mapping[str, str],
        *,
        on_wake: Callable[[], None] = lambda: None,
        on_degraded: Callable[[OSError], None] = lambda _error: None,
        keep_aside: Callable[[tuple[int, int, int, bytes]], None] | None = None,
        synced: bool = False,
    ) -> None:
        self._synced = synced
        self._open_store = open_store
        self._keep_aside = keep_aside
        self._destinations = dict(destinations)
        self._on_wake = on_wake
        self._on_degraded = on_degraded
        self._lock = RLock()
        self._pen = new_pen(checksum, self._lock, self._save_state)
        #: `append` for the capture path: an ordinal to be brought to `after_write` if it is not
        #: above zero.
        self.write = self._pen.append
        self._chain = Chain(self._pen, self._lock, budget, on_wake)
        self._reader = Reader(self._chain, self._pen, self._learn)
        self._reading = self._reader.lock
        self._in_slow_path = False
        self._interrupting: list[tuple[int, int, int, bytes]] = []
        self._wake_bytes = NEVER
        self._refused: dict[str, int] = {}
        self._cursors: dict[str, Cursor] = {}
        #: What `reclaim` went by the last time.
        self._reclaimed: tuple[int, set[int], int] | None = None

    # -- appending -------------------------------------------------------------------------

    def append(self, kind: int, flags: int, captured_at: int, payload: bytes) -> int:
        """
        Store one event; when this returns it survives the death of the process.

        Args:
            kind: `penstock.kinds.Kind`.
            flags: ``FLAG_*`` of `penstock.journal.record`.
            captured_at: Seconds since 1970.
            payload: Neutral JSON.

        Returns:
            Its ordinal in this lane, from 1.

        Raises:
            JournalFull: The cap or the disk is full; nothing was stored.
            ClosedError: The lane is closed.
        """
        call = (kind, flags, captured_at, payload)
        return self.after_write(self.write(*call), call)

    def after_write(self, ordinal: int, call: tuple[int, int, int, bytes]) -> int:
        """
        Do what the pen left to do, until it has written *call*.

        Args:
            ordinal: What the pen answered; see `Pen.append`.
            call: The arguments it was given.

        Returns:
            The record's ordinal; 0 for one that a signal handler appended in the middle of
            another's slow path: see `_interrupt`.

        Raises:
            JournalFull: The cap or the disk is full; nothing was stored.
            ClosedError: The lane is closed.
        """
        while ordinal == 0:
            with self._lock:
                if not self._slow_path(span(len(call[3])), call):
                    return 0
                ordinal = self.write(*call)
        if ordinal < 0:
            with self._lock:
                self._wake()
        return abs(ordinal)

    def _slow_path(self, size: int, call: tuple[int, int, int, bytes]) -> bool:
        """
        Everything rare: a closed lane, the first or the next segment, a worker to wake.

        Returns:
            False when this append interrupted another one right here (a signal handler
            tracked something) and `_interrupt` has taken care of *call*.
        """
        pen = self._pen
        if pen.limit == CLOSED:
            raise ClosedError
        if self._in_slow_path:
            self._interrupt(call)
            return False
        self._in_slow_path = True
        pen.limit = 0  # nobody writes while the segment changes
        try:
            segment = self._chain.current
            if segment is None or pen.tail + size > segment.size:
                segment = self._next_segment(size)
            if pen.tail + size > self._wake_bytes or pen.ordinal == 0:
                self._wake()
            pen.limit = min(segment.size, self._wake_bytes)
        finally:
            self._in_slow_path = False
            self._catch_up()
        return True

    def _interrupt(self, call: tuple[int, int, int, bytes]) -> None:
        """
        Store *call* while the append it interrupted cannot go on.

        A handler may end the process as soon as it has its id, so waiting for the segment would
        lose the event. Only in memory, where it would be lost all the same, it waits.
        """
        try:
            if self._keep_aside is not None:
                self._keep_aside(call)
                return
        except (OSError, JournalFull):
            pass  # it is tried again once the interrupted append has its segment, or has none
        self._interrupting.append(call)

    def _catch_up(self) -> None:
        """Make the appends that had to wait; their callers have long gone on."""
        while self._interrupting:
            try:
                self.append(*self._interrupting.pop(0))
            except JournalFull:
                self.refuse("queue_full")

    def _wake(self) -> None:
        self._pen.wake_ordinal = self._wake_bytes = NEVER
        self._on_wake()

    def wake_after(self, events: int, size_bytes: int) -> None:
        """Have the next append that completes *events* or *size_bytes* call ``on_wake``."""
        with self._lock:
            pen = self._pen
            pen.wake_ordinal = pen.ordinal + events
            self._wake_bytes = pen.tail + size_bytes
            current = self._chain.current
            if current is not None and pen.limit != CLOSED:
                pen.limit = min(current.size, self._wake_bytes)

    def refuse(self, reason: str) -> None:
        """Count an event that was accepted and died before it became a record."""
        with self._lock:
            self._refused[reason] = self._refused.get(reason, 0) + 1
            if self._chain.store is None:
                self._open()
            self._save_state()

    # -- segments --------------------------------------------------------------------------

    def _open(self) -> SegmentStore:
        try:
            return self._use(self._open_store())
        except MemoryError:
            return self._stay_in_memory(OSError(errno.ENOMEM, "out of memory"))
        except OSError as error:
            return self._stay_in_memory(error)

    def _stay_in_memory(self, error: OSError) -> SegmentStore:
        self._on_degraded(error)
        return self._use(MemoryStore())

    def _use(self, store: SegmentStore) -> SegmentStore:
        numbers = store.numbers()
        start = Position(numbers[0] if numbers else 1, 0, 0)
        for identity, name in self._destinations.items():
            buffer = store.slot(f"cursor-{identity}", CURSOR_BYTES)
            self._cursors[identity] = Cursor(name, buffer, start)
        store.slot("lane", STATE_BYTES)  # a full disk has no room for it when it is needed
        self._chain.store = store
        return store

    def _next_segment(self, size: int) -> Segment:
        needed = size + SEGMENT_HEADER_BYTES
        segment = self._chain.take_spare(needed) or self._create(needed)
        self._chain.turn(segment)
        return segment

    def _create(self, needed: int) -> Segment:
        chain = self._chain
        fresh = chain.store is None  # once somebody reads the lane it stays what it is
        try:
            return chain.create(chain.store or self._open(), needed)
        except (OSError, MemoryError) as error:
            if not fresh or isinstance(error, MemoryError) or error.errno == errno.ENOMEM:
                chain.block()
                raise JournalFull(0) from error
            # The disk does not take the very first segment: go on in memory.
            return chain.create(self._stay_in_memory(error), needed)

    def prepare(self) -> None:
        """Make the next segment ahead of need; called by the worker, never raises."""
        self._chain.prepare()

    # -- state -----------------------------------------------------------------------------

    @property
    def durable(self) -> bool:
        """Whether what is appended outlives this process."""
        return self._chain.store is not None and self._chain.store.durable

    @property
    def opened(self) -> bool:
        """Whether anything was ever stored here."""
        return self._chain.store is not None

    @property
    def last_ordinal(self) -> int:
        """Ordinal of the last record; 0 before the first."""
        return self._pen.ordinal

    @property
    def refused(self) -> dict[str, int]:
        """Events dead before they became a record, ``{reason: count}``."""
        with self._lock:
            return dict(self._refused)

    @property
    def void_count(self) -> int:
        """Places reserved by appends that were interrupted."""
        with self._lock:
            return len(self._pen.voids)

    @property
    def accepted(self) -> int:
        """Calls that returned: records and refusals."""
        with self._lock:
            return self._accepted(self._pen.ordinal)

    def _accepted(self, ordinal: int) -> int:
        """Calls that returned when *ordinal* was the last record's."""
        return ordinal - len(self._pen.voids) + sum(self._refused.values())

    def _save_state(self) -> None:
        if self._chain.store is not None:
            slot = Slot(self._chain.store.slot("lane", STATE_BYTES))
            slot.load()
            slot.store(orjson.dumps({"refused": self._refused, "voids": self._pen.voids}))

    def cursor(self, identity: str) -> Cursor:
        """The cursor of destination *identity*; the lane must be `opened`."""
        return self._cursors[identity]

    def account(self, identity: str) -> DestinationLedger:
        """
        Destination *identity*'s account in this lane.

        What is pending is counted from the records (open, or beyond the head), not derived
        from what was accepted: that the account balances is a finding.
        """
        with self._lock:
            if self._chain.store is None:
                return DestinationLedger()
            cursor = self._cursors[identity]
            with cursor.lock:
                last = self._pen.ordinal  # once: others may be appending
                beyond = last - cursor.head.ordinal
                voids = sum(ordinal > cursor.head.ordinal for ordinal in self._pen.voids)
                records = last - cursor.voids - voids
                return DestinationLedger(
                    accepted=records + sum(self._refused.values()) - cursor.excluded,
                    delivered=cursor.delivered,
                    pending=cursor.open_count + beyond - voids,
                    dead=merged(cursor.dead, self._refused),
                )

    # -- reading ---------------------------------------------------------------------------

    def bytes_after(self, position: Position) -> int:
        """Bytes of records after *position*; at least a segment's when it is not the last."""
        return self._chain.bytes_after(position)

    def read(self, position: Position, max_records: int, max_bytes: int) -> Chunk:
        """As `Reader.read`."""
        return self._reader.read(position, max_records, max_bytes)

    def read_run(self, position: Position, wanted: Wanted) -> tuple[Run, Position] | None:
        """As `Reader.read_run`."""
        return self._reader.read_run(position, wanted)

    def reread(self, hole: Hole) -> list[Record]:
        """As `Reader.reread`."""
        return self._reader.reread(hole)

    def _learn(self, voids: list[int]) -> None:
        """Take in voids that the lane's state does not tell: its writer died in between."""
        with self._lock:
            unknown = [ordinal for ordinal in voids if ordinal not in self._pen.voids]
            if unknown:
                self._pen.voids += unknown
                self._save_state()

    # -- forgetting ------------------------------------------------------------------------

    def reclaim(self) -> bool:
        """
        Delete the segments every cursor has passed, unmap those nobody reads.

        Returns:
            Whether room became free.
        """
        with self._reading:
            if self._chain.store is None or not self._cursors:
                return False
            low = min(cursor.low for cursor in self._cursors.values())
            reading = {cursor.head.segment for cursor in self._cursors.values()}
            with self._lock:
                current = self._chain.current.number if self._chain.current else _LAST
            if (low, reading, current) == self._reclaimed:  # asked after every request
                return False
            self._reclaimed = (low, reading, current)
            with self._lock:
                passed = [n for n in self._chain.full() if n < min(low, current)]
            self._chain.unmap(but=reading)
            if passed:
                self._sync_state()
            for number in passed:
                self._chain.forget(number)
            return bool(passed)

    def _sync_state(self) -> None:
        store = self._chain.store
        if self._synced and store is not None:
            with suppress(OSError):  # the price is a wrong count, and that only if the power goes
                store.sync_state()

    def drop_oldest(self) -> int:
        """
        Make room by giving up the oldest sealed segment.

        Returns:
            How many events died, summed over destinations; 0 with nothing to give up.
        """
        with self._reading, self._lock:
            ends = self._chain.ends
            if self._chain.current is None or not ends:
                return 0
            number = min(ends)
            following = min((n for n in ends if n > number), default=0)
            last = self._chain.first_ordinal(following) - 1
            count = 0
            for cursor in self._cursors.values():
                count += cursor.drop_segment(number, last, self._pen.voids, "queue_full")
            self._sync_state()
            self._chain.forget(number)
            return count

    # -- living ----------------------------------------------------------------------------

    def sync(self) -> None:
        """
        Have the disk hold everything appended before this call; survives power loss.

        Raises:
            OSError: The disk refused.
        """
        self._chain.sync()

    def adopt(self, store: SegmentStore) -> None:
        """Take over a dead process's lane: read only from here on, every checksum verified."""
        self._use(store)
        self._reader.adopted = True
        self._pen.limit = CLOSED
        stored = Slot(store.slot("lane", STATE_BYTES)).load() or {}
        self._refused = dict(stored.get("refused", {}))
        self._pen.voids = list(stored.get("voids", []))
        # What is known beyond the last record was passed and is gone, was lost with the power,
        # or is damaged; and a segment that was made ahead may be all there is.
        told = [*(cursor.head.ordinal for cursor in self._cursors.values()), *self._pen.voids]
        self._pen.ordinal = max([last_ordinal(store), *told])

    def stop(self) -> None:
        """Refuse every append from now on; reading goes on."""
        with self._lock:
            self._pen.limit = CLOSED
            self._chain.discard_spare()

    def close(self) -> None:
        """Stop, and let go of every mapping and file."""
        self.stop()
        with self._reading, self._lock:
            self._chain.close()
