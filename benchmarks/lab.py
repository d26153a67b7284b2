"""Runs cells: a sink, a client process on its own cores, a journal nobody else uses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parts import Cell

HERE = Path(__file__).parent


class SinkProcess:
    """
    The directory ``sink`` as a process of its own.

    Args:
        behaviour: What `sink.behaviour.Behaviour` takes.
        expected: Events that will come, so that there is memory for them beforehand.
    """

    def __init__(self, behaviour: dict[str, Any], expected: int = 0) -> None:
        program = [sys.executable, str(HERE / "sink"), json.dumps(behaviour), str(expected)]
        with machine.on(machine.sink_cores()):
            self._popen = subprocess.Popen(program, stdout=subprocess.PIPE)
        assert self._popen.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._popen.stdout.readline())}"

    def recover(self) -> None:
        """From now on, listen, take and answer."""
        self._popen.send_signal(signal.SIGUSR1)

    def report(self, began_at: float = 0.0, ended_at: float = 0.0) -> dict[str, Any]:
        """
        What it took (`sink.tally.Tally.report`), and ``busy_percent`` of a core between two times.

        Args:
            began_at: By the monotonic clock, as is *ended_at*.
            ended_at: The end; nothing is said of busyness when it is left out.
        """
        with urllib.request.urlopen(f"{self.url}/report", timeout=60) as answer:
            report: dict[str, Any] = json.loads(answer.read())
        moments = [m for m in report.pop("moments") if began_at <= m[0] <= ended_at]
        busy = moments[-1][1] - moments[0][1] if moments else 0.0
        lasted = max(ended_at - began_at, 1e-9)
        return report | {"busy_percent": 100 * busy / lasted}

    def stop(self) -> None:
        """End the process."""
        self._popen.kill()
        self._popen.wait()
        if self._popen.stdout:
            self._popen.stdout.close()


def run(cell: Cell) -> dict[str, Any]:
    """Measure one cell; ``exit_s``, ``delivered`` and ``lost`` are added to what it printed."""
    with _journal() as environment, _sink(cell) as sink:
        measured = _process(cell, sink.url, cell.options or {}, environment)
        if cell.restart:
            sink.recover()
            _process(cell, sink.url, (cell.options or {}) | {"again": True}, environment)
        if "sent" in measured:
            measured["delivered"] = sink.report()["distinct"]
            measured["lost"] = measured["sent"] - measured["delivered"]
    return measured


def _process(
    cell: Cell, url: str, options: dict[str, Any], environment: dict[str, str]
) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "cell.py"), cell.part, cell.sdk, url, json.dumps(options)]
    if cell.code:
        command = [sys.executable, "-c", cell.code]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as complaints:
        with machine.on(machine.client_cores()):
            popen = subprocess.Popen(command, stdout=out, stderr=complaints, env=environment)
        ended = _wait(popen, cell.limit_s)
        out.seek(0)
        lines = out.read().splitlines()
        complaints.seek(0)
        if not lines:
            raise RuntimeError(f"{cell.sdk} {cell.variant}: {complaints.read()}")
    measured: dict[str, Any] = json.loads(lines[-1])
    measured["exit_s"] = ended - measured.pop("ended_at")
    return measured


def _wait(popen: subprocess.Popen[bytes], limit_s: float) -> float:
    """When it ended; polling would blur that."""
    watchdog = threading.Timer(limit_s, popen.kill)
    watchdog.start()
    popen.wait()
    ended = time.monotonic()
    watchdog.cancel()
    return ended


@contextmanager
def _sink(cell: Cell) -> Iterator[SinkProcess]:
    sink = SinkProcess({"hole": cell.sink == "hole"}, (cell.options or {}).get("count", 0))
    try:
        yield sink
    finally:
        sink.stop()


@contextmanager
def _journal() -> Iterator[dict[str, str]]:
    """An environment with a journal directory of its own, removed afterwards."""
    directory = tempfile.mkdtemp(prefix="penstock-bench-")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")}
    try:
        yield clean | {"PENSTOCK_JOURNAL": directory}
    finally:
        shutil.rmtree(directory, ignore_errors=True)
