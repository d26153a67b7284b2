"""Track, then end in a given way. Arguments: the way, how many events."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from common import open_client, tell, track

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock import Client


def sigkill() -> None:
    """Killed by the kernel, as an out-of-memory kill does it."""
    os.kill(os.getpid(), signal.SIGKILL)


def sigterm() -> None:
    """Stopped by a deploy; the default action."""
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()


def sigterm_handled() -> None:
    """Stopped by a deploy; the host turns the signal into an exit."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()


def os_exit() -> None:
    """Ended as job runners end their workers: no exit handler runs."""
    os._exit(0)


def plain() -> None:
    """The main module returns."""


def exception() -> None:
    """Nobody catches it."""
    raise RuntimeError("the host application's own fault")


def sys_exit() -> None:
    """An exit code."""
    sys.exit(3)


def interrupted() -> None:
    """Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


ENDINGS: dict[str, Callable[[], None]] = {
    f.__name__: f
    for f in (sigkill, sigterm, sigterm_handled, os_exit, plain, exception, sys_exit, interrupted)
}


def in_thread(client: Client, count: int) -> None:
    """The main thread is gone; another one goes on tracking and ends the program."""
    track(client, count // 2)
    threading.main_thread().join()
    track(client, count - count // 2)


def main(ending: str, count: int) -> None:
    """Track and end."""
    if ending == "atexit_handler":
        # Registered before the client's own handler, therefore called after it.
        atexit.register(lambda: track(client, count))
    client = open_client()
    if ending == "thread":
        threading.Thread(target=in_thread, args=(client, count)).start()
    elif ending != "atexit_handler":
        if ending == "interrupted":
            # CPython forgets that it was interrupted when modules are imported while it exits;
            # a program that has sent something before has imported everything.
            track(client, 1)
            client.flush(timeout=10)
        track(client, count - (ending == "interrupted"))
        tell("ended_at", time.monotonic())
        ENDINGS[ending]()


main(sys.argv[1], int(sys.argv[2]))
