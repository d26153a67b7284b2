"""
Reading a lane of the request log while another process writes it.

The reader maps segment files and remembers where it is. A record counts once its checksum holds,
so what is half written is simply not there yet. A lane never changes behind its end: segment
*n* is complete as soon as *n + 1* exists.
"""

from __future__ import annotations

import shutil
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from penstock.collector.log.lane import LANE_PREFIX, LOCK_NAME, MAKING_PREFIX, REQUEST
from penstock.journal._locks import FileLock
from penstock.journal._segment import SEGMENT_HEADER_BYTES, DiskStore, Segment
from penstock.journal.record import HEADER, HEADER_BYTES, MAGIC, checksum, next_magic, seal, span

if TYPE_CHECKING:
    from pathlib import Path


class Entry(NamedTuple):
    """One request of the log."""

    ordinal: int
    #: See `penstock.collector.log.entry`.
    payload: bytes


class LaneReader:
    """
    One lane, from just after a given ordinal on.

    Args:
        path: The lane's directory.
        after: The last ordinal that is not wanted any more.
    """

    def __init__(self, path: Path, after: int = 0) -> None:
        self.path = path
        self.name = path.name
        #: Ordinal of the last entry read, or skipped.
        self.last = after
        #: Entries that could not be read although later ones can.
        self.lost = 0
        #: Set when nobody writes the lane any more: then its end is final.
        self.complete = False
        self._store = DiskStore(path)
        self._segment: Segment | None = None
        self._offset = 0

    def next(self) -> Entry | None:
        """The next entry that is complete, or None when there is none now."""
        entry = self._next()
        while entry is not None and entry.ordinal <= self.last:
            entry = self._next()
        if entry is not None:
            self.lost += entry.ordinal - self.last - 1
            self.last = entry.ordinal
        return entry

    def rest(self) -> list[Entry]:
        """All entries there are."""
        return list(iter(self.next, None))

    def _next(self) -> Entry | None:
        """The next entry, moving from segment to segment; None at the end."""
        segment = self._segment or self._open_first()
        while segment is not None:
            entry = self._at(segment, self._offset) or self._past(segment)
            if entry is not None:
                self._offset += span(len(entry.payload))
                return entry
            if segment is self._segment:
                return None
            segment = self._segment
        return None

    def _past(self, segment: Segment) -> Entry | None:
        """
        Nothing readable comes next: go on to what follows a damaged place, or in the next segment.

        Without a following segment this is the end, unless the lane is `complete`.
        """
        following = self._following(segment.number)
        if following is None and not self.complete:
            return None
        # Once there is a next segment this one does not grow: look again before leaving it.
        entry = self._at(segment, self._offset) or self._behind(segment)
        if following is None:
            return entry
        if entry is not None:
            following.close()
        else:
            self._enter(following)
        return entry

    def _at(self, segment: Segment, offset: int) -> Entry | None:
        if offset + HEADER_BYTES > segment.size:
            return None
        header = HEADER.unpack_from(segment.buffer, offset)
        magic, kind, flags, length, crc, captured_at, ordinal = header
        start = offset + HEADER_BYTES
        if magic != MAGIC or kind != REQUEST or start + length > segment.size:
            return None
        payload = bytes(segment.buffer[start : start + length])
        if crc != seal(checksum(payload), kind, flags, length, captured_at, ordinal):
            return None
        return Entry(ordinal, payload)

    def _behind(self, segment: Segment) -> Entry | None:
        """The next readable entry of a complete segment, behind something that is not one."""
        offset = self._offset
        while offset < segment.size:
            offset = next_magic(segment.buffer, offset + 8, segment.size)
            entry = self._at(segment, offset)
            if entry is not None and entry.ordinal > self.last:
                self._offset = offset
                return entry
        return None

    # -- segments --------------------------------------------------------------------------

    def _open_first(self) -> Segment | None:
        """Open the last segment that begins at or before what is wanted, or else the first."""
        found: Segment | None = None
        for number in reversed(self._numbers()):
            segment = self._store.open(number)
            if segment is None or not segment.first_ordinal:
                continue
            if found is not None:
                found.close()
            found = segment
            if segment.first_ordinal <= self.last + 1:
                break
        self._segment, self._offset = found, SEGMENT_HEADER_BYTES
        return found

    def _enter(self, segment: Segment) -> None:
        if self._segment is not None:
            self._segment.close()
        self._segment, self._offset = segment, SEGMENT_HEADER_BYTES

    def _following(self, number: int) -> Segment | None:
        """The next segment after *number* that has begun; some may be sealed and gone already."""
        for later in (n for n in self._numbers() if n > number):
            segment = self._store.open(later)
            if segment is not None and segment.first_ordinal:
                return segment
        return None

    def _numbers(self) -> list[int]:
        try:
            return self._store.numbers()
        except FileNotFoundError:  # the lane was sealed and removed
            return []

    # -- the end of a lane -----------------------------------------------------------------

    def abandoned(self) -> bool:
        """Whether no worker writes this lane any more."""
        try:
            lock = FileLock.acquire(self.path / LOCK_NAME)
        except FileNotFoundError:
            return True
        if lock is None:
            return False
        lock.release()
        return True

    def forget(self, through: int) -> None:
        """Delete the segments that hold nothing after *through*; the one being written stays."""
        numbers = self._numbers()
        for number, following in pairwise(numbers):
            segment = self._store.open(following)
            if segment is None:
                return
            first = segment.first_ordinal
            segment.close()
            if not first or first > through + 1:
                return
            self._store.delete(number)

    def close(self) -> None:
        """Let go of the segment being read."""
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    def remove(self) -> None:
        """Delete the whole lane."""
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)


def lane_paths(directory: Path) -> list[Path]:
    """The lanes in a log, the oldest first."""
    try:
        found = [path for path in directory.iterdir() if path.name.startswith(LANE_PREFIX)]
    except FileNotFoundError:
        return []
    return sorted(found)


def sweep(directory: Path, before: float) -> None:
    """Remove lanes that were being made when their worker died, that long ago (seconds, 1970)."""
    for path in directory.glob(f"{MAKING_PREFIX}*"):
        if path.stat().st_mtime < before:
            shutil.rmtree(path, ignore_errors=True)
