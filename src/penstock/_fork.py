"""
Knowing that this process is a forked child, at the cost of reading one byte.

`os.register_at_fork` tells, except where a C program forks behind Python's back (uWSGI without
``--py-call-uwsgi-fork-hooks``). The usual back-up is ``os.getpid()`` on every call, which costs
0.19 µs where a system call is slow. Linux can do better: a page advised ``MADV_WIPEONFORK`` reads
as zero in a child, so ``PAGE[0]`` (0.03 µs) is the whole check. Elsewhere `_PidPage` asks for the
pid.
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from uuid_utils import reseed_rng

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from penstock.intake import Intake

Thing = TypeVar("Thing")

_MADV_WIPEONFORK = 18
#: See `loading`. A child forked in the middle of another thread's import finds a module lock that
#: nobody will ever release; so a fork waits for it, if need be. A signal handler may come in the
#: middle and need it too.
_loading = threading.RLock()
#: ... but not for ever, in seconds: the forking thread may itself hold an import up.
LOADING_TIMEOUT_S = 5.0
_waited = False
#: Held while the clients of a child restart. A signal handler may track in the middle of it.
_restarting = threading.RLock()
_restarted_in = os.getpid()


class Restarting(Protocol):
    """What has threads or locks but no events: a poller of flag definitions."""

    def restart(self, *, forked: bool = False) -> None:
        """Leave what was the parent's alone, and begin anew."""
        ...


class _Page(Protocol):
    def __getitem__(self, index: int, /) -> int: ...
    def __setitem__(self, index: int, value: int, /) -> None: ...


class _PidPage:
    """The portable page: compares pids."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def __getitem__(self, index: int) -> int:
        return self._pid == os.getpid()

    def __setitem__(self, index: int, value: int) -> None:
        self._pid = os.getpid()


def _make_page() -> _Page:
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        page.madvise(_MADV_WIPEONFORK)
    except (AttributeError, OSError, TypeError, ValueError):
        return _PidPage()
    page[0] = 1
    return page


#: ``PAGE[0]`` is false in a forked child that has not called `forked` yet.
PAGE: _Page = _make_page()
_clients: weakref.WeakSet[Intake] = weakref.WeakSet()
_others: weakref.WeakSet[Restarting] = weakref.WeakSet()


def loading() -> AbstractContextManager[object]:
    """
    What a thread holds that imports later than at the import of penstock.

    To be asked for each time: a child has another one.
    """
    return _loading


def watch(client: Intake) -> None:
    """Have `forked` restart *client* in a child."""
    _clients.add(client)


def watch_too(thing: Restarting) -> None:
    """Have `forked` restart *thing* in a child, after the clients."""
    _others.add(thing)


def forked(*, survivor: bool = False, ending: bool = False) -> None:
    """
    In a child: restart what is watched; the events and threads of the parent stay its own.

    Args:
        survivor: The calling thread is the one that lived through the fork; otherwise that is
            found out. Its random numbers, out of which ids are made, are those of all siblings
            until it gets new ones, so the page stays false until it came by.
        ending: The process ends, and no id will be made: uuid_utils may be gone by now.
    """
    global _restarted_in  # noqa: PLW0603 - of this process, like all here
    with _restarting:
        if PAGE[0]:  # another thread of the child came first
            return
        if _restarted_in != os.getpid():
            _restarted_in = os.getpid()
            for thing in (*_all_of(_clients), *_all_of(_others)):
                thing.restart(forked=True)
        if not ending and (survivor or _survived()):
            reseed_rng()  # uuid_utils does it itself where it is told of the fork
            PAGE[0] = 1


def _survived() -> bool:
    """Whether this thread is the one that lived through the fork."""
    if sys.platform == "linux":
        return threading.get_native_id() == os.getpid()
    return threading.get_ident() == threading.main_thread().ident  # which forks under uWSGI


def _all_of(things: weakref.WeakSet[Thing]) -> list[Thing]:
    while True:
        try:
            return list(things)
        except RuntimeError:  # another thread made one meanwhile
            continue


def _before() -> None:
    global _waited  # noqa: PLW0603 - handed to _after within one fork
    known = "logging" in sys.modules
    _waited = _loading.acquire(blocking=False) or _wait_for_loading()
    logging: Any = sys.modules.get("logging")
    if not known and logging and not logging.__spec__._initializing:  # noqa: SLF001 - no other way
        # Imported while we waited, too late to lock itself before this fork; but it will unlock.
        logging._lock.acquire()  # noqa: SLF001 - by the same name since Python 3.2


def _wait_for_loading() -> bool:
    """
    Wait for a thread that imports, without the lock of `logging` meanwhile.

    Hooks run last in, first out: where `logging` came after penstock, this thread has its lock by
    now, and what is imported asks for it (``getLogger``).
    """
    lock: Any = getattr(sys.modules.get("logging"), "_lock", None)
    held = lock._release_save() if lock and lock._is_owned() else None  # noqa: SLF001 - as a Condition
    try:
        return _loading.acquire(timeout=LOADING_TIMEOUT_S)
    finally:
        if held is not None:
            lock._acquire_restore(held)  # noqa: SLF001


def _after_in_parent() -> None:
    if _waited:
        _loading.release()
    for client in _all_of(_clients):
        client.has_forked()


def _after_in_child() -> None:
    global _loading, _restarting
    _loading, _restarting = threading.RLock(), threading.RLock()
    forked(survivor=True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )
