"""A collector that runs on and on: its memory and its files stay what they were."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import proving
from collector_process import Sender, ServedCollector
from penstock.collector import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = proving.scale(8.0, 180.0)
#: Memory that comes with the first requests, and what the ids of the window take.
_ALLOWED_MIB = proving.scale(96, 24)


def resident_mib(pid: int) -> float:
    """The memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1024


def looks(seconds: float) -> Iterator[float]:
    """The share of the time that has passed, ten times a second."""
    begin = time.monotonic()
    while (passed := time.monotonic() - begin) < seconds:
        yield passed / seconds
        time.sleep(0.1)  # a soak is about time that passes


@pytest.mark.proves("time", "collector: memory and number of files under steady load")
@pytest.mark.timeout(600)
def test_memory_and_files_stay_flat(tmp_path: Path, proof: proving.Proof) -> None:
    """With sealing, merging and reading all the time; nothing is lost, nothing is twice."""
    collector = ServedCollector(tmp_path, hasty=True)
    senders = [Sender(lambda: collector.port, number) for number in range(1, 4)]
    for sender in senders:
        sender.start()
    peaks = {False: 0.0, True: 0.0}
    files = 0
    for share in looks(SECONDS):
        late = share > 0.5
        peaks[late] = max(peaks[late], resident_mib(collector.pipeline))
        files = max(files, len(open_store(tmp_path).files()))
    for sender in senders:
        sender.finish()
    assert collector.stop() == 0
    answered = {message for sender in senders for message in sender.answered}
    table = open_store(tmp_path).arrow("SELECT message_id FROM events")
    stored = table.column("message_id").to_pylist()
    lost, repeated = len(answered - set(stored)), len(stored) - len(set(stored))
    proof.record(events=len(answered), lost=lost, repeated=repeated)
    assert (lost, repeated) == (0, 0)
    assert peaks[True] < peaks[False] * 1.1 + _ALLOWED_MIB
    assert files < 40
