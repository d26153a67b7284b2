"""
The segments of a lane: the one being written, the full ones before it, and one made ahead.

Callers write a lane, senders read it and the worker makes it longer, all at once. So there are
two locks, both the lane's: the pen's, held while it changes which segment is written, and the
readers', held while a segment is read or unmapped.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from penstock.journal._budget import JournalFull
from penstock.journal._pen import CLOSED
from penstock.journal._segment import SEGMENT_HEADER_BYTES
from penstock.journal.record import scan

if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from threading import RLock

    from penstock._native import Pen as NativePen
    from penstock.journal._budget import Budget
    from penstock.journal._cursor import Position
    from penstock.journal._pen import Pen
    from penstock.journal._segment import Segment, SegmentStore

FIRST_SEGMENT_BYTES = 1024 * 1024
LAST_SEGMENT_BYTES = 8 * 1024 * 1024
#: At most this often a full or unwritable disk is asked again.
RETRY_CREATE_S = 0.25


class Place(NamedTuple):
    """A segment, where its records end, and whether more will follow there."""

    segment: Segment
    end: int
    growing: bool


class Chain:
    """
    The segments of one lane.

    Args:
        pen: Writes on the current one.
        lock: The pen's, re-entrant.
        budget: Bytes the journal may take.
        on_wake: Called when there is something for the worker to do: a spare, or room to find.

    Attributes:
        store: Where they lie; None until the lane is opened.
        current: The one being written; None before the first, and in a dead process's lane.
        ends: Where the records of the full ones end, by number.
    """

    def __init__(
        self, pen: Pen | NativePen, lock: RLock, budget: Budget, on_wake: Callable[[], None]
    ) -> None:
        self._pen = pen
        self._lock = lock
        self._budget = budget
        self._on_wake = on_wake
        self.store: SegmentStore | None = None
        self.current: Segment | None = None
        self.ends: dict[int, int] = {}
        self._spare: Segment | None = None
        self._mapped: dict[int, Segment] = {}
        self._last_number = 0
        self._synced_to = 0
        self._blocked_until = 0.0

    # -- growing ---------------------------------------------------------------------------

    def take_spare(self, needed: int) -> Segment | None:
        """The segment that was made ahead, if it has *needed* bytes, for the next record."""
        spare, self._spare = self._spare, None
        if spare is None:
            return None
        if spare.size >= needed:
            spare.begin(self._pen.ordinal + 1)
            return spare
        self._discard(spare)
        return None

    def create(self, store: SegmentStore, needed: int) -> Segment:
        """
        Make a segment of at least *needed* bytes for the next record.

        Raises:
            JournalFull: The cap is reached, or the disk was full a moment ago.
            OSError: The disk refused.
            MemoryError: There is none.
        """
        if time.monotonic() < self._blocked_until:
            raise JournalFull(self._budget.limit)
        # A caller waits for this: a small one, 0.7 ms, while the worker makes the next big one.
        size = max(min(self._next_bytes(), FIRST_SEGMENT_BYTES), (needed + 4095) & -4096)
        if not self._budget.take(size):
            self.block()
            self._on_wake()  # what dead processes left may be what fills it
            raise JournalFull(self._budget.limit)
        try:
            return store.create(self._new_number(), size, self._pen.ordinal + 1)
        except (OSError, MemoryError):
            self._budget.give(size)
            raise

    def block(self) -> None:
        """Ask the disk no more for a moment."""
        self._blocked_until = time.monotonic() + RETRY_CREATE_S

    def turn(self, segment: Segment) -> None:
        """Have the pen go on in *segment*; the one before is full."""
        previous, self.current = self.current, segment
        if previous is not None:
            self.ends[previous.number] = self._pen.tail  # unmapped once nobody reads it
        self._pen.turn(segment.buffer, SEGMENT_HEADER_BYTES)
        if previous is not None:
            self._on_wake()  # the worker makes the next spare

    def _new_number(self) -> int:
        """Numbers rise but may have gaps: a spare that came too late is thrown away."""
        self._last_number += 1
        return self._last_number

    def _next_bytes(self) -> int:
        grown = FIRST_SEGMENT_BYTES << min(len(self.ends), 3)
        return min(grown, LAST_SEGMENT_BYTES, max(64 * 1024, self._budget.limit // 8))

    def prepare(self) -> None:
        """Make the next segment ahead of need; called by the worker, never raises."""
        with self._lock:
            current = self.current
            idle = current is None or self._spare is not None or self._pen.limit == CLOSED
            first_half = self._pen.tail * 2 < (current.size if current else 0)
            if idle or (first_half and not self.ends):
                return
            store, size = self.store, self._next_bytes()
            if store is None or not self._budget.take(size):
                return
            number = self._new_number()
        try:
            spare = store.create(number, size, 0)
        except (OSError, MemoryError):  # no room: the append that needs it will tell
            self._budget.give(size)
            return
        self._offer(spare)

    def _offer(self, spare: Segment) -> None:
        with self._lock:
            wanted = self.current is not None and self.current.number < spare.number
            if wanted and self._spare is None and self._pen.limit != CLOSED:
                self._spare = spare
            else:
                self._discard(spare)

    def discard_spare(self) -> None:
        """Delete the segment that was made ahead; nothing will be written any more."""
        if self._spare is not None:
            self._discard(self._spare)
            self._spare = None

    def _discard(self, segment: Segment) -> None:
        segment.close()
        if self.store is not None:
            self.store.delete(segment.number)
        self._budget.give(segment.size)

    # -- reading ---------------------------------------------------------------------------

    def bytes_after(self, position: Position) -> int:
        """Bytes of records after *position*; at least a segment's when it is not the last."""
        with self._lock:
            current = self.current
            if current is None or current.number != position.segment:
                return FIRST_SEGMENT_BYTES if position.ordinal < self._pen.ordinal else 0
            return self._pen.tail - max(position.offset, SEGMENT_HEADER_BYTES)

    def place(self, number: int) -> Place | None:
        """A segment as it is to be read now, or None when it is gone."""
        with self._lock:
            current = self.current
            if current is not None and current.number == number:
                return Place(current, self._pen.tail, growing=True)
        held = self._mapped.get(number)
        if held is None and self.store is not None:
            held = self.store.open(number)
            if held is not None:
                self._mapped[number] = held
        if held is None:
            return None
        return Place(held, self.ends.get(number, held.size), growing=False)

    def following(self, number: int) -> int | None:
        """The next segment after *number* that holds records, or None."""
        with self._lock:
            current = self.current.number if self.current else 0
        stored = self.store.numbers() if self.store and not current else [*self.ends, current]
        return min((n for n in stored if n > number), default=None)

    def full(self) -> list[int]:
        """Numbers of the segments that nobody writes any more, ascending."""
        if self.current is not None:
            return sorted(self.ends)
        return self.store.numbers() if self.store else []

    def first_ordinal(self, number: int) -> int:
        """First ordinal of a full segment, or of the one being written."""
        place = self.place(number) if number else None
        segment = place.segment if place is not None else self.current
        return segment.first_ordinal if segment is not None else self._pen.ordinal + 1

    # -- letting go ------------------------------------------------------------------------

    def unmap(self, *, but: Container[int] = ()) -> None:
        """Unmap the full segments, except those of the numbers in *but*."""
        for number in [n for n in self._mapped if n not in but]:
            self._mapped.pop(number).close()

    def forget(self, number: int) -> None:
        """Delete a full segment."""
        held = self._mapped.pop(number, None)
        if held is not None:
            held.close()
        if self.store is not None:
            self._budget.give(self.store.size_of(number))
            self.store.delete(number)
        self.ends.pop(number, None)
        self._blocked_until = 0.0

    def sync(self) -> None:
        """
        Have the disk hold everything written before this call.

        Raises:
            OSError: The disk refused.
        """
        with self._lock:
            store, current = self.store, self.current
            numbers = [n for n in self.ends if n >= self._synced_to]
        if store is None or current is None:
            return
        for number in (*sorted(numbers), current.number):
            store.sync(number)
        self._synced_to = current.number

    def close(self) -> None:
        """Let go of every mapping and file."""
        self.unmap()
        if self.current is not None and self.store is not None and self.store.durable:
            self._pen.turn(bytearray(), 0)
            self.current.close()
        if self.store is not None:
            self.store.close()


def last_ordinal(store: SegmentStore) -> int:
    """Ordinal of the last valid record or void that *store* holds; 0 when there is none."""
    last = 0
    for number in reversed(store.numbers()):
        segment = store.open(number)
        if segment is None:
            continue
        found = _last_in(segment)
        last = max(last, found, segment.first_ordinal - 1)
        segment.close()
        if found:
            break
    return last


def _last_in(segment: Segment) -> int:
    last, offset = 0, SEGMENT_HEADER_BYTES
    while offset < segment.size:
        found = scan(
            segment.buffer, offset, segment.size, verify=True, max_records=1000, max_bytes=1 << 24
        )
        last, offset = max(last, found.last), found.offset
    return last
