"""
Processes of a collector: how they are started, watched, and stopped.

The parent holds the writing end of a pipe that is the child's standard input. The first line on
it is the configuration (there are digests of keys in it, and a command line can be read by
everybody); its end means "finish and exit", and comes by itself when the parent dies, so nothing
is ever left running. Signals from a terminal or an init system go to all processes; children
ignore them, since only the parent knows in which order to stop.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import penstock
from penstock.collector.handover import from_json, to_json
from penstock.collector.logs import FACTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.collector.config import CollectorConfig

_log = logging.getLogger("penstock.collector")

#: Seconds before a child that died is started again: the first time, and at most.
_FIRST_DELAY_S, _LAST_DELAY_S = 0.2, 10.0
#: A child that lived so many seconds died of something else than the last time.
_CALM_S = 30.0
_READY = b"ready\n"


# -- the parent's side -----------------------------------------------------------------------


class Child:
    """
    A process, started again whenever it dies.

    Args:
        role: What it is: ``pipeline``, ``worker`` or ``debugger``.
        config: Handed over on its standard input.
        arguments: JSON on its command line.
        fds: Open files it inherits.
        on_start: Called whenever it was started.
        on_death: Called whenever it died by itself.
    """

    def __init__(
        self,
        role: str,
        config: CollectorConfig,
        arguments: str = "{}",
        *,
        fds: Sequence[int] = (),
        on_start: Callable[[], None] = lambda: None,
        on_death: Callable[[], None] = lambda: None,
    ) -> None:
        self._role = role
        self._command = [
            sys.executable,
            "-P",  # a file in the working directory is no module of ours
            "-m",
            "penstock.collector",
            role,
            arguments,
        ]
        self._greeting = to_json(config) + b"\n"
        self._fds = tuple(fds)
        self._on_start, self._on_death = on_start, on_death
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._child = self._spawn()
        self._watcher = threading.Thread(target=self._watch, name="penstock-watch", daemon=True)
        self._watcher.start()

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        return self._child.pid

    def _spawn(self) -> subprocess.Popen[bytes]:
        root = str(Path(penstock.__file__).parent.parent)
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            self._command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if self._role == "worker" else None,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            pass_fds=self._fds,
        )
        with contextlib.suppress(OSError):  # it died at once; the watcher sees to that
            _write(child, self._greeting)
        self._on_start()
        return child

    def _watch(self) -> None:
        delay = 0.0
        while True:
            began = time.monotonic()
            code = self._child.wait()
            if self._stopping.is_set():
                return
            self._on_death()
            lived = time.monotonic() - began
            delay = _FIRST_DELAY_S if lived > _CALM_S or not delay else delay * 2
            delay = min(delay, _LAST_DELAY_S)
            facts = {"role": self._role, "code": code, "again_in": delay}
            _log.error(
                "a %s ended with code %s; starting it again", self._role, code, extra={FACTS: facts}
            )
            if self._stopping.wait(delay) or not self._spawn_again():
                return

    def _spawn_again(self) -> bool:
        """Start it, unless it is to stop meanwhile."""
        with self._guard:
            if self._stopping.is_set():
                return False
            _close(self._child)
            try:
                self._child = self._spawn()
            except OSError as error:  # no process to be had now: the old one is dead still
                _log.error("a %s cannot be started: %s", self._role, error.strerror)
            return True

    def wait_ready(self) -> bool:
        """Wait until a worker takes requests; False when it ended instead."""
        stdout = self._child.stdout
        return stdout is not None and stdout.readline() == _READY

    def begin_stop(self) -> None:
        """Have it finish what it does, without waiting for that."""
        with self._guard:
            self._stopping.set()
            with contextlib.suppress(OSError):
                if self._child.stdin is not None:
                    self._child.stdin.close()

    def stop(self, timeout_s: float) -> bool:
        """
        Let it finish what it does.

        Args:
            timeout_s: Time in seconds; after it the process is killed. Nothing is lost then, the
                next start goes on where it was.

        Returns:
            Whether it ended by itself.
        """
        self.begin_stop()
        try:
            self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._watcher.join()
        _close(self._child)
        return self._child.returncode == 0

    def kill(self) -> None:
        """End it now; only after `begin_stop`, or it is started again."""
        self._child.kill()


def _write(child: subprocess.Popen[bytes], data: bytes) -> None:
    stdin = child.stdin
    if stdin is None:  # pragma: no cover - we asked for a pipe
        return
    view = memoryview(data)
    while view:
        view = view[stdin.write(view) :]


def _close(child: subprocess.Popen[bytes]) -> None:
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


# -- the child's side ------------------------------------------------------------------------


def greeted() -> tuple[CollectorConfig, threading.Event]:
    """
    The configuration, and what is set when the parent wants us to finish.

    Raises:
        EOFError: The parent is gone already.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    line = bytearray()
    while not line.endswith(b"\n"):
        part = os.read(0, 65536)  # nothing follows the first line
        if not part:
            raise EOFError("the collector is gone")
        line += part
    return from_json(bytes(line)), _end_of_input()


def _end_of_input() -> threading.Event:
    ended = threading.Event()

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    return ended


def say_ready() -> None:
    """Tell the parent that requests are taken."""
    with contextlib.suppress(OSError):
        os.write(1, _READY)
