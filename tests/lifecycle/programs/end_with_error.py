"""Meet an error and end, in a given way. Argument: the way."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from common import note, open_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock import Client


class CartError(Exception):
    """The host application's own fault."""


def uncaught(_: Client) -> None:
    """Nobody catches it."""
    raise CartError("uncaught")


def captured_and_killed(client: Client) -> None:
    """Captured, and in the next moment the kernel takes the process."""
    try:
        uncaught(client)
    except CartError as error:
        note(client.capture_exception(error) or "")
    os.kill(os.getpid(), signal.SIGKILL)


def captured_and_gone(client: Client) -> None:
    """Captured, and the process ends as job runners end their workers."""
    note(client.capture_exception(CartError("captured")) or "")
    os._exit(5)


def interrupted(_: Client) -> None:
    """Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


def sys_exit(_: Client) -> None:
    """An exit code."""
    sys.exit(3)


def in_thread(_: Client) -> None:
    """A thread ends under an error, another one by an exit; the program goes on."""
    for function, argument in ((uncaught, _), (sys.exit, 9)):
        thread = threading.Thread(target=function, args=(argument,))
        thread.start()
        thread.join()


def recursion(client: Client) -> None:
    """The stack is used up."""
    recursion(client)


def hook_that_exits(_: Client) -> None:
    """What was there before ends the process at once."""
    raise CartError("uncaught")


def after_close(client: Client) -> None:
    """The client was closed: its hooks are gone."""
    client.close()
    raise CartError("after the close")


def after_fork(client: Client) -> None:
    """Child and parent end under errors of their own."""
    child = os.fork()
    if child == 0:
        raise CartError("in the child")
    _pid, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 1
    note(client.capture_exception(CartError("in the parent")) or "")
    raise CartError("uncaught")


def finaliser(_: Client) -> None:
    """An object falls when it is collected."""

    class Falls:
        def __del__(self) -> None:
            raise CartError("in a finaliser")

    Falls()
    gc.collect()


WAYS: dict[str, Callable[[Client], None]] = {
    function.__name__: function
    for function in (
        *(uncaught, captured_and_killed, captured_and_gone, interrupted, sys_exit, in_thread),
        *(recursion, hook_that_exits, after_close, after_fork, finaliser),
    )
}


def main(way: str) -> None:
    """Meet it."""
    if way == "hook_that_exits":
        sys.excepthook = lambda *_: os._exit(7)
    client = open_client()
    client.track("u1", "Started")  # a program that sends something has imported everything
    client.flush(timeout=10)
    client.install_exception_hooks(unraisable=True)
    WAYS[way](client)


main(sys.argv[1])
