"""Reading a lane: record by record, or a batch of them as a whole."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, NamedTuple

from penstock.journal._cursor import Hole, Position
from penstock.journal._segment import SEGMENT_HEADER_BYTES
from penstock.journal.record import HEADER_BYTES, Run, run_of, scan

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock._native import Pen as NativePen
    from penstock.journal._chain import Chain
    from penstock.journal._pen import Pen
    from penstock.journal.record import Record, Stretch, Wanted


class Chunk(NamedTuple):
    """Records read in one go, in order; ``after`` is where reading goes on."""

    records: list[Record]
    after: Position
    voids: int


class Reader:
    """
    Reads the records of a chain in their order.

    Args:
        chain: Where they lie.
        pen: Knows the last ordinal, and which ones have no record.
        on_voids: Told of ordinals that turn out to have none.

    Attributes:
        lock: Held while a segment is read or unmapped.
        adopted: The chain is a dead process's: nothing comes after its end, and every checksum is
            verified.
    """

    def __init__(
        self, chain: Chain, pen: Pen | NativePen, on_voids: Callable[[list[int]], None]
    ) -> None:
        self._chain = chain
        self._pen = pen
        self._on_voids = on_voids
        self.lock = RLock()
        self.adopted = False

    def read(self, position: Position, max_records: int, max_bytes: int) -> Chunk:
        """
        Read on from *position*; fewer records than asked for means there are no more now.

        Args:
            position: Where the last chunk ended, or a cursor's head.
            max_records: At most this many.
            max_bytes: Stop before the payloads exceed this; one record is always read.
        """
        records: list[Record] = []
        start = position.ordinal
        with self.lock:
            while len(records) < max_records:
                place = self._chain.place(position.segment)
                if place is not None:
                    found = scan(
                        place.segment.buffer,
                        max(position.offset, SEGMENT_HEADER_BYTES),
                        place.end,
                        verify=self.adopted,
                        max_records=max_records - len(records),
                        max_bytes=max_bytes - sum(len(record.payload) for record in records),
                    )
                    if found.voids:
                        self._on_voids(found.voids)
                    records += found.records
                    last = max(found.last, position.ordinal)
                    position = Position(position.segment, found.offset, last)
                    if place.growing or found.offset < place.end:
                        break
                following = self._chain.following(position.segment)
                if following is None:
                    if self.adopted:  # nothing more will come: what is missing is lost
                        position = position._replace(ordinal=self._pen.ordinal)
                    break
                position = Position(following, 0, position.ordinal)
        voids = sum(start < ordinal <= position.ordinal for ordinal in self._pen.voids)
        return Chunk(records, position, voids)

    def read_run(self, position: Position, wanted: Wanted) -> tuple[Run, Position] | None:
        """
        Read on from *position* as `read` does, where only records that are *wanted* would be read.

        Returns:
            A run and where reading goes on; None where `read` has to look: at a record that is
            not wanted, or at the end of what a dead process left.
        """
        found: list[Stretch] = []
        with self.lock:
            while wanted.records > 0:
                place = self._chain.place(position.segment)
                stretch = place and run_of(
                    place.segment.buffer,
                    max(position.offset, SEGMENT_HEADER_BYTES),
                    place.end,
                    position.ordinal,
                    wanted,
                    verify=self.adopted,
                )
                if place is None or stretch is None:
                    return None
                count = len(stretch.heads) // HEADER_BYTES
                if count:
                    found.append(stretch)
                position = Position(position.segment, stretch.offset, position.ordinal + count)
                wanted = wanted._replace(records=wanted.records - count, room=stretch.room)
                if place.growing or stretch.offset < place.end:
                    break
                following = self._chain.following(position.segment)
                if following is None:
                    if self.adopted:
                        return None
                    break
                position = Position(following, 0, position.ordinal)
        return (Run.of(found, wanted.between), position) if found else None

    def reread(self, hole: Hole) -> list[Record]:
        """The records of *hole* that are still open, after a restart."""
        last, position, found = max(hole.open), hole.start, []
        while position.ordinal < last:
            chunk = self.read(position, 1000, 1 << 24)
            found += [record for record in chunk.records if record.ordinal in hole.open]
            if chunk.after == position:
                break
            position = chunk.after
        return found
