"""How a life is to end: where, and by what."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import types
from typing import TYPE_CHECKING, Any, NamedTuple

from deaths.points import Point, Trap
from penstock.journal import _segment

if TYPE_CHECKING:
    from collections.abc import Callable

    from deaths.board import Board


def _sigkill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _sigterm() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _os_exit() -> None:
    os._exit(EXIT_CODE)


def _segfault() -> None:
    ctypes.string_at(0)


def _everyone() -> None:
    os.killpg(0, signal.SIGKILL)


EXIT_CODE = 33
#: Ways to end a process from within, and the return code each leaves.
ENDINGS: dict[str, tuple[Callable[[], None], int]] = {
    "SIGKILL": (_sigkill, -signal.SIGKILL),
    "SIGTERM": (_sigterm, -signal.SIGTERM),
    "os._exit": (_os_exit, EXIT_CODE),
    "segmentation fault": (_segfault, -signal.SIGSEGV),
    "abort": (os.abort, -signal.SIGABRT),
    # As the kernel does it to a control group that is out of memory.
    "out of memory": (_everyone, -signal.SIGKILL),
}


class Doom(NamedTuple):
    """
    The end of one life.

    With a *point* it comes when that is passed for the *nth* time; without one, and with *nth*,
    in the middle of the *nth* store into a mapped file, of which *part* is done; with neither,
    whoever started the life kills it after *delay_s* seconds.
    """

    ending: str = "SIGKILL"
    point: Point | None = None
    nth: int = 0
    part: float = 0.0
    delay_s: float = 0.0

    @property
    def is_chosen(self) -> bool:
        """Whether the life ends itself."""
        return self.nth > 0

    def arm(self, board: Board) -> None:
        """Make it happen in this process."""

        def spring(place: str) -> None:
            board.dying(place)
            ENDINGS[self.ending][0]()

        if self.point is not None:
            place = str(self.point)
            Trap(self.point, self.nth, lambda: spring(place)).start()
        elif self.nth:
            tear(self.nth, self.part, lambda: spring("in the middle of a store: mmap"))


def tear(nth: int, part: float, spring: Callable[[], None]) -> None:
    """Have the *nth* store into a file mapped from now on end after *part* of its bytes."""
    left = nth

    class Torn(mmap.mmap):
        def __setitem__(self, place: Any, value: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                cut = int(len(value) * part)
                super().__setitem__(slice(place.start, place.start + cut), value[:cut])
                spring()
            super().__setitem__(place, value)

    seam = types.ModuleType("mmap")
    vars(seam).update(vars(mmap), mmap=Torn)
    _segment.mmap = seam  # type: ignore[assignment]
