"""What ``/metrics`` says of destinations: the ledger's numbers, whoever answers and who died."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from collector_kit import basic, track
from collector_process import ServedCollector
from faults.rules import Always, status
from faults.sink import FaultSink
from patience import wait_for
from penstock.collector.http.destination_metrics import families
from penstock.collector.layout import Layout
from penstock.collector.routing.standings import SIZE, Standing, StandingsFile, by_name, told_in
from penstock.collector.routing.telling import Live, Teller
from penstock.journal import DestinationLedger, inspect, letters
from penstock.journal.disk import DiskJournal
from penstock.journal.inspection import state_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: ``{(name, label values in their order)}: value``
Numbers = dict[tuple[str, ...], float]
NAMES = {"one": "Segment"}


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing leaves this machine."""
    monkeypatch.setenv("PENSTOCK_NETWORK", "loopback")


class Shop(NamedTuple):
    """A store with three destinations: one takes events, one refuses, one is down."""

    layout: Layout
    options: list[str]
    good: FaultSink
    strict: FaultSink
    down: FaultSink

    def serve(self, workers: int = 1) -> ServedCollector:
        return ServedCollector(self.layout.root, *self.options, workers=workers)

    def ledgers(self) -> dict[str, DestinationLedger]:
        """As the debugger and `penstock ledger` recount them."""
        found = inspect(self.layout.outbox)
        return {name: one for journal in found for name, one in journal.ledger.destinations.items()}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    sinks = {name: FaultSink().start() for name in ("Good", "Strict", "Down")}
    sinks["Strict"].plan(Always(status(400)))
    sinks["Down"].plan(Always(status(503)))
    tables = [
        f'[destinations.{name}]\ntype = "webhook"\nname = "{name}"\nkey = "k_{name}"\n'
        f'endpoint = "{sink.url}"\ninterval = 0.02\n'
        for name, sink in sinks.items()
    ]
    (tmp_path / "c.toml").write_text("\n".join(tables))
    options = ["--config", str(tmp_path / "c.toml")]
    yield Shop(Layout(tmp_path / "store"), options, *sinks.values())
    for sink in sinks.values():
        sink.close()


def parsed(text: str) -> Numbers:
    return {
        (sample.name.removeprefix("penstock_destination_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if family.name.startswith("penstock_destination_")
    }


def numbers(collector: ServedCollector) -> Numbers:
    status_, text = collector.get("/metrics")
    assert status_ == 200, text
    return parsed(text)


def ledger_of(found: Numbers, name: str) -> DestinationLedger:
    """The account that `/metrics` tells of one destination."""
    return DestinationLedger(
        accepted=int(found["accepted_total", name]),
        delivered=int(found["delivered_total", name]),
        pending=int(found["pending", name]),
        dead={k[2]: int(v) for k, v in found.items() if k[:2] == ("dead_total", name)},
    )


def settled(found: Numbers, events: int) -> bool:
    """Whether all three have so many events, and nothing but what is down waits."""
    return (
        found.get(("delivered_total", "Good")) == events
        and found.get(("dead_total", "Strict", "rejected")) == events
        and found.get(("pending", "Down")) == events
    )


def test_every_destination_is_told_as_its_ledger_has_it(shop: Shop) -> None:
    """Any worker says the same, and so does one after a kill, a restart and a replay."""
    collector = shop.serve(workers=2)
    batch = {"batch": [track(number) for number in range(7)]}
    assert collector.post("/v1/batch", batch, basic("k")) == 200
    wait_for(lambda: settled(numbers(collector), 7), "the first batch")
    for _ in range(8):  # a connection each: both workers answer some
        found = numbers(collector)
        assert {name: ledger_of(found, name) for name in shop.ledgers()} == shop.ledgers()
    assert found["requests_total", "Good", "delivered", "200"] >= 1
    assert found["requests_total", "Strict", "dead", "400"] == 7
    assert found["requests_total", "Down", "retry", "503"] >= 1
    assert found["oldest_pending_seconds", "Good"] == 0
    first_age = found["oldest_pending_seconds", "Down"]
    assert 0 < first_age < 60

    stored = 'penstock_items_total{fate="stored"} 7.0'
    wait_for(lambda: stored in collector.get("/metrics")[1], "the store")  # or it comes once more
    os.kill(collector.pipeline, 9)
    more = {"batch": [track(number) for number in range(100, 103)]}
    assert collector.post("/v1/batch", more, basic("k")) == 200
    wait_for(lambda: settled(numbers(collector), 10), "what came after the kill")
    collector.stop()
    collector = shop.serve()
    found = numbers(collector)  # before the pipeline of this run can have told anything
    assert settled(found, 10)
    assert found["oldest_pending_seconds", "Down"] > first_age
    shop.strict.plan()
    letters.replay(shop.layout.root, letters.Wanted(destination="Strict"))
    wait_for(lambda: numbers(collector)["delivered_total", "Strict"] == 10, "the replay")
    found = numbers(collector)
    assert found["dead_total", "Strict", "rejected"] == 10
    assert {name: ledger_of(found, name) for name in shop.ledgers()} == shop.ledgers()
    collector.stop()


def test_a_destination_without_an_event_is_there_with_zeros(shop: Shop) -> None:
    """An alert on what is delivered can tell silence from a name that is wrong."""
    collector = shop.serve()
    found = wait_for(lambda: numbers(collector), "the first telling")
    assert {name: ledger_of(found, name) for name in ("Good", "Strict", "Down")} == dict.fromkeys(
        ("Good", "Strict", "Down"), DestinationLedger()
    )
    collector.stop()


def test_a_collector_without_destinations_says_nothing_of_them(tmp_path: Path) -> None:
    """No family, and no file in the store."""
    collector = ServedCollector(tmp_path)
    assert collector.post("/v1/track", track(1), basic("k")) == 200
    assert numbers(collector) == {}
    collector.stop()
    assert not Layout(tmp_path).standings.exists()


# -- the teller --------------------------------------------------------------------------------


class Outbox:
    """One journal of a store, held by this process; and a clock."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root)
        self.now = 0.0
        self.held: dict[str, DiskJournal] = {}
        self.teller = Teller(self.layout, self.live, lambda: self.now)

    def opened(self, name: str = "0123") -> DiskJournal:
        journal = DiskJournal(self.layout.outbox / name, NAMES, max_bytes=1 << 24, max_age=1e6)
        self.held[name] = journal
        return journal

    def live(self) -> dict[str, Live]:
        return {
            name: Live(
                {lane: state_of(one, NAMES) for lane, one in journal.held().items()},
                {"Segment": [("delivered", "200", 1)]},
            )
            for name, journal in self.held.items()
        }

    def told(self) -> Standing:
        self.teller.tell()
        return by_name(told_in(self.layout.standings))["Segment"]


def fill(journal: DiskJournal, count: int, captured_at: int = 0) -> None:
    for _ in range(count):
        journal.lane.append(2, 0, captured_at, b"{}")


def deliver(journal: DiskJournal, count: int) -> None:
    """The first *count* of what is left in its own lane."""
    cursor = journal.lane.cursor("one")
    chunk = journal.lane.read(cursor.head, count, 1 << 20)
    hole = cursor.hand_out(chunk.records, chunk.after, 0)
    cursor.settle(hole, delivered=[record.ordinal for record in chunk.records])


def test_a_sum_of_all_time_never_goes_back(tmp_path: Path) -> None:
    """Not while a lane is left, adopted, delivered and removed; what waits is never guessed."""
    outbox = Outbox(tmp_path)
    first = outbox.opened()
    fill(first, 5, captured_at=100)
    deliver(first, 2)
    before = outbox.told()
    assert before.ledger == DestinationLedger(accepted=5, delivered=2, pending=3)
    assert before.oldest == 100
    first.close()
    outbox.held.clear()
    assert outbox.told() == before, "a lane nobody holds is being adopted"
    second = outbox.opened()
    fill(second, 1, captured_at=200)
    assert outbox.told() == before, "still"
    (adopted,) = second.adopt()
    assert outbox.told().ledger == DestinationLedger(accepted=6, delivered=2, pending=4)
    cursor = adopted.cursor("one")
    chunk = adopted.read(cursor.head, 100, 1 << 20)
    cursor.settle(cursor.hand_out(chunk.records, chunk.after, 0), delivered=[3, 4, 5])
    assert second.retire(adopted)
    after = outbox.told()
    assert after.ledger == DestinationLedger(accepted=6, delivered=5, pending=1)
    assert after.oldest == 200


def test_an_outbox_that_nobody_delivers_is_recounted(tmp_path: Path) -> None:
    """That of a table that was taken away: once its lanes have stayed unadopted for a while."""
    outbox = Outbox(tmp_path)
    left = outbox.opened("left")
    fill(left, 3, captured_at=50)
    left.close()
    outbox.held.clear()
    outbox.opened()
    assert outbox.told() == Standing(requests=[("delivered", "200", 1)])
    outbox.now = 11.0
    told = outbox.told()
    assert told.ledger == DestinationLedger(accepted=3, pending=3)
    assert told.oldest == 50
    (lane,) = outbox.teller._recounted
    shutil.rmtree(lane)
    outbox.told()
    assert outbox.teller._recounted == {}, "what is gone is not kept in mind"


def test_a_lane_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    """Another version's, say: the rest of the outbox is told."""
    outbox = Outbox(tmp_path)
    journal = outbox.opened()
    fill(journal, 2)
    strange = outbox.layout.outbox / "0123" / "lane-strange"
    strange.mkdir()
    (strange / "cursor-one").write_bytes(b"")
    (strange / "00000001.seg").write_bytes(b"PENSTOCK\xff\xff" + bytes(100))
    outbox.teller.tell()
    outbox.now = 11.0
    assert outbox.told().ledger.pending == 2


def test_a_torn_or_foreign_file_tells_nothing(tmp_path: Path) -> None:
    """Whoever asks gets what was told before, or nothing; never an error."""
    path = tmp_path / "destinations"
    assert told_in(path) == {}
    file = StandingsFile(path)
    file.tell({"a": {"One": Standing(oldest=1.0)}})
    file.tell({"a": {"One": Standing(oldest=2.0)}})
    file.close()
    assert told_in(path)["a"]["One"].oldest == 2.0
    whole = bytearray(path.read_bytes())
    whole[16] ^= 1  # the second telling is in the first half
    path.write_bytes(whole)
    assert told_in(path)["a"]["One"].oldest == 1.0
    path.write_bytes(bytes(SIZE // 2))
    assert told_in(path) == {}


def test_two_outboxes_of_one_name_are_one_destination() -> None:
    """Prometheus takes a series once; names are somebody's, and any text."""
    name = 'a "quoted"\nname'
    part = Standing(
        ledger=DestinationLedger(accepted=2, pending=1, dead={"expired": 1}),
        oldest=90.0,
        requests=[("dead", "none", 1)],
    )
    told = by_name({"a": {name: part}, "b": {name: part}})
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector

    class Told(Collector):
        def collect(self) -> Iterator[object]:  # type: ignore[override]
            yield from families(told, now=100.0)

    registry = CollectorRegistry()
    registry.register(Told())
    found = parsed(generate_latest(registry).decode())
    assert found["accepted_total", name] == 4
    assert found["dead_total", name, "expired"] == 2
    assert found["oldest_pending_seconds", name] == 10
    assert found["requests_total", name, "dead", "none"] == 2
    assert list(families({}, time.time())) == []
