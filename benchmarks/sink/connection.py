"""One connection and the requests that come over it."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from arena import ROOM, Arena, Body
from behaviour import Behaviour, rendered

if TYPE_CHECKING:
    from tally import Tally

_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)


class Connection:
    """
    Receives into a piece of the arena; bodies stay where they were received.

    ``[start, at)`` of the piece is what was received of the present request.
    """

    def __init__(
        self, sock: socket.socket, arena: Arena, tally: Tally, behaviour: Behaviour
    ) -> None:
        self._sock = sock
        self._arena = arena
        self._tally = tally
        self._behaviour = behaviour
        self._piece = arena.take()
        self._start = self._at = self._piece.used

    def serve(self) -> None:
        """Until the client leaves."""
        with suppress(ConnectionError), self._sock:
            while body := self._request():
                if self._is_report():
                    self._sock.sendall(rendered(200, self._tally.report()))
                elif not self._take(body):
                    break
                self._start = body.end
        self._piece.used = self._at
        self._arena.give_back(self._piece)

    def _take(self, body: Body) -> bool:
        size = body.end - self._start
        self._tally.came(size)
        if not self._behaviour.wait_to_answer():
            return False
        taken, answer = self._behaviour.answer()
        self._sock.sendall(answer)
        self._tally.answered(body, size, taken=taken)
        return True

    def _is_report(self) -> bool:
        return self._piece.memory[self._start : self._start + 11] == b"GET /report"

    def _request(self) -> Body | None:
        if self._piece.size - self._start < ROOM:
            self._move(ROOM)
        head_end = self._head()
        if head_end is None:
            return None
        found = _LENGTH.search(self._piece.memory, self._start, head_end)
        size = head_end - self._start + (int(found[1]) if found else 0)
        if self._start + size > self._piece.size:
            head_end -= self._start
            self._move(size)
            head_end += self._start
        missing = self._start + size - self._at
        if missing > 0 and not self._receive(missing, socket.MSG_WAITALL):
            return None
        return Body(self._piece, head_end, self._start + size)

    def _head(self) -> int | None:
        """Where the head of the next request ends; None when there is none."""
        while (end := self._piece.memory.find(b"\r\n\r\n", self._start, self._at)) < 0:
            if not self._receive(self._piece.size - self._at):
                return None
        return end + 4

    def _receive(self, size: int, flags: int = 0) -> bool:
        """Whether anything came (all of it, if the flags say so)."""
        got = self._sock.recv_into(self._piece.view[self._at : self._at + size], 0, flags)
        self._at += got
        return got == size or (got > 0 and not flags)

    def _move(self, room: int) -> None:
        """Go on in another piece with what was received so far."""
        old, start, at = self._piece, self._start, self._at
        self._piece = self._arena.take(max(room, ROOM, at - start))
        self._start = self._piece.used
        self._at = self._start + at - start
        self._piece.view[self._start : self._at] = old.view[start:at]
        old.used = at
        self._arena.give_back(old)
