"""
Points: single bytecode instructions of the library, and traps that end a process at one.

A *point* is an instruction of a function, in a *phase* of an event's life. The phase is that of
the innermost function on the stack that begins one, so the code that writes a cursor counts as
"answer" when an answer moves it and as "recovery" when a lane is adopted. A traced run tells
which points there are (`Survey`); a later one dies at a chosen one (`Trap`), before the
instruction is executed, on whatever thread comes by.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import penstock

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

ROOT = str(Path(penstock.__file__).parent) + "/"
#: Where no phase has begun: the worker and the senders looking for something to do.
HOUSEKEEPING = "housekeeping"
#: Functions that begin a phase.
BEGINNINGS = {
    "Calls.track": "enqueue",
    "Pen.append": "append",
    "Lane.after_write": "append",
    "Lane._interrupt": "append",
    "Lane._open": "opening a lane",
    "Lane._next_segment": "rotation",
    "Lane.prepare": "rotation",
    "Pump.take": "reading a batch",
    "Sender.send": "sending",
    "SegmentDialect.classify": "between answer and cursor",
    "resolve": "between answer and cursor",
    "Pump.settle": "between answer and cursor",
    "Pump.put_back": "between answer and cursor",
    "Worker._adopt": "recovery",
    "Worker._retire": "retiring a lane",
    "DiskJournal.retire": "retiring a lane",
    "Lane.reclaim": "retiring a lane",
    "Client.flush": "flush and close",
    "Client.close": "flush and close",
    "_before": "fork",
    "_after": "fork",
    "_after_in_child": "start of a forked child",
    "forked": "start of a forked child",
}
PHASES = tuple(dict.fromkeys([*BEGINNINGS.values(), HOUSEKEEPING]))


class Point(NamedTuple):
    """An instruction in a phase."""

    phase: str
    #: Path below the package.
    file: str
    function: str
    #: Where the function begins: two may have one name.
    line: int
    #: Of the instruction, in bytes of the function's code.
    offset: int

    def __str__(self) -> str:
        """Phase, place and offset."""
        return f"{self.phase}: {self.file}:{self.line} {self.function} +{self.offset}"


def phase_of(frame: FrameType | None) -> str:
    """The phase that the innermost function on the stack has begun."""
    while frame is not None:
        code = frame.f_code
        phase = BEGINNINGS.get(code.co_qualname)
        if phase is not None and code.co_filename.startswith(ROOT):
            return phase
        frame = frame.f_back
    return HOUSEKEEPING


class Survey:
    """Counts how often each point is passed, on all threads started from now on and on this one."""

    def __init__(self) -> None:
        self.counts: Counter[Point] = Counter()

    def start(self) -> None:
        """Trace from here on."""
        _trace(self._call)

    def _call(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(ROOT):
            return None
        place = (phase_of(frame), code.co_filename[len(ROOT) :], code.co_qualname)
        line = code.co_firstlineno

        def local(frame: FrameType, event: str, _argument: Any) -> Any:
            if event == "opcode":
                self.counts[Point(*place, line, frame.f_lasti)] += 1
            return local

        return _by_instruction(frame, local)


class Trap:
    """
    Calls *spring* when *point* is passed for the *nth* time in this process.

    Args:
        point: Where.
        nth: From 1.
        spring: Ends the process.
    """

    def __init__(self, point: Point, nth: int, spring: Callable[[], None]) -> None:
        self._point = point
        self._file = ROOT + point.file
        self._left = nth
        self._spring = spring

    def start(self) -> None:
        """Trace from here on."""
        _trace(self._call)

    def _call(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        point, code = self._point, frame.f_code
        if (
            code.co_firstlineno != point.line
            or code.co_qualname != point.function
            or code.co_filename != self._file
            or phase_of(frame) != point.phase
        ):
            return None
        return _by_instruction(frame, self._local)

    def _local(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "opcode" and frame.f_lasti == self._point.offset:
            self._left -= 1
            if not self._left:
                self._spring()
        return self._local


def _trace(function: Callable[[FrameType, str, Any], Any]) -> None:
    # Python 3.12 gives instructions to those only who start after some frame asked for them.
    sys._getframe().f_trace_opcodes = True
    threading.settrace(function)
    sys.settrace(function)


def _by_instruction(frame: FrameType, function: Any) -> Any:
    frame.f_trace_opcodes = True
    frame.f_trace_lines = False
    return function
