"""
The workers that are alive in this process, and what becomes of them when it ends.

They are closed at the interpreter's exit, and in `penstock._runtimes`' places for processes that
have none. A forked child begins with no worker: those of its parent are not its own.
"""

from __future__ import annotations

import atexit
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from penstock import _fork

if TYPE_CHECKING:
    from penstock.delivery._worker import Worker

_workers: set[Worker] = set()
_lock = threading.Lock()


def enlist(worker: Worker) -> None:
    """Have *worker* closed at the end. Takes no lock, since a fork may wait for this."""
    _workers.add(worker)  # one step


def dismiss(worker: Worker) -> None:
    """*worker* is closed already, or has nothing to do at the end."""
    with _lock:
        _workers.discard(worker)


def forget_all() -> None:
    """In a forked child: the parent's workers are not ours."""
    global _lock  # noqa: PLW0603 - it may be held by a thread the child does not have
    _lock = threading.Lock()
    _workers.clear()


def close_all() -> None:
    """At the end: all workers share one waiting time, the longest any of them asked for."""
    if not _fork.PAGE[0]:  # a uWSGI worker that tracked nothing: these are its master's
        _fork.forked(ending=True)
    with _lock:
        workers = list(_workers)
    closing = []
    for worker in workers:
        with suppress(Exception):  # the host's exit is no place for a traceback of ours
            if not worker.is_idle():
                closing.append(worker)
                worker.begin_close(worker.exit_timeout)
    for worker in closing:
        with suppress(Exception):
            worker.finish_close()


atexit.register(close_all)
