"""Memory that bodies are received into and kept in until they are counted."""

from __future__ import annotations

import mmap
from typing import NamedTuple

#: Bytes of a piece.
PIECE = 32 << 20
#: Full events that fit in one, what the dearest SDK wraps around them included.
_EVENTS = 40_000
#: Bytes that a request may have at the least where a piece is nearly full.
ROOM = 1 << 20
#: Bytes of a huge page.
_HUGE = 2 << 20


class Piece:
    """A mapping, filled from the front."""

    def __init__(self, size: int) -> None:
        self.memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            self.memory.madvise(mmap.MADV_HUGEPAGE)
        # A page touched for the first time costs more than all the rest of a sink (in a virtual
        # machine the host may have to find it): now, not while somebody waits for an answer.
        for offset in range(0, size, _HUGE):
            self.memory[offset] = 0
        self.view = memoryview(self.memory)
        self.size = size
        self.used = 0


class Body(NamedTuple):
    """Where one is."""

    piece: Piece
    start: int
    end: int

    def text(self) -> bytes:
        """A copy."""
        return bytes(self.piece.view[self.start : self.end])


class Arena:
    """
    Pieces; each belongs to one connection at a time.

    Args:
        expected: Events to have memory for at the start.
    """

    def __init__(self, expected: int) -> None:
        self._spare = [Piece(PIECE) for _ in range(2 + expected // _EVENTS)]

    def take(self, room: int = ROOM) -> Piece:
        """A piece with at least *room* bytes left."""
        for number in range(len(self._spare)):
            if self._spare[number].size - self._spare[number].used >= room:
                return self._spare.pop(number)
        return Piece(max(PIECE, room))

    def give_back(self, piece: Piece) -> None:
        """What is left of it may be used by another connection."""
        self._spare.append(piece)
