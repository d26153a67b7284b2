"""
The interpreter's hooks for errors that nobody caught.

One chain for the process, with the clients as subscribers: an error reaches each client once
however many of them installed their hooks. A link remembers what was there before it, captures,
and then calls that, exactly once and in every case. Where a foreign hook was put on top of ours,
ours cannot be taken out again: it then only passes on, and the next client gets a new link.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from penstock.error_tracking.text import contained, is_a

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.error_tracking.tracker import Tracker
    from penstock.error_tracking.types import ExceptionOptions

    #: An error, and what is known of it; None where there is nothing to capture.
    Read = Callable[..., "tuple[object, ExceptionOptions] | None"]

_lock = threading.RLock()


class Installed(Protocol):
    """Something that can be taken out again."""

    def uninstall(self) -> None:
        """Take it out; a second time changes nothing."""
        ...


class Place(NamedTuple):
    """Where the interpreter has a hook."""

    module: Any
    name: str
    #: Of the hook's arguments.
    read: Read

    def get(self) -> Any:
        """What is there now."""
        return getattr(self.module, self.name)

    def put(self, hook: Any) -> None:
        """Replace it."""
        setattr(self.module, self.name, hook)


class Link:
    """
    Our function in one place, and what was there before.

    Args:
        place: Where it goes.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._previous = place.get()
        self.subscribers: tuple[Subscription, ...] = ()
        #: Kept, because each look at ``self._run`` makes another object.
        self.function = self._run
        place.put(self.function)

    def _run(self, *arguments: Any) -> None:
        try:
            with suppress(Exception):  # whatever we are called with, it is not our error to raise
                self._tell(arguments)
        finally:
            if callable(self._previous):
                self._previous(*arguments)

    def _tell(self, arguments: tuple[Any, ...]) -> None:
        found = self._place.read(*arguments) if self.subscribers else None
        if found is not None:
            for subscriber in self.subscribers:
                subscriber.capture(*found)

    def leave(self, subscriber: Subscription) -> None:
        """Serve one fewer; the last one restores what was there, where that is possible."""
        self.subscribers = tuple(one for one in self.subscribers if one is not subscriber)
        if not self.subscribers and self._place.get() is self.function:
            self._place.put(self._previous)


class Subscription:
    """
    One client's part in a hook.

    Args:
        place: Which hook.
        tracker: Captures for the client.
        interactive: Capture at an interactive prompt as well.
    """

    def __init__(self, place: Place, tracker: Tracker, *, interactive: bool = False) -> None:
        self._tracker = tracker
        self._interactive = interactive
        with _lock:
            top = link_of(place.get())
            self._link: Link | None = top if top is not None else Link(place)
            self._link.subscribers = (*self._link.subscribers, self)

    def capture(self, error: object, options: ExceptionOptions) -> None:
        """Capture for the client, unless somebody sits before the screen."""
        if self._interactive or not hasattr(sys, "ps1"):
            self._tracker.capture(error, options)

    def uninstall(self) -> None:
        """See `Installed`."""
        with _lock:
            link, self._link = self._link, None
            if link is not None:
                link.leave(self)


def link_of(hook: object) -> Link | None:
    """The link that *hook* is the function of; None for a foreign one."""
    found = contained(getattr, hook, "__self__", None)
    return found if is_a(found, Link) else None


def _read_uncaught(kind: Any, value: Any, trace: Any) -> tuple[object, ExceptionOptions]:
    return (kind, value, trace), {
        "level": "fatal",
        "mechanism_type": "onuncaughtexception",
        "handled": False,
        "source": "python.sys_excepthook",
    }


def _read_thread(args: Any) -> tuple[object, ExceptionOptions]:
    name = contained(lambda: args.thread.name)
    return (args.exc_type, args.exc_value, args.exc_traceback), {
        "level": "error",
        "mechanism_type": "onuncaughtexception",
        "handled": False,
        "source": "python.threading_excepthook",
        "properties": {"thread_name": name} if is_a(name, str) else {},
    }


def _read_unraisable(args: Any) -> tuple[object, ExceptionOptions] | None:
    if args.exc_value is None or args.exc_traceback is None:
        return None
    return (args.exc_type, args.exc_value, args.exc_traceback), {
        "level": "error",
        "mechanism_type": "unraisable",
        "handled": False,
        "source": "python.unraisablehook",
    }


SYS = Place(sys, "excepthook", _read_uncaught)
THREADING = Place(threading, "excepthook", _read_thread)
UNRAISABLE = Place(sys, "unraisablehook", _read_unraisable)


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603 - another thread of the parent may hold it for ever
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
