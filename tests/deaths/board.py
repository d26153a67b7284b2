"""
What a process tells before it dies: plain memory, shared with whoever forked it.

Nothing here calls the kernel once the memory is there, so a note is as sure as the store it is:
the process may be killed at the next instruction. Every writer (a thread, a forked child) has a
place of its own, and counts what it is about to track before it notes what `track` returned.
"""

from __future__ import annotations

import itertools
import mmap
import struct
import time
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.errors import DeliveryError

#: Threads or processes of one life that track.
WRITERS = 10
#: Events each may track.
ROOM = 400
#: Processes of one life whose callback is told of deliveries.
PROCESSES = 4
#: Deliveries each may note; those of adopted lanes are among them.
TOLD_ROOM = 8192
#: What a life is doing, for deaths whose exact place nobody knows.
STAGES = ("starting", "tracking", "waiting", "flushing", "closing", "ended")

_TEXT = 512
_COUNTS = struct.Struct("<QQ")
_TOLD = struct.Struct("<16sQ")
_WRITER_BYTES = _COUNTS.size + 16 * ROOM
_TEXTS_AT = 32
_WRITERS_AT = _TEXTS_AT + 2 * _TEXT
_TOLD_AT = _WRITERS_AT + WRITERS * _WRITER_BYTES
_SIZE = _TOLD_AT + PROCESSES * TOLD_ROOM * _TOLD.size


class Noted(NamedTuple):
    """What one writer tracked."""

    #: Ids that `track` returned, in order.
    ids: list[str]
    #: Calls that were begun: at most one more, and that one may or may not have been accepted.
    attempted: int


class Board:
    """
    The notes of one life.

    Three times come first: when it ended itself, when it gave up what was in flight, when the
    first of its processes had nothing more to do. Then its stage, two texts (where it died, what
    it complained of), the writers and the deliveries.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SIZE)
        self._deliveries = itertools.count()

    def close(self) -> None:
        """Free the memory; the life is over."""
        self._memory.close()

    # -- the life's side -------------------------------------------------------------------

    def stage(self, name: str) -> None:
        """Say what comes now, one of `STAGES`."""
        self._memory[8] = STAGES.index(name)

    def attempt(self, writer: int) -> int:
        """Say that *writer* is about to track; the number of the event, from 0."""
        at = self._writer(writer)
        attempted, noted = _COUNTS.unpack_from(self._memory, at)
        _COUNTS.pack_into(self._memory, at, attempted + 1, noted)
        return int(attempted)

    def note(self, writer: int, number: int, id_: str) -> None:
        """Keep what `track` returned for event *number*."""
        at = self._writer(writer)
        body = at + _COUNTS.size + 16 * number
        self._memory[body : body + 16] = bytes.fromhex(id_.replace("-", ""))
        _COUNTS.pack_into(self._memory, at, number + 1, number + 1)

    def callback(self, process: int) -> Callback:
        """The callback for the clients of the life's process number *process*."""
        return Callback(self, process)

    def tell(self, process: int, id_: str) -> None:
        """Keep that the client says *id_* is delivered."""
        index = next(self._deliveries)
        if index < TOLD_ROOM:
            at = _TOLD_AT + (process * TOLD_ROOM + index) * _TOLD.size
            raw = bytes.fromhex(id_.replace("-", ""))
            _TOLD.pack_into(self._memory, at, raw, time.time_ns())

    def dying(self, place: str) -> None:
        """Say where and when this life ends itself; the first process to say so counts."""
        if not self.died_at_ns:
            self._write(_TEXTS_AT, place)
            struct.pack_into("<Q", self._memory, 0, time.time_ns())

    def leave(self) -> None:
        """Say that the client gives up what it has in flight: it is closed with a timeout."""
        struct.pack_into("<Q", self._memory, 16, time.time_ns())

    def end(self) -> None:
        """Say that this process will be killed where it is; the first one to say so counts."""
        if not self.ended_at_ns:
            struct.pack_into("<Q", self._memory, 24, time.time_ns())

    def complain(self, text: str) -> None:
        """Keep an error that no death explains."""
        self._write(_TEXTS_AT + _TEXT, text)

    # -- the other side --------------------------------------------------------------------

    @property
    def died_at_ns(self) -> int:
        """Nanoseconds since 1970, 0 when it did not choose the moment."""
        return int(struct.unpack_from("<Q", self._memory, 0)[0])

    @property
    def left_at_ns(self) -> int:
        """Nanoseconds since 1970, 0 when it did not close."""
        return int(struct.unpack_from("<Q", self._memory, 16)[0])

    @property
    def ended_at_ns(self) -> int:
        """Nanoseconds since 1970, 0 when none of its processes came to its end."""
        return int(struct.unpack_from("<Q", self._memory, 24)[0])

    @property
    def stage_name(self) -> str:
        """What it was doing."""
        return STAGES[self._memory[8]]

    @property
    def place(self) -> str:
        """Where it ended itself; "" when it did not."""
        return self._read(_TEXTS_AT) if self.died_at_ns else ""

    @property
    def complaint(self) -> str:
        """The last error it kept, or ""."""
        return self._read(_TEXTS_AT + _TEXT)

    def noted(self) -> Iterator[tuple[int, Noted]]:
        """Each writer that began anything."""
        for writer in range(WRITERS):
            at = self._writer(writer)
            attempted, noted = _COUNTS.unpack_from(self._memory, at)
            if attempted:
                start = at + _COUNTS.size
                raw = (self._memory[start + 16 * n : start + 16 * (n + 1)] for n in range(noted))
                yield writer, Noted([str(uuid.UUID(bytes=one)) for one in raw], attempted)

    def told(self) -> Iterator[tuple[str, int]]:
        """Ids the clients said are delivered, and when: nanoseconds since 1970."""
        for process in range(PROCESSES):
            start = _TOLD_AT + process * TOLD_ROOM * _TOLD.size
            for index in range(TOLD_ROOM):
                raw, at_ns = _TOLD.unpack_from(self._memory, start + index * _TOLD.size)
                if not at_ns:
                    break
                yield str(uuid.UUID(bytes=raw)), at_ns

    def _writer(self, writer: int) -> int:
        return _WRITERS_AT + writer * _WRITER_BYTES

    def _write(self, at: int, text: str) -> None:
        raw = text.encode()[: _TEXT - 1]
        self._memory[at : at + len(raw)] = raw

    def _read(self, at: int) -> str:
        return self._memory[at : at + _TEXT].rstrip(b"\0").decode(errors="replace")


class Callback:
    """A client's callback that notes on a board, of the process it was made in."""

    def __init__(self, board: Board, process: int) -> None:
        self._board = board
        self.process = process

    def success(self, message: dict[str, Any]) -> None:
        """One more delivery."""
        self._board.tell(self.process, message["messageId"])

    def failure(self, message: dict[str, Any], error: DeliveryError) -> None:
        """Nothing here may die."""
        self._board.complain(f"{message['messageId']} is dead: {error.reason}")
