"""
The pen: where in a segment the next record goes, and the writing of it.

This is the capture path's last step, so it does what every record needs and nothing else: one
comparison with `Pen.limit`, one checksum, two stores into the mapping, no system call. Everything
rare (the first segment, the next one, waking the worker, a closed lane) is the lane's, which any
of them can call for by lowering the limit.

There are two pens that do the same. The native one cannot be interrupted between reserving a
place and writing the header. The one in Python can, in two ways, and answers both. Another thread
has to wait for the lane's lock. A signal handler may run in the middle and track something
itself: the lock is re-entrant, and the place is reserved before anything that can be interrupted,
so the inner record simply comes next. If the handler raises, the place is marked void. If the
process dies, the place has no header and nothing follows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.journal.record import (
    ALIGN,
    HEADER,
    HEADER_BYTES,
    MAGIC,
    VOID,
    seal,
)
from penstock.native import NATIVE

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import RLock

    from penstock._native import Pen as NativePen
    from penstock.journal._segment import Buffer

_OVERHEAD = HEADER_BYTES + ALIGN - 1
_pack_into = HEADER.pack_into
#: A `Pen.limit` that no record can pass and no lane lifts.
CLOSED = -1
#: An ordinal no lane reaches.
NEVER = (1 << 63) - 1


class Pen:
    """
    Writes records one after the other into a page.

    Args:
        checksum: CRC-32 of bytes.
        lock: Held while a record is written; the native pen needs none.
        on_void: Called when an ordinal was added to `voids`; the native pen never does.

    Attributes:
        tail: Where the next record goes.
        limit: No record ends beyond this offset; `CLOSED`, or what the lane sets.
        ordinal: Of the last record.
        wake_ordinal: From this one on, `append` says that a wake-up is due.
        voids: Ordinals whose writers were interrupted.
    """

    def __init__(
        self, checksum: Callable[[bytes], int], lock: RLock, on_void: Callable[[], None]
    ) -> None:
        self._checksum = checksum
        self._on_void = on_void
        self._acquire = lock.acquire
        self._release = lock.release
        self._page: Buffer = bytearray()
        self.tail = 0
        self.limit = 0
        self.ordinal = 0
        self.wake_ordinal = NEVER
        self.voids: list[int] = []

    def turn(self, page: Buffer, tail: int) -> None:
        """Write on *page* from *tail* on, once `limit` allows it; let go of the page before."""
        self.limit = min(self.limit, 0)
        self._page = page
        self.tail = tail

    def append(self, kind: int, flags: int, captured_at: int, payload: bytes) -> int:
        """
        Write one record; when this returns it survives the death of the process.

        Returns:
            Its ordinal, from 1; 0 when it would pass the limit, and nothing was written; the
            negative ordinal when it was written and `wake_ordinal` is reached.
        """
        length = len(payload)
        size = (length + _OVERHEAD) & -ALIGN
        self._acquire()  # half the cost of a ``with`` statement here
        try:
            if self.tail + size > self.limit:
                return 0
            # From here to the assignment of `ordinal` nothing is called, so no signal handler
            # can run in between: a nested append finds its own place.
            start = self.tail
            self.tail = start + size
            self.ordinal = ordinal = self.ordinal + 1
            page = self._page
            body = start + HEADER_BYTES
            try:
                page[body : body + length] = payload
                crc = seal(self._checksum(payload), kind, flags, length, captured_at, ordinal)
                _pack_into(page, start, MAGIC, kind, flags, length, crc, captured_at, ordinal)
            except BaseException:
                self._void(page, start, length, ordinal)
                raise
            return ordinal if ordinal < self.wake_ordinal else -ordinal
        finally:
            self._release()

    def _void(self, page: Buffer, start: int, length: int, ordinal: int) -> None:
        """Mark a reserved place whose writer was interrupted, so that readers step over it."""
        payload = bytes(page[start + HEADER_BYTES : start + HEADER_BYTES + length])
        crc = seal(self._checksum(payload), VOID, 0, length, 0, ordinal)
        HEADER.pack_into(page, start, MAGIC, VOID, 0, length, crc, 0, ordinal)
        self.voids.append(ordinal)
        self._on_void()


def new_pen(
    checksum: Callable[[bytes], int], lock: RLock, on_void: Callable[[], None]
) -> Pen | NativePen:
    """The native pen where there is one; the arguments are those of `Pen`."""
    return Pen(checksum, lock, on_void) if NATIVE is None else NATIVE.Pen(checksum)
