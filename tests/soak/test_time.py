"""A program that runs for long takes no more at its end than at its beginning."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

import pytest
from tally import Tally
from trend import slope

import proving
from faults import rules

if TYPE_CHECKING:
    from faults.host import Finished, Host
    from faults.sink import Exchange

HOUR_S = 3600.0
MIB_KIB = 1024.0
PROBES = 60
#: Events a second.
RATE = 2_000
#: Bytes a journal may take whatever its age: some segments, and what an outage leaves in it.
JOURNAL_BYTES = 64 * 1024 * 1024
#: KiB that allocators may take while the last threads and buffers find their place.
SETTLING_KIB = 4 * MIB_KIB
#: The program's own, the worker, and the senders of one destination.
THREADS = 1 + 1 + 4
#: Of a program with a journal and as many connections; and files of a journal with lanes of
#: dead children in it.
DESCRIPTORS, FILES = 32, 48
#: The sink fails for so many of every so many seconds.
OUTAGE_S, OUTAGE_EVERY_S = 1.5, 6.0
#: After which it loses its answers for so long, and takes its time for so long.
MUTE_S, SLOW_S, SLOW_ANSWER_S = 0.05, 1.5, 0.05


@pytest.fixture
def tally(host: Host) -> Tally:
    """The sink in little memory; now and then it is down, or loses its answer."""
    host.sink.plan(_bad_days)
    return Tally(host.sink)


def _bad_days(_: Exchange) -> rules.Answer | None:
    """Down, then without an answer, then slow, so that all senders are there from the start."""
    moment = time.monotonic() % OUTAGE_EVERY_S - OUTAGE_S
    if moment < 0:
        return rules.status(503)
    if moment < MUTE_S:
        return rules.LOST_ANSWER
    return rules.Answer(wait_s=SLOW_ANSWER_S) if moment < SLOW_S else None


def probes_of(finished: Finished) -> dict[str, list[float]]:
    """``{what: [samples]}``; the first sample is from within the warm-up."""
    assert finished.returncode == 0, finished.output
    samples = finished.lines("probe")
    return {name: [sample[name] for sample in samples] for name in samples[0]}


def settled(samples: list[float]) -> list[float]:
    """Without the warm-up."""
    return samples[len(samples) // 3 :]


@pytest.mark.proves("time", "2,000 events a second")
@pytest.mark.timeout(1200)
def test_ten_minutes_at_two_thousand_a_second_take_no_more_and_more(
    host: Host, tally: Tally, proof: proving.Proof
) -> None:
    """Memory, threads, descriptors and the journal stay what they were, through outages."""
    seconds = proving.scale(10, 600)
    finished = host.run("soak_steady.py", seconds, RATE, PROBES, timeout=seconds + 120)
    held = probes_of(finished)
    tracked = finished.told("tracked")
    lost = tracked - tally.events
    proof.record(events=tracked, lost=lost, repeated=tally.repeated)
    host.assert_balanced(finished)
    assert lost == 0
    if proving.FULL:
        assert slope(held["at"], held["memory_kib"]) * HOUR_S <= MIB_KIB, held["memory_kib"]
    else:  # some seconds cannot show a mebibyte an hour, but what every event leaves behind
        assert risen(held) <= SETTLING_KIB, held["memory_kib"]
    assert_bounded(held)


@pytest.mark.proves("time", "hours at a fast clock")
@pytest.mark.timeout(600)
def test_an_hour_takes_no_more_and_more(host: Host, tally: Tally, proof: proving.Proof) -> None:
    """Bursts, idleness, outages, and children that die with events, which are adopted."""
    hours, speed = proving.scale((1.0, 600.0), (24.0, 1200.0))
    finished = host.run(
        "soak_clock.py", hours * HOUR_S, speed, PROBES, timeout=hours * HOUR_S / speed + 120
    )
    held = probes_of(finished)
    tracked = finished.told("tracked")
    lost = tracked - tally.events
    proof.record(events=tracked, lost=lost, repeated=tally.repeated)
    assert lost == 0
    assert risen(held) <= SETTLING_KIB, held["memory_kib"]
    assert_bounded(held)


@pytest.mark.proves("time", "clients that come and go")
@pytest.mark.timeout(1200)
def test_ten_thousand_clients_leave_nothing(host: Host, tally: Tally, proof: proving.Proof) -> None:
    """Closed or forgotten, on disk or in memory: no thread, descriptor, memory or file is left."""
    count = proving.scale(300, 10_000)
    host.sink.plan()
    finished = host.run("soak_clients.py", count, PROBES // 2, timeout=900)
    held = probes_of(finished)
    tracked = finished.told("tracked")
    proof.record(trials=count, events=tracked, lost=tracked - tally.events)
    assert tracked == tally.events
    assert len(finished.lines("settled")) == len(held["at"])
    assert all(finished.lines("settled"))
    growth = slope(held["at"], held["memory_kib"]) * 1024  # bytes a client
    assert growth <= proving.scale(2_048, 100), held["memory_kib"]
    assert len(set(settled(held["threads"]))) == 1
    assert max(settled(held["descriptors"])) <= held["descriptors"][0] + 1
    left = [path for path in host.journal_files()[1:] if path.is_file()]
    assert {path.name for path in left} == {"retired.jsonl"}
    assert left[0].stat().st_size <= 200 * count


def risen(held: dict[str, list[float]]) -> float:
    """KiB that memory rose by after the warm-up."""
    return slope(held["at"], held["memory_kib"]) * (held["at"][-1] - settled(held["at"])[0])


def assert_bounded(held: dict[str, list[float]]) -> None:
    """Threads, descriptors and files come and go with the work, within bounds of their own."""
    assert max(held["threads"]) <= THREADS, held["threads"]
    assert max(held["descriptors"]) <= DESCRIPTORS, held["descriptors"]
    assert max(held["journal_files"]) <= FILES, held["journal_files"]
    assert max(held["journal_bytes"]) <= JOURNAL_BYTES, held["journal_bytes"]
    if proving.FULL:
        for name in ("threads", "descriptors"):
            samples = settled(held[name])
            half = len(samples) // 2
            assert median(samples[half:]) <= median(samples[:half]) + 1, samples
