"""Kills at random moments while events come in: none lost, none twice, no file damaged."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

import proving
from collector_process import Sender, ServedCollector, children, is_alive, role_of
from patience import wait_for
from penstock.collector import open_store
from penstock.collector.layout import Layout
from penstock.collector.store.chores import delete_user

if TYPE_CHECKING:
    from pathlib import Path

#: Kills of a worker, of the process that seals and merges, and of the one above both.
KILLS = proving.scale(6, 200)
_SENDERS = 4


@pytest.mark.proves("process death", "collector: kills of workers, sealer and supervisor")
@pytest.mark.timeout(1800)
def test_kills_lose_nothing_and_repeat_nothing(tmp_path: Path, proof: proving.Proof) -> None:
    """By ids: what was answered is stored, once; what is stored was sent; every file is whole."""
    rng = random.Random(proving.FULL)
    trial = Trial(tmp_path)
    for number in range(KILLS):
        trial.wait_for_answers(200)
        time.sleep(rng.random() * 0.1)  # the random moment is what is tried
        trial.kill(("worker", "pipeline", "pipeline", "supervisor")[number % 4])
    answered, sent, stored = trial.end()
    lost, repeated = len(answered - set(stored)), len(stored) - len(set(stored))
    proof.record(trials=KILLS, events=len(answered), lost=lost, repeated=repeated)
    assert (lost, repeated) == (0, 0)
    assert set(stored) <= sent
    assert open_store(tmp_path).counts().stored == len(stored)
    assert list((tmp_path / "log").iterdir()) == []
    for path in tmp_path.rglob("*.parquet"):
        assert pq.read_table(path, partitioning=None).num_rows > 0


class Trial:
    """
    A collector under load, to be killed; readers and a deletion go on meanwhile.

    Args:
        store: Its store.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._collector = ServedCollector(store, hasty=True, workers=2)
        self._port = self._collector.port
        self._senders = [Sender(lambda: self._port, number) for number in range(1, _SENDERS + 1)]
        for sender in self._senders:
            sender.start()

    def _answers(self) -> int:
        return sum(len(sender.answered) for sender in self._senders)

    def wait_for_answers(self, count: int) -> None:
        """Until that many more events were answered, and a reader sees them."""
        before = self._answers()
        wait_for(lambda: self._answers() > before + count, "answers")
        known = self._answers() - count
        assert open_store(self._store).count() >= known

    def kill(self, role: str) -> None:
        """SIGKILL to a process, and wait until another one has its place."""
        if role == "supervisor":
            self._collector.stop(signal.SIGKILL)
            self._collector = ServedCollector(self._store, hasty=True, workers=2)
            self._port = self._collector.port
            return
        victim = random.choice(wait_for(lambda: self._running(role), role))
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: not is_alive(victim), "its end")
        wait_for(lambda: set(self._running(role)) - {victim}, f"another {role}")

    def _running(self, role: str) -> list[int]:
        return [pid for pid in children(self._collector.pid) if role_of(pid) == role]

    def end(self) -> tuple[set[str], set[str], list[str]]:
        """Stop it; the ids that were answered, sent, and stored."""
        for sender in self._senders:
            sender.finish()
        assert self._collector.stop() == 0
        delete_user(Layout(self._store), "nobody", 60)
        table = open_store(self._store).arrow("SELECT message_id FROM events")
        answered = {message for sender in self._senders for message in sender.answered}
        sent = {message for sender in self._senders for message in sender.sent}
        return answered, sent, table.column("message_id").to_pylist()
