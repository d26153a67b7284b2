"""Deleting a user from outboxes and dead letters: nothing of the user, and all of the others."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector_crash import crashes
from collector_kit import basic, track
from collector_process import ServedCollector
from faults.rules import Always, status
from faults.sink import FaultSink
from patience import wait_for
from penstock.collector import open_store
from penstock.collector.layout import Layout
from penstock.collector.store import wishes
from penstock.collector.store.chores import NotDoneError, delete_user
from penstock.collector.store.unsent import Unsent, erase, unlent
from penstock.journal import inspect, letters
from penstock.journal._dead import CURRENT, DeadLetter, DeadLetters
from penstock.journal._locks import FileLock
from penstock.journal._segment import SEGMENT_HEADER_BYTES
from penstock.journal.disk import DiskJournal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import proving

USER = "forget-me"
NAMES = {"one": "Segment"}


def outbox(root: Path) -> DiskJournal:
    return DiskJournal(root / "0123", NAMES, max_bytes=1 << 24, max_age=1e6)


def payload(number: int, **more: Any) -> bytes:
    return json.dumps(track(number, **more), separators=(",", ":")).encode()


def fill(journal: DiskJournal, *payloads: bytes) -> None:
    for one in payloads:
        journal.lane.append(2, 0, 1_700_000_000, one)


def letter(message: bytes, died_at: float = 1.0) -> DeadLetter:
    return DeadLetter("Segment", "rejected", 400, "no", died_at, message, 1, "one", 2, 0)


def delivered(root: Path) -> list[int]:
    """Deliver everything that a new process finds; the numbers of the events, and no other."""
    journal = outbox(root)
    found = []
    for lane in journal.adopt():
        cursor = lane.cursor("one")
        for hole in list(cursor.holes):
            records = lane.reread(hole)
            found += records
            gone = hole.open.difference(record.ordinal for record in records)
            cursor.settle(hole, delivered=[r.ordinal for r in records], dead={"corrupt": gone})
        while (chunk := lane.read(cursor.head, 100, 1 << 20)).after != cursor.head:
            hole = cursor.hand_out(chunk.records, chunk.after, chunk.voids)
            cursor.settle(hole, delivered=[record.ordinal for record in chunk.records])
            found += chunk.records
    journal.close()
    return sorted(int(json.loads(r.payload)["messageId"].rpartition("-")[2]) for r in found)


def traces(root: Path, text: str = USER) -> list[str]:
    """Files that hold it."""
    return [str(p) for p in root.rglob("*") if p.is_file() and text.encode() in p.read_bytes()]


def letters_left(root: Path) -> list[int]:
    return [int(one.message_id.rpartition("-")[2]) for one in letters.find(root)]


# -- records -----------------------------------------------------------------------------------


def test_every_form_of_the_user_goes_and_nobody_else(tmp_path: Path) -> None:
    """By user id, anonymous id and previous id; an event that only mentions the id stays."""
    journal = outbox(tmp_path)
    fill(
        journal,
        payload(1, userId=USER),
        payload(2),
        payload(3, anonymousId=USER),
        payload(4, previousId=USER, type="alias"),
        payload(5, properties={"friend": USER + "-not"}),
        payload(6, userId=USER + "2"),
        payload(7, properties={"friend": USER}),
    )
    journal.close()
    assert erase(tmp_path, USER, unlent) == Unsent(records=3, letters=0)
    (found,) = inspect(tmp_path)
    ledger = found.ledger.destinations["Segment"]
    assert (ledger.pending, ledger.dead, ledger.balanced) == (4, {"corrupt": 3}, True)
    assert delivered(tmp_path) == [2, 5, 6, 7]


def test_what_is_in_flight_and_what_was_delivered_goes_too(tmp_path: Path) -> None:
    """A delivered record may lie in its segment for long; the account of it stays."""
    journal = outbox(tmp_path)
    fill(journal, *(payload(n, userId=USER if n % 2 else "other") for n in range(1, 9)))
    cursor = journal.lane.cursor("one")
    chunk = journal.lane.read(cursor.head, 4, 1 << 20)
    cursor.settle(cursor.hand_out(chunk.records, chunk.after, 0), delivered=[1, 2])
    journal.close()
    assert erase(tmp_path, USER, unlent).records == 4
    assert traces(tmp_path) == []
    assert delivered(tmp_path) == [4, 6, 8]
    (found,) = inspect(tmp_path)
    ledger = found.ledger.destinations["Segment"]
    assert (ledger.accepted, ledger.delivered, ledger.balanced) == (8, 5, True)


@settings(max_examples=60, deadline=None)
@given(
    owners=st.lists(st.sampled_from([USER, "other", 'quo"ted', "ümläut"]), max_size=60),
    size=st.integers(0, 3000),
    who=st.sampled_from([USER, 'quo"ted', "ümläut"]),
)
def test_others_never_lose_an_event(
    tmp_path_factory: pytest.TempPathFactory, owners: list[str], size: int, who: str
) -> None:
    """Whatever lies next to what, over several segments, whoever it is."""
    root = tmp_path_factory.mktemp("outbox")
    journal = outbox(root)
    from orjson import dumps

    for number, owner in enumerate(owners):
        fill(journal, dumps(track(number, userId=owner, properties={"x": "x" * size})))
    journal.close()
    assert erase(root, who, unlent).records == owners.count(who)
    assert delivered(root) == [n for n, owner in enumerate(owners) if owner != who]
    assert erase(root, who, unlent) == Unsent(0, 0)


def test_what_lies_between_records_goes_where_the_user_is_in_it(tmp_path: Path) -> None:
    """A record that a power loss tore in the middle of its erasure, say."""
    journal = outbox(tmp_path)
    fill(journal, payload(1), payload(2, userId=USER), payload(3))
    journal.close()
    (segment,) = tmp_path.rglob("*.seg")
    content = bytearray(segment.read_bytes())
    second = content.index(b"PN", content.index(payload(1)) + 100)
    content[second : second + 8] = bytes(8)
    segment.write_bytes(content)
    assert traces(tmp_path) != []
    assert erase(tmp_path, USER, unlent).records == 0
    assert traces(tmp_path) == []
    assert segment.read_bytes()[:SEGMENT_HEADER_BYTES] == content[:SEGMENT_HEADER_BYTES]
    assert delivered(tmp_path) == [1, 3]


def test_an_outbox_is_lent_only_if_the_user_is_in_it(tmp_path: Path) -> None:
    """Delivery of the others is not interrupted."""
    asked: list[str] = []

    @contextmanager
    def lend(journal: Path) -> Iterator[None]:
        asked.append(journal.name)
        yield

    for name, user in (("0123", USER), ("4567", "other")):
        journal = DiskJournal(tmp_path / name, NAMES, max_bytes=1 << 24, max_age=1e6)
        fill(journal, payload(1, userId=user))
        journal.close()
    (tmp_path / "no-outbox").write_text(USER)
    assert erase(tmp_path, USER, lend).records == 1
    assert asked == ["0123"]
    assert erase(tmp_path / "nothing", USER, lend) == Unsent(0, 0)


def test_an_outbox_that_somebody_has_is_left_alone(tmp_path: Path) -> None:
    """Records are never overwritten under a reader; it is to be done again later."""
    journal = outbox(tmp_path)
    fill(journal, payload(1, userId=USER))
    with pytest.raises(OSError, match="somebody else has"):
        erase(tmp_path, USER, unlent)
    assert traces(tmp_path) != []
    journal.close()
    assert erase(tmp_path, USER, unlent).records == 1


def test_who_asks_waits_for_an_outbox_that_is_in_use(tmp_path: Path) -> None:
    """Without a collector, too; what was asked is done later if that takes too long."""
    layout = Layout(tmp_path)
    journal = outbox(layout.outbox)
    fill(journal, payload(1, userId=USER))
    with pytest.raises(NotDoneError, match="somebody else has lane-"):
        delete_user(layout, USER, 0.0)
    assert len(wishes.pending(layout)) == 1
    asking = threading.Thread(target=delete_user, args=(layout, USER, 30))
    asking.start()
    wait_for(lambda: len(wishes.pending(layout)) == 2, "the second request")
    journal.close()
    asking.join(30)
    assert wishes.pending(layout) == []
    assert traces(layout.outbox) == []


# -- letters -----------------------------------------------------------------------------------


def test_letters_go_and_others_stay(tmp_path: Path) -> None:
    """From all files there are; a line that was cut off goes if it mentions the user."""
    journal = tmp_path / "0123"
    journal.mkdir()
    dead = DeadLetters(journal, max_bytes=4000, max_age=1e6)
    for number in range(8):
        owner = USER if number % 2 else "other"
        dead.add([letter(payload(number, userId=owner), died_at=number)])
    dead.add([letter(payload(8, properties={"friend": USER}), died_at=8)])
    torn = letter(payload(9, userId=USER)).line()
    for cut in (torn[:-40], letter(payload(10)).line()[:-40]):
        with (journal / CURRENT).open("ab") as file:
            file.write(cut + b"\n")
    kept = letters_left(tmp_path)
    assert len(list(journal.glob("dead*.jsonl"))) == 2
    assert 8 in kept
    assert erase(tmp_path, USER, unlent).letters == sum(n % 2 for n in kept) + 1
    assert letters_left(tmp_path) == [n for n in kept if not n % 2]
    assert traces(tmp_path, f'"userId":"{USER}"') == []
    put_back = letters.replay(tmp_path)
    assert put_back[0].put_back == {"Segment": sum(not n % 2 for n in kept)}
    assert delivered(tmp_path) == [n for n in kept if not n % 2]


def test_a_file_without_the_user_is_not_touched(tmp_path: Path) -> None:
    """Nor does anybody wait for a replay that is under way."""
    journal = tmp_path / "0123"
    journal.mkdir()
    DeadLetters(journal, max_bytes=1 << 20, max_age=1e6).add([letter(payload(1))])
    before = (journal / CURRENT).stat()
    lock = FileLock.acquire(journal / "replay.lock")
    assert lock is not None
    assert erase(tmp_path, USER, unlent).letters == 0
    assert erase(tmp_path, "u", unlent).letters == 0, "a part of an id is another id"
    assert (journal / CURRENT).stat() == before
    with pytest.raises(OSError, match="replays"):
        erase(tmp_path, "u-1", unlent)
    lock.release()
    assert erase(tmp_path, "u-1", unlent).letters == 1


def erase_user(root: Path) -> None:
    erase(root, USER, unlent)


@pytest.mark.proves("process death", "collector: at any step of erasing outboxes")
@pytest.mark.parametrize("before", [True, False])
def test_a_crash_at_any_point_costs_nobody_an_event(
    tmp_path: Path, proof: proving.Proof, before: bool
) -> None:
    """Letters and records of others are there at every moment; done again, nothing is left."""
    count, crashed = 0, True
    while crashed:
        count += 1
        root = tmp_path / f"{count}-{before}"
        journal = outbox(root)
        fill(journal, *(payload(n, userId=USER if n % 2 else "other") for n in range(6)))
        journal.bury([letter(payload(n, userId=USER if n % 2 else "other")) for n in range(6, 12)])
        journal.close()
        crashed = crashes(erase_user, root, at=count, before=before)
        proof.record(trials=1, events=12)
        assert {6, 8, 10} <= set(letters_left(root))
        erase(root, USER, unlent)
        assert traces(root) == []
        assert letters_left(root) == [6, 8, 10]
        assert delivered(root) == [0, 2, 4]
    assert count > 8


# -- a collector that runs ---------------------------------------------------------------------


@pytest.fixture
def sinks() -> Iterator[dict[str, FaultSink]]:
    made = {name: FaultSink().start() for name in ("Good", "Strict", "Down")}
    made["Strict"].plan(Always(status(400)))
    made["Down"].plan(Always(status(503)))
    yield made
    for sink in made.values():
        sink.close()


def test_a_running_collector_erases_what_it_did_not_deliver(
    tmp_path: Path, sinks: dict[str, FaultSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its outboxes go on: the others' events arrive, the user's never, new ones of both do."""
    monkeypatch.setenv("PENSTOCK_NETWORK", "loopback")
    tables = [
        f'[destinations.{name}]\ntype = "webhook"\nname = "{name}"\nkey = "k_{name}"\n'
        f'endpoint = "{sink.url}"\ninterval = 0.02\n'
        for name, sink in sinks.items()
    ]
    (tmp_path / "c.toml").write_text("\n".join(tables))
    layout = Layout(tmp_path / "store")
    collector = ServedCollector(layout.root, "--config", str(tmp_path / "c.toml"))
    batch = [track(n, userId=USER if n % 2 else "other") for n in range(10)]
    others = {m["messageId"] for m in batch if m["userId"] != USER}
    assert collector.post("/v1/batch", {"batch": batch}, basic("k")) == 200
    wait_for(lambda: len(letters.find(layout.root)) == 10, "dead letters")
    wait_for(lambda: sinks["Down"].exchanges, "the first attempt")
    record = delete_user(layout, USER, 30)
    assert (record.events, record.letters) == (5, 5)
    assert record.waiting >= 5
    assert traces(layout.outbox) == []
    assert {one.message_id for one in letters.find(layout.root)} == others
    later = [track(n, userId=USER if n % 2 else "other") for n in range(100, 104)]
    tried = len(sinks["Down"].exchanges)
    sinks["Down"].plan()
    assert collector.post("/v1/batch", {"batch": later}, basic("k")) == 200
    expected = others | {m["messageId"] for m in later}
    sinks["Down"].wait(lambda: sinks["Down"].accepted >= expected)
    sinks["Good"].wait(lambda: sinks["Good"].accepted >= expected)
    assert sinks["Down"].accepted == expected
    sent = {i for exchange in sinks["Down"].exchanges[tried:] for i in exchange.ids}
    assert sent <= expected, "what was deleted is not sent again"
    assert collector.stop() == 0
    assert open_store(layout.root).count() == 5 + 4
    for journal in inspect(layout.outbox):
        assert journal.ledger.balanced
