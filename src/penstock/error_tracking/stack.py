"""Stacks: which calls an error has, or a caller, and which of them are told."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType, FrameType, TracebackType

#: Calls kept of the same line calling itself.
MAX_REPEATS: Final = 3
#: Calls kept of a long stack: where the program came from, and where it fell.
FIRST: Final = 25
LAST: Final = 75
#: A local variable of one of these names hides its call, as pytest and others have it.
HIDING: Final = ("__tracebackhide__", "__traceback_hide__")
_PACKAGE = __name__.partition(".")[0]

_traceback = BaseException.__dict__["__traceback__"].__get__


class Site(NamedTuple):
    """One call: its frame, its code, the line it was at (None where that is not known)."""

    frame: FrameType
    code: CodeType
    lineno: int | None

    @property
    def module(self) -> str:
        """The name of its module; empty where it is no text."""
        return module_of(self.frame)


def module_of(frame: FrameType) -> str:
    """The name of a frame's module; empty where it is no text."""
    name = frame.f_globals.get("__name__")
    return name if type(name) is str else ""


def traceback_of(error: BaseException) -> TracebackType | None:
    """Its traceback, without asking a subclass."""
    found: TracebackType | None = _traceback(error)
    return found


def sites_of(trace: TracebackType | None) -> list[Site]:
    """The calls of a traceback, entry point first, crash last."""
    sites = []
    while trace is not None:
        frame = trace.tb_frame
        if not is_hidden(frame):
            sites.append(Site(frame, frame.f_code, trace.tb_lineno))
        trace = trace.tb_next
    return sites


def current_sites(skip: Iterable[str] = ()) -> list[Site]:
    """
    The calls that led here, without ours.

    Args:
        skip: Modules whose calls are left out too, at the inner end only.
    """
    skipped = frozenset(skip)
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - there is no other way to a stack
    sites: list[Site] = []
    while frame is not None:
        inner = not sites and module_of(frame).partition(".")[0] in skipped
        if not inner and not is_hidden(frame):
            sites.append(Site(frame, frame.f_code, frame.f_lineno))
        frame = frame.f_back
    sites.reverse()
    return sites


def is_hidden(frame: FrameType) -> bool:
    """Whether the call is ours, or says that it is not to be shown."""
    if module_of(frame).partition(".")[0] == _PACKAGE:
        return True
    for name in HIDING:
        if name in frame.f_code.co_varnames:
            mark = frame.f_locals.get(name)
            return mark is not None and mark is not False
    return False


def shortened(sites: list[Site]) -> list[Site]:
    """
    A stack of bearable length, of the same shape whatever the depth of a recursion.

    More than `MAX_REPEATS` calls in a row from one line become that many; of what is left, the
    first `FIRST` and the last `LAST` are kept.
    """
    kept: list[Site] = []
    repeats = 0
    for site in sites:
        last = kept[-1] if kept else None
        same = last is not None and last.code is site.code and last.lineno == site.lineno
        repeats = repeats + 1 if same else 1
        if repeats <= MAX_REPEATS:
            kept.append(site)
    return kept if len(kept) <= FIRST + LAST else kept[:FIRST] + kept[-LAST:]
