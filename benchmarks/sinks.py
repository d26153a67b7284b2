"""The sink as the one who measures sees it: a process to start, to ask and to stop."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import machine

PROGRAM = Path(__file__).parent / "sink"


class SinkProcess:
    """
    The directory ``sink`` as a process of its own.

    Args:
        behaviour: What `sink.behaviour.Behaviour` takes.
        expected: Events that will come, so that there is memory for them beforehand.
    """

    def __init__(self, behaviour: dict[str, Any], expected: int = 0) -> None:
        command = [sys.executable, str(PROGRAM), json.dumps(behaviour), str(expected)]
        with machine.on(machine.sink_cores()):
            self._popen = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._popen.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._popen.stdout.readline())}"

    def recover(self) -> None:
        """From now on, listen, take and answer at once."""
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
