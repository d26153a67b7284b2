"""Real servers and workers on a host: started, driven, ended, and every event accounted for."""

from __future__ import annotations

import http.client
import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from faults.host import PACKAGE_ROOT, PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.host import Finished, Host, Running
    from proving import Proof

APPS = Path(__file__).parent / "apps"
_ADDRESS = re.compile(r"127\.0\.0\.1:(\d+)")
#: Seconds a server may take to start, to answer, to reload or to stop.
PATIENCE = 30.0


class Settled:
    """
    What became of the events of a host whose programs have ended; counted before it is judged.

    Args:
        host: The host.
        proof: Where it is counted.
        environment: What the new process needs besides.

    Attributes:
        noted: Ids that ``track()`` returned.
        left: Those that only a new process delivered: not lost, but late.
        lost: Those that nobody delivered.
        repeated: How often an event was delivered once more.
    """

    def __init__(self, host: Host, proof: Proof, **environment: str) -> None:
        ids = host.noted
        self.noted = set(ids)
        self.left = len(self.noted - host.sink.accepted)
        host.restart(**environment)
        self.lost = self.noted - host.sink.accepted
        self.repeated = sum(host.sink.duplicates.values())
        self._twice_given = len(ids) - len(self.noted)
        proof.record(events=len(ids), lost=len(self.lost), repeated=self.repeated)

    def assert_once(self, *, left: int = 0, repeated: int = 0) -> None:
        """
        Every event arrived once.

        Args:
            left: How many may have waited for a new process. None do after a graceful end.
            repeated: How many may have come twice: those in flight when a process was killed.
        """
        assert not self._twice_given, "two events have one id"
        assert not self.lost, f"{len(self.lost)} of {len(self.noted)} lost"
        assert self.repeated <= repeated
        assert self.left <= left, f"{self.left} of {len(self.noted)} left to a new process"


def command(name: str) -> Path:
    """A command of the environment the tests run in."""
    found = Path(sys.executable).parent / name
    if not found.exists():
        raise FileNotFoundError(f"{name} is not there: pip install 'penstock[test]'")
    return found


def launch(host: Host, *words: object, **environment: str) -> Running:
    """Start a command that finds the applications of this folder."""
    path = os.pathsep.join([PACKAGE_ROOT, str(PROGRAMS), str(APPS)])
    return host.launch(*words, environment={"PYTHONPATH": path} | environment)


def wait_until(condition: Callable[[], bool], running: Running) -> None:
    """
    Return once *condition* holds.

    Raises:
        TimeoutError: It never did, or the program failed; with what it printed.
    """
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if running._popen.poll() or time.monotonic() > deadline:
            raise TimeoutError(running.output)
        time.sleep(0.02)  # between two looks, with a deadline


def wait_for_all(running: Running) -> None:
    """
    Return once neither the program nor a process it left behind in its group is there.

    Raises:
        TimeoutError: One still is.
    """
    running.wait(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while lives(running):
        if time.monotonic() > deadline:
            raise TimeoutError(running.output)
        time.sleep(0.02)  # between two looks, with a deadline


def lives(running: Running) -> bool:
    """Whether a process of the program's group is there."""
    with suppress(ProcessLookupError):
        os.killpg(running.pid, 0)
        return True
    return False


class Server:
    """
    A web server that was started; ready when this returns.

    Args:
        running: Its process. It prints the address it listens at.
    """

    def __init__(self, running: Running) -> None:
        self.running = running
        #: How many events each answered request tracked.
        self.sold: list[int] = []
        self.port = self._wait_for_port()
        self.wait_until(lambda: bool(self.get(0)))

    def _wait_for_port(self) -> int:
        self.running.wait_for("127.0.0.1:", PATIENCE)
        self.wait_until(lambda: _ADDRESS.search(self.running.output) is not None)
        found = _ADDRESS.search(self.running.output)
        assert found is not None
        return int(found[1])

    def get(self, events: int, timeout: float = PATIENCE) -> str:
        """Have a worker track *events*; its pid, or nothing when the server does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", f"/{events}")
            answer = connection.getresponse()
            body = answer.read().decode()
            assert answer.status == 200, self.running.output
        except OSError:
            return ""
        finally:
            connection.close()
        self.sold.append(events)
        return body

    def serve(self, requests: int, events: int) -> set[str]:
        """Make *requests*, four at a time; which processes answered."""
        with ThreadPoolExecutor(4) as pool:
            return set(pool.map(self.get, [events] * requests))

    def wait_for_others(self, seen: set[str]) -> None:
        """Ask until no process of *seen* answers; what a dying one accepted has no answer."""
        self.wait_until(lambda: not {self.get(0, timeout=1.0) for _ in range(6)} & (seen | {""}))

    def workers(self, count: int) -> set[str]:
        """Ask until *count* processes have answered: a worker that still starts misses signals."""
        found: set[str] = set()

        def answered() -> bool:
            found.update(self.serve(4, 0))
            return len(found - {""}) >= count

        self.wait_until(answered)
        return found

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return once *condition* holds; see `wait_until`."""
        wait_until(condition, self.running)

    def end(self, number: int) -> Finished:
        """Send the signal that ends it, and see it end."""
        self.running.signal(number)
        return self.running.wait(PATIENCE)
