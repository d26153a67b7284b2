"""asyncio's hook: errors of callbacks, and of tasks that nobody asked for their result."""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from penstock.error_tracking.text import contained, is_a

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from penstock.error_tracking.tracker import Tracker


class LoopHook:
    """
    An event loop's exception handler that captures, and then calls what was there before.

    Args:
        loop: The loop.
        tracker: Captures for the client.
    """

    def __init__(self, loop: AbstractEventLoop, tracker: Tracker) -> None:
        self._tracker: Tracker | None = tracker
        self._loop = weakref.ref(loop)
        self._previous: Any = loop.get_exception_handler()
        #: Kept, because each look at ``self._run`` makes another object.
        self._function = self._run
        loop.set_exception_handler(self._function)

    def _run(self, loop: AbstractEventLoop, context: dict[str, Any]) -> None:
        try:
            with suppress(Exception):  # whatever we are called with, it is not our error to raise
                self._tell(context.get("exception"))
        finally:
            if self._previous is None:
                loop.default_exception_handler(context)
            else:
                self._previous(loop, context)

    def _tell(self, error: object) -> None:
        if self._tracker is not None and is_a(error, BaseException):
            self._tracker.capture(
                error,
                {
                    "level": "error",
                    "mechanism_type": "onunhandledrejection",
                    "handled": False,
                    "source": "python.asyncio_exception_handler",
                },
            )

    def captures_for(self, tracker: Tracker) -> bool:
        """Whether this handler, or one it calls, captures for *tracker*."""
        if self._tracker is tracker:
            return True
        below = hook_of(self._previous)
        return below is not None and below.captures_for(tracker)

    def uninstall(self) -> None:
        """Give the loop its handler back, or only pass on where another came on top."""
        self._tracker, loop = None, self._loop()
        if loop is not None and loop.get_exception_handler() is self._function:
            with suppress(TypeError):
                loop.set_exception_handler(self._previous)


def install(loop: AbstractEventLoop | None, tracker: Tracker) -> None:
    """
    Capture the errors of *loop*, the running one by default; a second time changes nothing.

    Raises:
        RuntimeError: No loop is given, and none runs.
    """
    if loop is None:
        import asyncio

        loop = asyncio.get_running_loop()
    there = hook_of(loop.get_exception_handler())
    if there is None or not there.captures_for(tracker):
        tracker.keep(LoopHook(loop, tracker))


def hook_of(handler: object) -> LoopHook | None:
    """The hook that *handler* is the function of; None for a foreign one."""
    found = contained(getattr, handler, "__self__", None)
    return found if is_a(found, LoopHook) else None
