"""
One destination's place in one lane, and its account there.

The *head* is where reading goes on. What was read but is not settled yet lies in *holes*: one
per batch, each a run of ordinals with the set of those still open. The state on disk is always
"head and holes", so a crash resends exactly what was unsettled when the last answer came in,
and nothing else: a slow batch never makes the ones after it be sent twice.

The head is not written when records are handed out: until an answer comes in, a crash finds
the older state, in which they still lie beyond the head.
"""

from __future__ import annotations

from operator import itemgetter
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from penstock.journal._slot import Slot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from penstock.journal._segment import Buffer
    from penstock.journal.record import Record

#: Room for the state in bytes, both halves. `penstock.config` bounds batches to 2,500 events and
#: 40 at a time; all of them half settled take 27 KiB a half.
CURSOR_BYTES = 64 * 1024
#: A segment's number that no lane reaches.
_BEHIND_ALL = 1 << 62


_ordinal_of = itemgetter(0)  # of a record, a sixth of what an attribute of it costs


class Position(NamedTuple):
    """A place in a lane: the record that starts there comes after *ordinal*."""

    segment: int
    offset: int
    ordinal: int


class Hole:
    """
    A batch that was handed out: the ordinals in it that nobody has answered for.

    Those of a batch that is handed out and answered as a whole are never looked at one by one:
    as long as all of a run are open it is kept as a range.
    """

    __slots__ = ("_open", "_run", "start")

    def __init__(self, start: Position, unsettled: Iterable[int]) -> None:
        self.start = start
        self._run = unsettled if isinstance(unsettled, range) else None
        self._open = set() if self._run is not None else set(unsettled)

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self._open if self._run is None else self._run)

    @property
    def open(self) -> set[int]:
        """The ordinals, one by one."""
        if self._run is not None:
            self._open, self._run = set(self._run), None
        return self._open

    @property
    def first(self) -> int:
        """The lowest; there must be one."""
        return min(self._open) if self._run is None else self._run[0]

    @property
    def last(self) -> int:
        """The highest; there must be one."""
        return max(self._open) if self._run is None else self._run[-1]

    def copy(self) -> Hole:
        """As it is now."""
        return Hole(self.start, self._open if self._run is None else self._run)

    def close(self, ordinals: Iterable[int]) -> int:
        """Take *ordinals* out; how many of them were open."""
        before = self.count
        if self._run is not None and ordinals == self._run:
            self._run = None
        else:
            self.open.difference_update(ordinals)
        return before - self.count


class Cursor:
    """
    Head, holes and account of one destination in one lane.

    Every method takes `lock`; callers that need several steps to be one take it around them.

    Args:
        name: The destination's name, kept for whoever inspects the lane later.
        buffer: `CURSOR_BYTES` that survive like the records do.
        start: Where a cursor that was never stored begins.
    """

    def __init__(self, name: str, buffer: Buffer, start: Position) -> None:
        self.lock = RLock()
        self.name = name
        self.head = start
        self.holes: list[Hole] = []
        self.delivered = 0
        self.excluded = 0
        self.voids = 0
        self.dead: dict[str, int] = {}
        self._slot = Slot(buffer)
        stored = self._slot.load()
        if stored is None:
            self._save()
        else:
            self._restore(stored)

    # -- reading ---------------------------------------------------------------------------

    @property
    def low(self) -> int:
        """Number of the first segment still needed."""
        with self.lock:
            return min([self.head.segment, *(hole.start.segment for hole in self.holes)])

    @property
    def settled(self) -> int:
        """The ordinal up to which nothing is open."""
        with self.lock:
            return min([self.head.ordinal, *(hole.first - 1 for hole in self.holes)])

    @property
    def open_count(self) -> int:
        """Records handed out and not settled."""
        with self.lock:
            return sum(hole.count for hole in self.holes)

    # -- moving ----------------------------------------------------------------------------

    def hand_out(self, records: Sequence[Record] | range, after: Position, voids: int) -> Hole:
        """
        Move the head past *records*, or a run's ordinals, and keep them open.

        Ordinals missing in between were accepted and cannot be read any more: they are dead
        as ``corrupt``.
        """
        with self.lock:
            ordinals = records if isinstance(records, range) else map(_ordinal_of, records)
            hole = Hole(self.head, ordinals)
            lost = after.ordinal - self.head.ordinal - len(records) - voids
            if lost > 0:
                self._bury("corrupt", lost)
            self.voids += voids
            self.head = after
            if hole.count:
                self.holes.append(hole)
            elif lost > 0 or voids:
                self._save()
            return hole

    def settle(
        self,
        hole: Hole,
        *,
        delivered: Iterable[int] = (),
        excluded: Iterable[int] = (),
        dead: Mapping[str, Iterable[int]] | None = None,
    ) -> None:
        """
        Account for ordinals of *hole*; each counts once, however often it is settled.

        When this returns the new state is in the buffer: a crash does not send them again.
        """
        with self.lock:
            self.delivered += hole.close(delivered)
            self.excluded += hole.close(excluded)
            for reason, ordinals in (dead or {}).items():
                self._bury(reason, hole.close(ordinals))
            if not hole.count and hole in self.holes:
                self.holes.remove(hole)
            self._save()

    def exclude_rest(self, last: int) -> None:
        """Pass everything up to *last*, of a lane that does not grow: not for this destination."""
        with self.lock:
            self.excluded += max(0, last - self.head.ordinal)
            self.head = Position(_BEHIND_ALL, 0, max(last, self.head.ordinal))
            self._save()

    def drop_segment(self, number: int, last: int, voids: Iterable[int], reason: str) -> int:
        """
        Give up everything unsettled in segment *number*, whose last ordinal is *last*.

        Returns:
            How many events died.
        """
        with self.lock:
            count = 0
            for hole in [hole for hole in self.holes if hole.start.segment <= number]:
                gone = [ordinal for ordinal in hole.open if ordinal <= last]
                count += hole.close(gone)
                if not hole.count:
                    self.holes.remove(hole)
            if self.head.segment <= number:
                passed = [v for v in voids if self.head.ordinal < v <= last]
                count += max(0, last - self.head.ordinal - len(passed))
                self.voids += len(passed)
                self.head = Position(number + 1, 0, max(last, self.head.ordinal))
            self._bury(reason, count)
            self._save()
            return count

    def _bury(self, reason: str, count: int) -> None:
        if count:
            self.dead[reason] = self.dead.get(reason, 0) + count

    # -- keeping ---------------------------------------------------------------------------

    def _save(self) -> None:
        self._slot.store(
            orjson.dumps(
                {
                    "name": self.name,
                    "head": list(self.head),
                    "holes": [_stored_hole(hole) for hole in self.holes],
                    "delivered": self.delivered,
                    "excluded": self.excluded,
                    "voids": self.voids,
                    "dead": self.dead,
                }
            )
        )

    def _restore(self, stored: Mapping[str, Any]) -> None:
        self.head = Position(*stored["head"])
        self.holes = [_restored_hole(hole) for hole in stored["holes"]]
        self.delivered = stored["delivered"]
        self.excluded = stored["excluded"]
        self.voids = stored["voids"]
        self.dead = dict(stored["dead"])


def _stored_hole(hole: Hole) -> list[Any]:
    """``[segment, offset, ordinal before, first open, last open, bitmap of the run or ""]``."""
    first, last = hole.first, hole.last
    full = last - first + 1 == hole.count
    bitmap = "" if full else format(sum(1 << (n - first) for n in hole.open), "x")
    return [*hole.start, first, last, bitmap]


def _restored_hole(stored: list[Any]) -> Hole:
    *start, first, last, bitmap = stored
    run = range(first, last + 1)
    if not bitmap:
        return Hole(Position(*start), run)
    bits = int(bitmap, 16)
    return Hole(Position(*start), (n for n in run if bits >> (n - first) & 1))
