"""Threads that a program out of memory does not wait for for ever."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds a new thread may take to begin; one that takes longer is asked for again.
BEGIN_S = 0.25


class _Begun(threading.Event):
    """An event that is waited for for `BEGIN_S` at most."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(BEGIN_S if timeout is None else timeout)


class DaemonThread(threading.Thread):
    """
    A daemon that begins in time or never.

    CPython's `start` waits until the new thread says that it has begun. One that finds no memory
    for its first frame never does.

    Args:
        target: What it does.
        name: What it is called.
    """

    def __init__(self, target: Callable[[], None], name: str) -> None:
        super().__init__(target=target, name=name, daemon=True)
        self._started = _Begun()  # what `start` waits for, on every CPython so far
        #: Whoever takes it decides: the thread, that it runs; `start`, that it does not.
        self._decision = [True]

    def start(self) -> None:
        """
        Start it.

        Raises:
            RuntimeError: It did not begin in time, the machine has no more threads, or the
                interpreter ends.
        """
        super().start()
        if self.ident is None and self._decide():
            raise RuntimeError("the thread did not begin")

    def run(self) -> None:
        """Do what it is for, unless nobody counts on it any more."""
        if self._decide():
            super().run()

    def _decide(self) -> bool:
        try:
            return self._decision.pop()
        except IndexError:
            return False
