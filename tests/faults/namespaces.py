"""
File systems and networks that a test may break: Linux namespaces, held by an idle process.

Programs are run inside; the test itself stays outside, and looks in through ``/proc``.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requirement

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_CLONE_NEWNET = 0x40000000


class Unavailable(Exception):  # noqa: N818 - a property of the platform, not a fault
    """The platform does not let us have namespaces."""


class Namespaces:
    """
    A mount namespace, and a network namespace if asked for, for as long as this object lives.

    Args:
        network: With a network of its own, in which there is only loopback.

    Raises:
        Unavailable: The kernel, or whoever set up this machine, refuses.
    """

    def __init__(self, *, network: bool = False) -> None:
        for name in ("unshare", "nsenter", "mount", *(["ip"] if network else [])):
            requirement.program(name)
        self._user = [] if os.geteuid() == 0 else ["--user"]
        kinds = ["--mount", *(["--net"] if network else [])]
        mapped = ["--map-root-user"] if self._user else []
        self._entered = [*self._user, *(["--preserve-credentials"] if mapped else []), *kinds]
        # `cat` ends with this process, and its echo says that the namespaces are there.
        self._holder = subprocess.Popen(
            ["unshare", *self._user, *mapped, *kinds, "cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._say_hello()
            if network:
                self.run("ip", "link", "set", "lo", "up")
        except (OSError, subprocess.SubprocessError):
            self.close()
            raise Unavailable("namespaces are refused here") from None

    def _say_hello(self) -> None:
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        self._holder.stdin.write(b"here\n")
        self._holder.stdin.flush()
        if self._holder.stdout.readline() != b"here\n":
            raise OSError("unshare failed")

    @property
    def root(self) -> Path:
        """The file system inside, as it is seen from outside."""
        return Path(f"/proc/{self._holder.pid}/root")

    def entered(self, *command: object) -> list[object]:
        """The command line that runs *command* inside."""
        return ["nsenter", "--target", self._holder.pid, *self._entered, *command]

    def run(self, *command: object) -> None:
        """
        Run *command* inside to its end.

        Raises:
            subprocess.CalledProcessError: It failed.
        """
        words = [str(word) for word in self.entered(*command)]
        subprocess.run(words, check=True, capture_output=True)

    def inside(self, work: Callable[[], socket.socket]) -> socket.socket:
        """Call *work* on a thread that is in the network namespace; a socket stays there."""
        done: list[Any] = []

        def enter() -> None:
            libc = ctypes.CDLL(None, use_errno=True)
            with Path(f"/proc/{self._holder.pid}/ns/net").open() as namespace:
                if libc.setns(namespace.fileno(), _CLONE_NEWNET):
                    done.append(Unavailable("only root may enter a network namespace"))
                    return
            try:
                done.append(work())
            except OSError as error:
                done.append(error)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if isinstance(done[0], BaseException):
            raise done[0]
        made: socket.socket = done[0]
        return made

    def close(self) -> None:
        """End the process that holds the namespaces; they end with the last one inside."""
        with self._holder:
            self._holder.kill()
