"""Runs cells: a sink, a client process on its own cores, a journal nobody else uses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import machine
from sinks import SinkProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from parts import Cell

HERE = Path(__file__).parent


class Lab:
    """
    Where cells are run; as a context manager it cleans up behind itself.

    All processes share one cache of compiled modules, which `compile` fills: an import costs what
    it costs the second time, wherever a package was installed and by whom.
    """

    def __enter__(self) -> Self:
        self._bytecode = tempfile.mkdtemp(prefix="penstock-bench-pyc-")
        return self

    def __exit__(self, *_error: object) -> None:
        shutil.rmtree(self._bytecode, ignore_errors=True)

    def compile(self, names: list[str]) -> None:
        """Import every SDK once."""
        for name in names:
            program = f"import sys; sys.path.insert(0, {str(HERE)!r}); import sdks.{name}, cell"
            with self._environment() as environment:
                subprocess.run([sys.executable, "-c", program], env=environment, check=True)

    def run(self, cell: Cell) -> dict[str, Any]:
        """
        Measure one cell.

        To what the process printed it adds ``exit_s``, ``hung``, what the sink reported (see
        `_received`) and ``noise``, the cores that were busy with other things meanwhile; None
        where other cells were among those.

        Raises:
            RuntimeError: The process measured nothing; the text is its complaint.
        """
        noise = machine.Noise()
        with self._environment() as environment, _sink(cell) as sink:
            with _recovery(cell, sink):
                measured = _process(cell, sink.url, cell.options or {}, environment)
            if cell.restart:
                sink.recover()
                _process(cell, sink.url, (cell.options or {}) | {"again": True}, environment)
            if "sent" in measured:
                measured |= _received(sink, measured)
        return measured | {"noise": None if cell.patient else noise.cores()}

    @contextmanager
    def _environment(self) -> Iterator[dict[str, str]]:
        """With a journal directory of its own, removed afterwards."""
        directory = tempfile.mkdtemp(prefix="penstock-bench-")
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("PENSTOCK_", "PYTHONDONT"))
        }
        try:
            yield kept | {"PENSTOCK_JOURNAL": directory, "PYTHONPYCACHEPREFIX": self._bytecode}
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def _received(sink: SinkProcess, measured: dict[str, Any]) -> dict[str, Any]:
    """What became of ``sent`` events, by their numbers."""
    report = sink.report(measured.get("began_at", 0.0), measured.get("ended_at", 0.0))
    return {
        "delivered": report["distinct"],
        "lost": measured["sent"] - report["distinct"],
        "repeated": report["repeated"],
        "renamed": max(0, report["ids"] - report["distinct"] - report["warm_up"]),
        "wire_bytes": report["bytes"] / max(report["events"], 1),
        "sink_busy": report["busy_percent"],
        "after_refusal_s": report["after_refusal_s"],
    }


def _process(
    cell: Cell, url: str, options: dict[str, Any], environment: dict[str, str]
) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "cell.py"), cell.part, cell.sdk, url, json.dumps(options)]
    if cell.code:
        command = [sys.executable, "-c", cell.code]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as complaints:
        with machine.on(machine.client_cores()):
            popen = subprocess.Popen(command, stdout=out, stderr=complaints, env=environment)
        ended, hung = _wait(popen, cell.limit_s)
        out.seek(0)
        lines = out.read().splitlines()
        complaints.seek(0)
        if not lines:
            raise RuntimeError(complaints.read().strip() or f"ended by {popen.returncode}")
    measured: dict[str, Any] = json.loads(lines[-1])
    return measured | {"exit_s": ended - measured["ended_at"], "hung": hung}


def _wait(popen: subprocess.Popen[bytes], limit_s: float) -> tuple[float, bool]:
    """When it ended (polling would blur that), and whether it had to be killed."""
    killed = threading.Event()

    def kill() -> None:
        killed.set()
        popen.kill()

    watchdog = threading.Timer(limit_s, kill)
    watchdog.start()
    popen.wait()
    ended = time.monotonic()
    watchdog.cancel()
    return ended, killed.is_set()


@contextmanager
def _sink(cell: Cell) -> Iterator[SinkProcess]:
    sink = SinkProcess(cell.sink or {}, (cell.options or {}).get("count", 0))
    try:
        yield sink
    finally:
        sink.stop()


@contextmanager
def _recovery(cell: Cell, sink: SinkProcess) -> Iterator[None]:
    """The end of an outage, in the middle of the measuring."""
    if not cell.outage_s:
        yield
        return
    timer = threading.Timer(cell.outage_s, sink.recover)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
