"""The examples do what they say, and leave nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli_host import CliHost

if TYPE_CHECKING:
    from faults.sink import FaultSink

EXAMPLES = Path(__file__).parent.parent / "examples"


def start(script: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    """An example as a user starts it, in a session of its own."""
    place = Path(str(arguments[0])) if arguments else Path()
    return subprocess.Popen(
        [sys.executable, str(EXAMPLES / script), *map(str, arguments)],
        env=CliHost(place).environment(**environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes_naming(text: str) -> list[int]:
    """Processes with *text* in their command line or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:  # it ended meanwhile, or is another user's
            continue
        if text.encode() in told:
            found.append(int(entry.name))
    return found


def gone(text: str, within_s: float = 20.0) -> bool:
    """Whether no such process is left, after a moment for the kernel to tidy up."""
    deadline = time.monotonic() + within_s
    while processes_naming(text) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not processes_naming(text)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_main_job_reconciles_to_the_cent(tmp_path: Path) -> None:
    """Every order in every dialect, after a SIGKILL; under two minutes, and nothing runs on."""
    place = tmp_path / "demo"
    started = time.monotonic()
    process = start("main_job/run.py", place)
    told, _ = process.communicate(timeout=200)
    assert process.returncode == 0, told
    assert time.monotonic() - started < 120
    kill = re.search(r"SIGKILL: ([\d,]+) of ([\d,]+) events are stored", told)
    assert kill
    assert 0 < int(kill[1].replace(",", "")) < int(kill[2].replace(",", "")) == 4 * 69_659
    for source in ("the file", "segment", "rudderstack", "dreamdata", "posthog"):
        (row,) = re.findall(rf"^ *{source} +(.+?) *$", told, re.MULTILINE)
        assert row.split()[:4] == ["69,659", "23,570", "167,881", "2,500,315.63"]
        assert row.split()[4:] == ([] if source == "the file" else ["0", "0"])
    assert gone(str(place))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_main_job_ends_when_it_is_told_to(tmp_path: Path, number: signal.Signals) -> None:
    """In the middle, and takes its processes along."""
    place = tmp_path / "demo"
    process = start("main_job/run.py", place)
    deadline = time.monotonic() + 60
    while not list(place.glob("journal/*/lane-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "nothing is left running" in told
    assert gone(str(place))


def test_the_quickstart_sends_two_events(sink: FaultSink, tmp_path: Path) -> None:
    """And says so."""
    process = start("quickstart/run.py", sink.url, PENSTOCK_JOURNAL=str(tmp_path))
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert told == "2 delivered, 0 pending\n"
    assert [event["type"] for event in sink.events] == ["identify", "track"]
