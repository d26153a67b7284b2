"""The collector's destinations: what is stored is delivered, whoever dies meanwhile."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import proving
from collector_crash import Crash
from collector_kit import basic, track
from collector_process import Sender, ServedCollector, is_alive
from faults.rules import Always, status
from faults.sink import FaultSink
from patience import wait_for
from penstock import Client, Config, Destination, PostHog, Segment, Webhook
from penstock.collector import open_store
from penstock.collector.config import Keeping
from penstock.collector.file import parse
from penstock.collector.layout import Layout
from penstock.collector.routing.outbox import Outbox
from penstock.collector.routing.outgoing import outgoing
from penstock.collector.routing.router import Router
from penstock.collector.store.pipeline import Pipeline
from penstock.collector.store.sealing import prepare
from penstock.journal import inspect, letters
from penstock.journal._budget import Budget
from penstock.journal._locks import FileLock
from penstock.journal._segment import DiskStore
from store_kit import AT_ONCE, lane, send, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from penstock.collector.file import Settings
    from penstock.collector.store.sealing import Run

KEEPING = Keeping(sealing=AT_ONCE)
KEYS = {"segment": "WK_loopback", "posthog": "phc_loopback", "webhook": "whsec_loopback"}


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing leaves this machine."""
    monkeypatch.setenv("PENSTOCK_NETWORK", "loopback")


@pytest.fixture
def other_sink() -> Iterator[FaultSink]:
    server = FaultSink().start()
    yield server
    server.close()


def outlet(table: str, sink: FaultSink, kind: str = "webhook", **more: Any) -> str:
    """A table of the file."""
    values = {"type": kind, "key": KEYS[kind], "endpoint": sink.url, "interval": 0.02, **more}
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join([f"[destinations.{table}]", *lines, ""])


def settings_of(tmp_path: Path, *tables: str) -> Settings:
    return parse(tmp_path / "c.toml", "\n".join(tables).encode(), {})


def run_of(*messages: dict[str, Any], source: str = "segment") -> Run:
    """What the pipeline makes of a request."""
    from penstock.collector.log.entry import Head, packed
    from penstock.collector.log.reading import Entry

    body = json.dumps({"batch": messages}).encode()
    head = Head(1_772_360_431_000, source, "segment", "batch", "", len(messages))
    entry = Entry(1, packed(head, body))
    return prepare({"lane-test": [entry]}, lambda _source, ids, _at: [True] * len(ids))


@pytest.fixture
def router_of(tmp_path: Path) -> Iterator[Callable[..., Router]]:
    made: list[Router] = []

    def make(*tables: str) -> Router:
        made.append(Router(Layout(tmp_path / "store").outbox, settings_of(tmp_path, *tables)))
        return made[-1]

    yield make
    for router in made:
        router.close(0.5)


def ids_of(*messages: dict[str, Any]) -> set[str]:
    return {message["messageId"] for message in messages}


# -- what goes where -----------------------------------------------------------------------


def test_stored_events_leave_in_neutral_form() -> None:
    """All there is of each, with the corrected time and what the envelope put beneath it."""
    message = track(
        1, anonymousId="a", context={"library": {"name": "x", "version": "1"}, "ip": "10.0.0.1"}
    )
    (found,) = outgoing(run_of({**message, "integrations": {"All": False}}).events)
    neutral = json.loads(found.payload)
    assert neutral == {
        **message,
        "integrations": {"All": False},
        "timestamp": neutral["timestamp"],
    }
    assert (found.source, found.type, found.event) == ("segment", "track", "Order Completed")
    assert found.selective


def test_a_source_has_its_own_destinations(
    router_of: Any, sink: FaultSink, other_sink: FaultSink
) -> None:
    """And one that names none has them all; an empty list has none."""
    router = router_of(
        '[sources.a]\nkey = "A"\ndestinations = ["one"]\n[sources.b]\nkey = "B"\n',
        '[sources.c]\nkey = "C"\ndestinations = []\n',
        outlet("one", sink),
        outlet("two", other_sink, name="Other"),
    )
    for number, source in enumerate("abc"):
        router.take(run_of(track(number), source=source))
    sink.wait_for_events(2)
    other_sink.wait_for_events(1)
    router.close(5)
    assert sink.accepted == ids_of(track(0), track(1))
    assert other_sink.accepted == ids_of(track(1))


def test_filters_and_names_are_a_destinations_own(
    router_of: Any, sink: FaultSink, other_sink: FaultSink
) -> None:
    """The other one gets everything, under the names it came with."""
    router = router_of(
        outlet("one", sink)
        + 'only = { types = ["track"], events = ["Order *"] }\n'
        + 'rename = { events = { "Order Completed" = "purchase" }, '
        + 'properties = { revenue = "value" } }\n',
        outlet("two", other_sink, name="Other"),
    )
    router.take(run_of(track(1), track(2, event="Other"), track(3, type="page", name="Home")))
    sink.wait_for_events(1)
    other_sink.wait_for_events(3)
    (event,) = sink.events
    assert (event["event"], event["properties"]) == ("purchase", {"value": 49.5})
    assert {e.get("event") for e in other_sink.events} >= {"Order Completed", "Other"}


@pytest.mark.parametrize("kind", ["segment", "posthog"])
def test_an_event_of_either_family_goes_to_any_destination(
    router_of: Any, sink: FaultSink, kind: str
) -> None:
    """By the client's own dialects, from the neutral form."""
    router = router_of(outlet("one", sink, kind))
    router.take(run_of(track(1)))
    sink.wait_for_events(1)
    (event,) = sink.events
    assert event["event"] == "Order Completed"
    assert event["properties"]["revenue"] == 49.5
    assert sink.accepted == ids_of(track(1))


SELECTIONS: list[tuple[dict[str, Any] | None, set[str]]] = [
    (None, {"Segment", "PostHog", "Hook"}),
    ({}, {"Segment", "PostHog", "Hook"}),
    ({"All": True}, {"Segment", "PostHog", "Hook"}),
    ({"All": False}, {"Segment"}),
    ({"all": False}, {"Segment"}),
    ({"All": False, "PostHog": True}, {"Segment", "PostHog"}),
    ({"All": False, "Hook": {"option": 1}}, {"Segment", "Hook"}),
    ({"All": False, "posthog": True}, {"Segment"}),
    ({"PostHog": False}, {"Segment", "Hook"}),
    ({"Segment": False}, {"PostHog", "Hook"}),
    ({"All": False, "Segment": False}, set()),
    ({"Hook": None, "All": False}, {"Segment"}),
]


@pytest.mark.parametrize("through", ["client", "collector"])
def test_integrations_select_alike_in_client_and_collector(
    router_of: Any, tmp_path: Path, through: str
) -> None:
    """The same events with the same flags reach the same destinations, case by case."""
    sinks = {name: FaultSink().start() for name in ("Segment", "PostHog", "Hook")}
    try:
        if through == "client":
            found = _by_client(sinks, tmp_path)
        else:
            found = _by_collector(sinks, router_of)
    finally:
        for server in sinks.values():
            server.close()
    assert found == [expected for _, expected in SELECTIONS]


def _by_client(sinks: dict[str, FaultSink], tmp_path: Path) -> list[set[str]]:
    targets: list[Destination] = [
        Segment("WK", endpoint=sinks["Segment"].url),
        PostHog("phc_K", sinks["PostHog"].url),
        Webhook("whsec", sinks["Hook"].url, name="Hook"),
    ]
    with Client(*targets, config=Config(journal=tmp_path / "journal")) as client:
        ids = [client.track("u", "E", integrations=flags) for flags, _ in SELECTIONS]
        client.flush(20)
    return [{name for name, sink in sinks.items() if id_ in sink.accepted} for id_ in ids]


def _by_collector(sinks: dict[str, FaultSink], router_of: Any) -> list[set[str]]:
    router = router_of(
        outlet("one", sinks["Segment"], "segment"),
        outlet("two", sinks["PostHog"], "posthog"),
        outlet("three", sinks["Hook"], name="Hook"),
    )
    messages = []
    for number, (flags, _) in enumerate(SELECTIONS):
        messages.append(track(number, **({} if flags is None else {"integrations": flags})))
    router.take(run_of(*messages))
    wait_for(lambda: not sum(x.pending for x in router.ledgers().values()), "delivery")
    router.close(5)
    ids = [message["messageId"] for message in messages]
    return [{name for name, sink in sinks.items() if id_ in sink.accepted} for id_ in ids]


def test_an_outbox_that_is_lent_goes_on_afterwards(
    router_of: Callable[..., Router], sink: FaultSink, tmp_path: Path
) -> None:
    """Nothing holds its lanes meanwhile, nothing is routed or taken up, and nothing is lost."""
    router = router_of(outlet("warehouse", sink))
    first, second = track(1), track(2)
    sink.plan(Always(status(503)))
    router.take(run_of(first))
    (journal,) = Layout(tmp_path / "store").outbox.iterdir()
    sink.wait_for_requests(1)
    with router.lend(journal):
        taking = threading.Thread(target=router.take, args=(run_of(second),))
        taking.start()
        looking = threading.Thread(target=router.look)
        looking.start()
        looking.join(10)
        assert not looking.is_alive()
        assert router.live() == {}
        lanes = list(journal.glob("lane-*"))
        locks = [FileLock.acquire(lane / "lock") for lane in lanes]
        assert locks
        for lock in locks:
            assert lock is not None
            lock.release()
        assert taking.is_alive()
        sink.plan()
    taking.join(10)
    sink.wait(lambda: sink.accepted >= ids_of(first, second))
    with router.lend(journal.with_name("of-nobody")):
        assert len(router.live()) == 1


def test_an_outbox_that_the_disk_does_not_hold_is_not_lent(
    router_of: Callable[..., Router], sink: FaultSink, tmp_path: Path, monkeypatch: Any
) -> None:
    """What it took over might be lost with it: whoever asks has to come again."""
    router = router_of(outlet("warehouse", sink))
    router.take(run_of(track(1)))
    (journal,) = Layout(tmp_path / "store").outbox.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "sync", _refuse)
        with pytest.raises(OSError, match="full"), router.lend(journal):
            pytest.fail("it was lent")
    assert len(router.live()) == 1
    sink.wait(lambda: sink.accepted >= ids_of(track(1)))


def _refuse(_box: Outbox) -> None:
    raise OSError(errno.ENOSPC, "full")


# -- trouble -------------------------------------------------------------------------------


def test_a_destination_that_is_down_delays_nobody(
    router_of: Any, sink: FaultSink, other_sink: FaultSink
) -> None:
    """It gets everything once it is back; the other one had it long before."""
    sink.stop()
    router = router_of(outlet("down", sink), outlet("up", other_sink, name="Up"))
    messages = [track(number) for number in range(50)]
    router.take(run_of(*messages))
    other_sink.wait_for_events(50)
    assert router.ledgers()["down"].pending == 50
    sink.start()
    sink.wait_for_events(50)
    assert sink.accepted == other_sink.accepted == ids_of(*messages)


def test_a_full_backlog_makes_dead_letters_that_can_be_replayed(
    router_of: Any, sink: FaultSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store goes on; what did not fit is counted, kept and sent after all."""
    sink.plan(outage := Always(status(503)))
    router = router_of(outlet("one", sink))
    with monkeypatch.context() as patch:
        patch.setattr(Budget, "take", lambda _self, count: count > 1 << 62)
        router.take(run_of(track(1), track(2)))
    ledger = router.ledgers()["one"]
    assert (ledger.dead, ledger.balanced) == ({"queue_full": 2}, True)
    outage.lift()
    store = tmp_path / "store"
    assert {found.message_id for found in letters.find(store)} == ids_of(track(1), track(2))
    letters.replay(store)
    router.close(1)
    router_of(outlet("one", sink))
    sink.wait_for_events(2)
    assert letters.find(store) == []


def test_a_full_disk_makes_no_dead_letters(
    router_of: Any, sink: FaultSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is offered until there is room, however soon; everything is delivered then."""
    router = router_of(outlet("one", sink))
    run = run_of(*(track(number, properties={"x": "x" * 200_000}) for number in range(10)))
    real = DiskStore.create

    def full(self: DiskStore, number: int, *sizes: int) -> Any:
        if number > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, number, *sizes)

    with monkeypatch.context() as patch:
        patch.setattr(DiskStore, "create", full)
        for _ in range(3):
            with pytest.raises(OSError, match="no space"):
                router.take(run)

    def taken() -> bool:
        with suppress(OSError):
            router.take(run)
            return True
        return False

    wait_for(taken, "room")
    sink.wait_for_events(10)
    assert router.ledgers()["one"].dead == {}
    assert sink.duplicates == {}


def test_a_run_that_is_taken_again_is_not_appended_again(router_of: Any, sink: FaultSink) -> None:
    """When sealing failed afterwards, the pipeline offers the same run until it succeeds."""
    router = router_of(outlet("one", sink))
    run = run_of(track(1))
    for _ in range(3):
        router.take(run)
    sink.wait_for_events(1)
    router.close(5)
    assert sink.duplicates == {}


def test_an_outbox_that_cannot_be_written_stops_the_run(
    router_of: Any, sink: FaultSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Memory is no outbox: the run is refused until there is a disk, and nothing is lost.

    Offered again each second meanwhile, it is not made anew: that would scatter the heap.
    """
    router = router_of(outlet("one", sink))
    outbox = tmp_path / "store" / "outbox"
    shutil.rmtree(outbox)
    outbox.write_text("in the way")
    run = run_of(track(1))
    made: list[Any] = []

    def counting(events: Any) -> Any:
        made.append(events)
        return outgoing(events)

    monkeypatch.setattr("penstock.collector.routing.router.outgoing", counting)
    for _ in range(3):
        with pytest.raises(OSError, match="outbox"):
            router.take(run)
    assert len(made) == 1
    outbox.unlink()
    router.take(run)
    sink.wait_for_events(1)
    assert sink.accepted == ids_of(track(1))


# -- changes -------------------------------------------------------------------------------


def test_a_destination_gets_what_comes_after_it_was_added(
    router_of: Any, sink: FaultSink, other_sink: FaultSink, tmp_path: Path
) -> None:
    """Nothing from before; the others go on undisturbed."""
    router = router_of(outlet("one", sink))
    router.take(run_of(track(1)))
    router.configure(settings_of(tmp_path, outlet("one", sink), outlet("n", other_sink, name="N")))
    router.take(run_of(track(2)))
    other_sink.wait_for_events(1)
    sink.wait_for_events(2)
    router.close(5)
    assert other_sink.accepted == ids_of(track(2))


def test_a_new_address_and_key_deliver_the_old_backlog(
    router_of: Any, sink: FaultSink, other_sink: FaultSink, tmp_path: Path
) -> None:
    """The outbox belongs to the table's name, not to the key."""
    sink.stop()
    router = router_of(outlet("one", sink))
    router.take(run_of(track(1)))
    changed = outlet("one", other_sink).replace("whsec_loopback", "whsec_rotated")
    router.configure(settings_of(tmp_path, changed))
    other_sink.wait_for_events(1)
    assert other_sink.accepted == ids_of(track(1))


# -- crashes -------------------------------------------------------------------------------


class Crashing:
    """
    A router whose process dies around one of its steps.

    Args:
        router: The real one.
        step: ``before``: nothing is appended yet; ``amid``: one event is; ``after``: all are, and
            the run's place in the log is not committed.
    """

    def __init__(self, router: Router, step: str) -> None:
        self._router = router
        self._step = step

    def take(self, run: Run) -> None:
        """Die at the step."""
        if self._step == "amid":
            self._router.take(run._replace(events=run.events.slice(0, 1)))
        elif self._step == "after":
            self._router.take(run)
        raise Crash


@pytest.mark.proves("process death", "routing: before, amid and after the append")
@pytest.mark.parametrize("step", ["before", "amid", "after"])
def test_a_crash_around_the_append_repeats_at_most(
    router_of: Any, tmp_path: Path, sink: FaultSink, step: str, proof: proving.Proof
) -> None:
    """The run comes again, with the same ids: none is lost, and the store has each once."""
    layout = Layout(tmp_path / "store")
    log = lane(layout)
    messages = [track(number) for number in range(20)]
    send(log, *messages)
    first = router_of(outlet("one", sink))
    dying = Pipeline(layout, KEEPING, sinks=[Crashing(first, step)])
    dying.start()
    with pytest.raises(Crash):
        dying.step(drain=True)
    first.close(0.0)
    second = router_of(outlet("one", sink))
    heir = Pipeline(layout, KEEPING, sinks=[second])
    heir.start()
    heir.step(drain=True)
    wait_for(lambda: not second.ledgers()["one"].pending, "delivery")
    log.close()
    lost = ids_of(*messages) - sink.accepted
    proof.record(trials=1, events=20, lost=len(lost), repeated=sum(sink.duplicates.values()))
    assert sink.accepted == ids_of(*messages)
    assert open_store(layout.root).count() == 20


def test_nothing_is_routed_twice_by_deduplication(
    router_of: Any, tmp_path: Path, sink: FaultSink
) -> None:
    """What the store knows already is not sent again, however often a client repeats it."""
    layout = Layout(tmp_path / "store")
    log = lane(layout)
    router = router_of(outlet("one", sink))
    follower = Pipeline(layout, KEEPING, sinks=[router])
    follower.start()
    for number in (1, 1, 2):
        write(log, number)
        follower.step(drain=True)
    sink.wait_for_events(2)
    router.close(5)
    log.close()
    assert sink.accepted == ids_of(track(1), track(2))
    assert sink.duplicates == {}


# -- processes -----------------------------------------------------------------------------


def serving(tmp_path: Path, *tables: str, **more: Any) -> ServedCollector:
    """A real collector that goes by a file."""
    (tmp_path / "c.toml").write_text("\n".join(tables))
    return ServedCollector(tmp_path / "store", "--config", str(tmp_path / "c.toml"), **more)


def arrive(ids: set[str], server: FaultSink) -> None:
    """Wait until all of them are there, for as long as there come more."""
    while missing := len(ids - (accepted := server.accepted)):
        server.wait_for_events(len(accepted) + min(missing, 500))


@pytest.mark.proves("process death", "routing to destinations")
def test_a_killed_pipeline_loses_nothing_on_its_way_to_a_destination(
    tmp_path: Path, sink: FaultSink, other_sink: FaultSink, proof: proving.Proof
) -> None:
    """Whatever was answered arrives at each destination; twice only with the same id."""
    kills = proving.scale(3, 40)
    tables = (
        outlet("one", sink, batch_size=50),
        outlet("two", other_sink, "segment", batch_size=50),
    )
    collector = serving(tmp_path, *tables)
    senders = [Sender(lambda: collector.port, number) for number in range(1, 4)]
    for sender in senders:
        sender.start()
    for number in range(kills):
        before = len(sink.accepted)
        sink.wait_for_events(before + 1 + 200 * (number % 3))
        if number % 3 == 2:  # all of them; besides, one that dies often is started later and later
            collector.stop(signal.SIGKILL)
            collector = serving(tmp_path, *tables)
            continue
        killed = collector.pipeline
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: not is_alive(killed), "the pipeline's end")  # noqa: B023
        collector.pipeline = wait_for(
            lambda: [p for p in collector.running("pipeline") if p != killed],  # noqa: B023
            "a new pipeline",
        )[0]
    for sender in senders:
        sender.finish()
    answered = {message for sender in senders for message in sender.answered}
    sent = {message for sender in senders for message in sender.sent}
    lost = repeated = 0
    for server in (sink, other_sink):
        arrive(answered, server)
        lost += len(answered - server.accepted)
        repeated += sum(server.duplicates.values())
        assert server.accepted <= sent
    collector.stop()
    proof.record(trials=kills, events=2 * len(answered), lost=lost, repeated=repeated)
    assert lost == 0


def test_a_collector_follows_its_file(
    tmp_path: Path, sink: FaultSink, other_sink: FaultSink
) -> None:
    """New keys are taken, new destinations get events, and a broken file changes nothing."""
    source = '[sources.web]\nkey = "WK_1"\n'
    collector = serving(tmp_path, source, outlet("one", sink))
    batch = {"batch": [track(1)]}
    assert collector.post("/v1/batch", batch, basic("WK_1")) == 200
    assert collector.post("/v1/batch", batch, basic("WK_2")) == 401
    sink.wait_for_events(1)
    path = tmp_path / "c.toml"
    path.write_text(source + '[sources.app]\nkey = "WK_2"\n' + outlet("two", other_sink))

    def taken(number: int, key: str) -> bool:
        return collector.post("/v1/batch", {"batch": [track(number)]}, basic(key)) == 200

    wait_for(lambda: taken(2, "WK_2"), "the new key")
    number = iter(range(10, 10_000))
    wait_for(lambda: taken(next(number), "WK_2") and other_sink.accepted, "the new destination")
    path.write_text("[sources.web]\n")
    path.write_text("[")
    assert taken(3, "WK_1")
    other_sink.wait(lambda: ids_of(track(3)) <= other_sink.accepted)
    collector.stop()
    assert sink.duplicates == other_sink.duplicates == {}


def test_what_a_collector_could_not_deliver_is_delivered_by_the_next(
    tmp_path: Path, sink: FaultSink
) -> None:
    """The outbox is in the store; nobody need send anything new for it."""
    sink.stop()
    first = serving(tmp_path, outlet("one", sink))
    assert first.post("/v1/batch", {"batch": [track(n) for n in range(30)]}) == 200
    first.stop()
    (waiting,) = inspect(tmp_path / "store" / "outbox")
    assert (waiting.ledger.pending, waiting.ledger.balanced) == (30, True)
    sink.start()
    second = serving(tmp_path, outlet("one", sink))
    sink.wait_for_events(30)
    second.stop()
    (ended,) = inspect(tmp_path / "store" / "outbox")
    assert (ended.ledger.pending, ended.ledger.delivered) == (0, 30)
