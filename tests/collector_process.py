"""A real collector in processes of its own, and clients that keep count of what was answered."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import penstock
from collector_kit import basic, track
from patience import DEADLINE, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOT = str(Path(penstock.__file__).parent.parent)


def is_alive(pid: int) -> bool:
    """Whether a process still runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def children(pid: int) -> list[int]:
    """Processes that *pid* started and that still run."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    found: list[int] = []
    for task in tasks:
        with contextlib.suppress(OSError):  # a thread may end while we look
            found += [int(child) for child in task.read_text().split()]
    return [child for child in found if is_alive(child)]


def role_of(pid: int) -> str:
    """``pipeline``, ``worker`` or ``debugger``, of a collector's process; empty when it ended."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"penstock.collector" in words:
            return words[words.index(b"penstock.collector") + 1].decode()
    return ""


#: ``penstock serve`` with a pipeline that seals and merges all the time.
_HASTY = """
import json, sys
from pathlib import Path
from penstock.collector import CollectorConfig, Compaction, Sealing, serve
config = CollectorConfig(
    store=Path(sys.argv[1]), port=int(sys.argv[3]), workers=int(sys.argv[2]),
    sealing=Sealing(seconds=0.02, poll=0.01),
    compaction=Compaction(fresh_files=4, files=3, poll=0.01, grace=1.0),
)
serve(config, ready=lambda address: print(json.dumps(address._asdict()), flush=True))
"""


class ServedCollector:
    """
    ``penstock serve`` as a process.

    Args:
        store: Its store.
        hasty: Seal and merge all the time, so that whatever happens, happens meanwhile.
        workers: Processes that take requests.
        port: Where to listen; 0 takes a free one.
        debugger: Whether it serves its pages.
        options: Further ones of the command.
    """

    def __init__(
        self,
        store: Path,
        *options: str,
        hasty: bool = False,
        workers: int = 1,
        port: int = 0,
        debugger: bool = False,
    ) -> None:
        serve = ["-m", "penstock", "serve", "--port", str(port), "--workers", str(workers)]
        serve.append("--debugger" if debugger else "--no-debugger")
        own = ["-c", _HASTY, str(store), str(workers), str(port)]
        self.process = subprocess.Popen(
            [sys.executable, *(own if hasty else [*serve, "--store", str(store), *options])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": _ROOT},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr and self.process.stderr.read().decode()
        self.told: dict[str, Any] = json.loads(line)
        self.pid = self.process.pid
        self.port = int(self.told["url"].rpartition(":")[2])
        self.pipeline: int = wait_for(lambda: self.running("pipeline"), "the pipeline")[0]

    def running(self, role: str) -> list[int]:
        """The processes of a role that run now."""
        return [pid for pid in children(self.pid) if role_of(pid) == role]

    def post(self, path: str, body: object, headers: dict[str, str] | None = None) -> int:
        """The status of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request("POST", path, json.dumps(body), headers or basic("k"))
            return connection.getresponse().status
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a GET."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it, wait for the end of all its processes, and give the exit code."""
        pipelines = {*children(self.pid), self.pipeline}
        self.process.send_signal(number)
        code = self.process.wait(DEADLINE)
        for pid in pipelines:
            wait_for(lambda pid=pid: not is_alive(pid), "the pipeline's end")
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return code


class Sender(threading.Thread):
    """
    Sends batches one after the other, each again until it is answered, as SDKs do.

    Args:
        port: Gives the collector's port, which changes when it starts again.
        number: Distinguishes the ids of several.
    """

    def __init__(self, port: Callable[[], int], number: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._number = number
        self._stop_now = threading.Event()
        self.sent: set[str] = set()
        self.answered: set[str] = set()
        self.repeated = 0

    def run(self) -> None:
        batch = 0
        while not self._stop_now.is_set():
            batch += 1
            first = self._number * 10**9 + batch * 100
            messages = [track(first + place) for place in range(20)]
            ids = {message["messageId"] for message in messages}
            self.sent |= ids
            body = json.dumps({"batch": messages})
            while not self._stop_now.is_set():
                if self._try(body):
                    self.answered |= ids
                    break
                self.repeated += 1

    def _try(self, body: str) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port(), timeout=5)
        try:
            connection.request("POST", "/v1/batch", body, basic("k"))
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def finish(self) -> None:
        """Stop after the request under way."""
        self._stop_now.set()
        self.join(DEADLINE)
        assert not self.is_alive()
