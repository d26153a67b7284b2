"""The examples do what they say, and leave nothing behind."""

from __future__ import annotations

import re
import signal
import time
from typing import TYPE_CHECKING

import pytest

from example import start, wait_for_end_of
from patience import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from faults.sink import FaultSink


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
    wait_for_end_of(str(place))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_main_job_ends_when_it_is_told_to(tmp_path: Path, number: signal.Signals) -> None:
    """In the middle, and takes its processes along."""
    place = tmp_path / "demo"
    process = start("main_job/run.py", place)
    wait_for(lambda: [*place.glob("journal/*/lane-*")], "the first event", 60.0)
    process.send_signal(number)
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "nothing is left running" in told
    wait_for_end_of(str(place))


def test_the_quickstart_sends_two_events(sink: FaultSink, tmp_path: Path) -> None:
    """And says so."""
    process = start("quickstart/run.py", sink.url, PENSTOCK_JOURNAL=str(tmp_path))
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert told == "2 delivered, 0 pending\n"
    assert [event["type"] for event in sink.events] == ["identify", "track"]
