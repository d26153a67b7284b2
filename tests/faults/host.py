"""Real programs against a real sink: start them, kill them, start them again, reconcile ids."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.native import ENV_NATIVE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faults.sink import FaultSink

PROGRAMS = Path(__file__).parents[1] / "lifecycle" / "programs"
#: The package may be installed or found on a path; the programs find the same one.
PACKAGE_ROOT = str(Path(import_module("penstock").__path__[0]).parent)
WRITE_KEY = "WK_loopback_only"
#: Of a message id, a UUID.
_ID_LENGTH = 36


class Finished(NamedTuple):
    """A program that ended."""

    #: Negative: the signal that ended it.
    returncode: int
    #: What it printed, both streams.
    output: str
    #: When its end was seen, by the monotonic clock all processes of a host share.
    at: float

    def lines(self, kind: str) -> list[Any]:
        """What the program told with ``tell(kind, value)``, in order."""
        found = (line.split(" ", 2) for line in self.output.splitlines() if line.startswith("@ "))
        return [json.loads(value) for _, name, value in found if name == kind]

    def told(self, kind: str) -> Any:
        """The only such line."""
        (value,) = self.lines(kind)
        return value


class Running:
    """
    A program that was started, in a process group of its own.

    Args:
        popen: The process.
        output: The file both of its streams go to; a file, because a pipe held open by a forked
            child would hide the parent's end.
    """

    def __init__(self, popen: subprocess.Popen[bytes], output: Path) -> None:
        self._popen = popen
        self._output = output
        self._finished: Finished | None = None
        self.pid = popen.pid

    @property
    def output(self) -> str:
        """What it and its children printed so far."""
        return self._output.read_text()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._popen.send_signal(number)

    def wait(self, timeout: float = 60.0) -> Finished:
        """
        Its end; it is killed after *timeout* seconds.

        Waits without polling, so that `Finished.at` is exact.
        """
        if self._finished is None:
            watchdog = threading.Timer(timeout, self._popen.kill)
            watchdog.start()
            code = self._popen.wait()
            at = time.monotonic()
            watchdog.cancel()
            watchdog.join()
            self._finished = Finished(code, self.output, at)
        return self._finished

    def wait_for(self, text: str, timeout: float = 30.0) -> None:
        """
        Return once it printed *text*.

        Raises:
            TimeoutError: It did not, or ended before.
        """
        deadline = time.monotonic() + timeout
        while text not in self.output:
            if time.monotonic() > deadline or self._popen.poll() is not None:
                raise TimeoutError(self.output)
            time.sleep(0.005)  # between two looks, with a deadline

    def end(self) -> None:
        """Kill what is left of it and of its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()


class Host:
    """
    One machine as a test sees it: a journal directory, a sink, and programs that come and go.

    Every program notes the ids it was given by ``track()`` in a file that survives its death;
    `reconcile` compares those with what the sink stored.
    """

    def __init__(self, sink: FaultSink, root: Path) -> None:
        self.sink = sink
        self._root = root
        self.journal = root / "journal"
        self._ids = root / "ids.txt"
        self._ids.touch()
        self.started: list[Running] = []

    def start(self, program: str, *arguments: object, **environment: str) -> Running:
        """Start a program of ``tests/lifecycle/programs``."""
        return self.launch(
            sys.executable, "-u", PROGRAMS / program, *arguments, environment=environment
        )

    def launch(self, *command: object, environment: Mapping[str, str]) -> Running:
        """
        Start any command; a Python under it finds Penstock, its journal and the sink.

        Args:
            command: The program and its arguments.
            environment: What is added to that, or replaced in it.
        """
        clean = {
            name: value
            for name, value in os.environ.items()
            if name == ENV_NATIVE or not name.startswith("PENSTOCK_")
        }
        environ = clean | {
            "PYTHONPATH": PACKAGE_ROOT,
            "PENSTOCK_JOURNAL": str(self.journal),
            "PENSTOCK_NETWORK": "loopback",
            "SINK": self.sink.url,
            "WRITE_KEY": WRITE_KEY,
            "IDS": str(self._ids),
        }
        output = self._root / f"output-{len(self.started)}.txt"
        with output.open("wb") as out:
            popen = subprocess.Popen(
                [str(word) for word in command],
                env=environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        running = Running(popen, output)
        self.started.append(running)
        return running

    def run(
        self, program: str, *arguments: object, timeout: float = 60.0, **environment: str
    ) -> Finished:
        """Start a program and wait for its end."""
        return self.start(program, *arguments, **environment).wait(timeout)

    def restart(self, *, timeout: float = 30.0, **environment: str) -> Finished:
        """A new process with the same journal that tracks nothing and flushes; it must be clean."""
        finished = self.run("drain.py", timeout, timeout=timeout + 10.0, **environment)
        assert finished.returncode == 0, finished.output
        self.assert_balanced(finished)
        return finished

    @property
    def noted(self) -> list[str]:
        """Ids that ``track()`` returned; what a kill cut short is left out."""
        return [line for line in self._ids.read_text().split() if len(line) == _ID_LENGTH]

    def reconcile(self, count: int | None = None, *, duplicates: int = 0) -> None:
        """
        Prove that nothing was lost.

        Args:
            count: Events the programs tracked, when that is known.
            duplicates: How many may have arrived more than once: those in flight at a kill.
        """
        noted, stored = set(self.noted), self.sink.accepted
        assert len(noted) == len(self.noted), "track() returned an id twice"
        if count is not None:
            assert len(noted) == count
        assert sorted(noted - stored) == [], f"{len(noted - stored)} of {len(noted)} lost"
        if count is not None:
            assert sorted(stored - noted) == [], "delivered under ids nobody was given"
        assert sum(self.sink.duplicates.values()) <= duplicates

    @staticmethod
    def assert_balanced(finished: Finished) -> None:
        """Every ledger the program printed accounts for each event exactly once."""
        ledgers = finished.lines("ledger")
        assert ledgers, finished.output
        assert [ledger for ledger in ledgers if not balanced(ledger)] == []

    def journal_files(self) -> list[Path]:
        """Every file and directory of the journal, its root first."""
        return [self.journal, *sorted(self.journal.rglob("*"))] if self.journal.exists() else []

    def close(self) -> None:
        """End what still runs."""
        for running in self.started:
            running.end()


def balanced(ledger: dict[str, Any]) -> bool:
    """Whether a printed ledger adds up for every destination."""
    return all(
        part["delivered"] + part["pending"] + sum(part["dead"].values()) == part["accepted"]
        for part in ledger["destinations"].values()
    )
