"""Several workers: everything answered is stored once, whichever process dies, and when."""

from __future__ import annotations

import os
import random
import signal
import socket
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

import proving
from collector_kit import track
from collector_process import Sender, ServedCollector, is_alive
from patience import DEADLINE, wait_for
from penstock.collector import open_store
from penstock.collector.config import CollectorConfig
from penstock.collector.processes.listeners import listening
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

WORKERS = 3


def ids_in(store: Path) -> list[str]:
    table = open_store(store).arrow("SELECT message_id FROM events")
    found: list[str] = table.column("message_id").to_pylist()
    return found


def free_port() -> int:
    """A port that was free a moment ago: a collector that dies comes back to the same."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def number_of(collector: ServedCollector, name: str) -> float:
    """One of the collector's numbers, over all its labels."""
    families = text_string_to_metric_families(collector.get("/metrics")[1])
    return sum(s.value for family in families for s in family.samples if s.name == name)


class Trial:
    """A collector of several workers, senders that never stop, and something that kills."""

    def __init__(self, store: Path, seed: int) -> None:
        self._store = store
        self._port = free_port()
        self._random = random.Random(seed)
        self.collector = self._serve()
        self.senders = [Sender(lambda: self._port, number) for number in range(1, 7)]
        for sender in self.senders:
            sender.start()

    def _serve(self) -> ServedCollector:
        return ServedCollector(self._store, hasty=True, workers=WORKERS, port=self._port)

    def answered(self) -> int:
        return sum(len(sender.answered) for sender in self.senders)

    def kill(self) -> None:
        """SIGKILL one process, whichever; wait for its successor and for more answers."""
        role = self._random.choice(["worker", "worker", "worker", "pipeline", "supervisor"])
        if role == "supervisor":
            orphans = self.collector.running("worker") + self.collector.running("pipeline")
            os.kill(self.collector.pid, signal.SIGKILL)
            self.collector.process.communicate(timeout=DEADLINE)
            wait_for(lambda: not any(map(is_alive, orphans)), "the orphans' end")
            self.collector = self._serve()
        else:
            victim = self._random.choice(wait_for(lambda: self.collector.running(role), role))
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda: not is_alive(victim), "its end")
            self.collector.pipeline = wait_for(
                lambda: self.collector.running("pipeline"), "a pipeline"
            )[0]
        before = self.answered()
        wait_for(lambda: self.answered() > before + 400, "more answers")

    def finish(self) -> tuple[set[str], list[str]]:
        """Ids that were answered, and those that are stored."""
        for sender in self.senders:
            sender.finish()
        assert self.collector.stop() == 0
        answered = {message for sender in self.senders for message in sender.answered}
        return answered, ids_in(self._store)


@pytest.mark.timeout(1200)
@pytest.mark.proves("process death", "collector of several workers, SIGKILL of any process")
def test_a_kill_of_any_process_loses_nothing_and_stores_nothing_twice(
    tmp_path: Path, proof: proving.Proof
) -> None:
    """Workers, the pipeline, the supervisor: under load, by ids, while everything is sealed."""
    kills = proving.scale(8, 200)
    trial = Trial(tmp_path, seed=20_261_121)
    for _ in range(kills):
        trial.kill()
    answered, stored = trial.finish()
    lost, repeated = len(answered - set(stored)), len(stored) - len(set(stored))
    proof.record(trials=kills, events=len(answered), lost=lost, repeated=repeated)
    assert (lost, repeated) == (0, 0)
    assert list((tmp_path / "log").iterdir()) == []


def test_all_workers_take_requests_and_one_answers_for_all(tmp_path: Path) -> None:
    """Connections are spread, and the numbers are the sum, whoever is asked."""
    collector = ServedCollector(tmp_path, workers=WORKERS)
    assert len(collector.running("worker")) == WORKERS
    for number in range(60):
        assert collector.post("/v1/track", track(number)) == 200
    for _ in range(10):
        assert number_of(collector, "penstock_events_total") == 60
    lanes = [path for path in (tmp_path / "log").iterdir() if list(path.glob("*.seg"))]
    assert len(lanes) > 1
    assert open_store(tmp_path).count() == 60
    assert collector.stop() == 0
    assert open_store(tmp_path).counts().stored == 60


def test_the_same_event_to_two_workers_is_stored_once(tmp_path: Path) -> None:
    """Deduplication sees all of them."""
    collector = ServedCollector(tmp_path, workers=WORKERS)
    for _ in range(30):
        assert collector.post("/v1/track", track(7)) == 200
    assert collector.stop() == 0
    counts = open_store(tmp_path).counts()
    assert (counts.stored, counts.duplicates) == (1, 29)


def test_a_worker_that_dies_comes_back(tmp_path: Path) -> None:
    """Connections to it wait for the next one instead of being refused."""
    collector = ServedCollector(tmp_path, workers=2)
    before = collector.running("worker")
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, before)), "their end")
    for number in range(10):
        assert collector.post("/v1/track", track(number)) == 200
    assert number_of(collector, "penstock_worker_restarts_total") == 2
    wait_for(lambda: number_of(collector, "penstock_workers_healthy") == 2, "both")
    assert collector.stop() == 0
    assert open_store(tmp_path).count() == 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_of_several_is_clean(tmp_path: Path, number: int) -> None:
    """Exit code 0, everything sealed, no process left."""
    collector = ServedCollector(tmp_path, workers=2)
    workers = collector.running("worker")
    for batch in range(20):
        assert collector.post("/v1/batch", {"batch": [track(batch)]}) == 200
    assert collector.stop(number) == 0
    assert not any(map(is_alive, workers))
    assert list((tmp_path / "log").iterdir()) == []
    assert open_store(tmp_path).count() == 20


def test_a_request_in_flight_is_answered_before_the_end(tmp_path: Path) -> None:
    """A body that is half sent when the signal comes is still taken."""
    collector = ServedCollector(tmp_path, workers=2)
    head = (
        b"POST /v1/track HTTP/1.1\r\nHost: x\r\n"
        b"Authorization: Basic azo=\r\nContent-Length: %d\r\n\r\n"
    )
    body = b'{"userId":"u","event":"e"}'
    with socket.create_connection(("127.0.0.1", collector.port), timeout=DEADLINE) as raw:
        raw.sendall(head % len(body) + body[:9])
        wait_for(lambda: number_of(collector, "penstock_requests_in_flight") == 1, "its head")
        collector.process.send_signal(signal.SIGTERM)
        raw.sendall(body[9:])
        assert raw.recv(100).startswith(b"HTTP/1.1 200")
    assert collector.process.wait(DEADLINE) == 0
    collector.process.communicate()
    assert open_store(tmp_path).count() == 1


def test_a_port_is_not_shared_with_strangers(tmp_path: Path) -> None:
    """Sharing is for our own workers; a taken port is told, also by another collector's."""
    config = CollectorConfig(store=tmp_path, workers=2, port=0)
    with listening(config) as sockets:
        port: int = sockets[0].getsockname()[1]
        assert {each.getsockname()[1] for each in sockets} == {port}
        taken = CollectorConfig(store=tmp_path, workers=2, port=port)
        with pytest.raises(ConfigError, match="cannot listen"), listening(taken):
            pytest.fail("the port was shared")
