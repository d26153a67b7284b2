"""The processes of the demo; whatever happens, none of them outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Seconds a process gets to end by itself.
GRACE_S = 15.0


class Penstock:
    """
    Runs the ``penstock`` command.

    Args:
        log: Receives what the processes say on standard error.
        environment: Variables besides our own.
    """

    def __init__(self, log: Path, environment: dict[str, str]) -> None:
        self._log = log.open("ab")
        self._environment = {**os.environ, **environment}

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A command that is gone when the block ends."""
        process = subprocess.Popen(
            [sys.executable, "-m", "penstock", *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,  # Ctrl-C is ours to pass on, once
        )
        try:
            yield process
        finally:
            _end(process)

    def run(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Run a command to its end: exit code and the JSON it printed."""
        with self.running(*arguments) as process:
            out, _ = process.communicate()
        return process.returncode, json.loads(out) if out.strip() else {}


def _end(process: subprocess.Popen[str]) -> None:
    """Ask, wait, insist; children of the process included."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _close(process.stdout)


def _close(stream: IO[str] | None) -> None:
    if stream is not None:
        stream.close()


def on_terminate(number: int, frame: object) -> None:
    """Make SIGTERM an exception, so that the blocks above are left properly."""
    del number, frame
    raise KeyboardInterrupt
