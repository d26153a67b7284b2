"""Runs: a batch that goes out as it lies in the journal is read, sent and settled as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest import mock

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patience import wait_for
from penstock import Client, Config, Retry, Segment
from penstock.journal._cursor import Hole, Position
from penstock.journal.disk import DiskJournal
from penstock.journal.memory import MemoryJournal
from penstock.journal.record import HEADER_BYTES, Record, Wanted
from penstock.native import NATIVE
from penstock.transport import Response
from penstock.transport.memory import MemoryTransport

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.journal.lane import Lane
    from penstock.transport import Request

DESTINATION = {"aaaa": "Segment"}
SELECTIVE = 1
ANYTHING = Wanted(1000, 1 << 20, b",", 1 << 20, below=9, without=SELECTIVE, oldest=100.0)


@pytest.fixture(params=["native", "python"], autouse=True)
def part(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here holds with the native part and without."""
    if request.param == "python":
        monkeypatch.setattr("penstock.journal.record.NATIVE", None)
    elif NATIVE is None:
        pytest.skip("the native part was not built: there was no C compiler")


def lane_of(*records: tuple[int, int, int, bytes]) -> Lane:
    """A lane in memory with these: kind, flags, captured at, payload."""
    lane = MemoryJournal(DESTINATION, max_bytes=1 << 26).lane
    for record in records:
        lane.append(*record)
    return lane


def plain(size: int) -> tuple[int, int, int, bytes]:
    return (2, 0, 200, b"x" * size)


@pytest.mark.parametrize("between", [b"", b",", b"\r\n"])
def test_a_run_is_what_reading_one_by_one_gives(between: bytes) -> None:
    """The same records, and the same place to go on from."""
    lane = lane_of(*(plain(size) for size in range(40)))
    head = lane.cursor("aaaa").head
    run, after = lane.read_run(head, ANYTHING._replace(between=between))
    chunk = lane.read(head, 1000, 1 << 20)
    assert run.records() == chunk.records
    assert run.body == between.join(record.payload for record in chunk.records)
    assert list(run.ordinals) == [record.ordinal for record in chunk.records]
    assert after == chunk.after


@pytest.mark.parametrize(
    "other",
    [
        pytest.param((9, 0, 200, b"{}"), id="a kind that is encoded"),
        pytest.param((2, SELECTIVE, 200, b"{}"), id="not for everybody"),
        pytest.param((2, 0, 99, b"{}"), id="too old"),
        pytest.param((2, 0, 200, b"x" * ((1 << 20) + 1)), id="too large"),
    ],
)
def test_a_record_that_must_be_looked_at_is_in_the_way(other: Any) -> None:
    """Wherever in the batch it is; not where the batch is full before."""
    lane = lane_of(plain(5), plain(5), other, plain(5))
    head = lane.cursor("aaaa").head
    assert lane.read_run(head, ANYTHING) is None
    run, after = lane.read_run(head, ANYTHING._replace(records=2))
    assert len(run.ordinals) == 2
    assert lane.read_run(after, ANYTHING) is None


def test_room_is_for_payloads_and_what_goes_between() -> None:
    """The first one that does not fit is the next batch's; one that never fits is looked at."""
    lane = lane_of(plain(100), plain(100), plain(100))
    head = lane.cursor("aaaa").head
    run, after = lane.read_run(head, ANYTHING._replace(room=202))
    assert len(run.ordinals) == 2
    run, _ = lane.read_run(after, ANYTHING._replace(room=202))
    assert [record.ordinal for record in run.records()] == [3]
    assert len(lane.read_run(head, ANYTHING._replace(room=201))[0].ordinals) == 1
    assert lane.read_run(head, ANYTHING._replace(room=100)) is None


def test_nothing_new_is_no_run() -> None:
    """An empty batch is not one."""
    lane = lane_of(plain(1))
    _, after = lane.read_run(lane.cursor("aaaa").head, ANYTHING)
    assert lane.read_run(after, ANYTHING) is None


def test_a_run_goes_on_in_the_next_segment(tmp_path: Path) -> None:
    """A batch does not end where a file ends."""
    with mock.patch("penstock.journal._chain.FIRST_SEGMENT_BYTES", 4096):
        journal = DiskJournal(tmp_path, DESTINATION, max_bytes=1 << 26, max_age=1e6)
        for _ in range(30):
            journal.lane.append(*plain(1000))
    run, after = journal.lane.read_run(journal.lane.cursor("aaaa").head, ANYTHING)
    assert list(run.ordinals) == list(range(1, 31))
    assert run.body == b",".join([b"x" * 1000] * 30)
    assert after.segment > 5
    journal.close()


def test_what_a_dead_process_left_is_verified(tmp_path: Path) -> None:
    """A flipped bit is for the reader who counts what is lost; so is the end of the lane."""
    journal = DiskJournal(tmp_path, DESTINATION, max_bytes=1 << 26, max_age=1e6)
    for _ in range(6):
        journal.lane.append(*plain(64))
    journal.close()
    (segment,) = tmp_path.rglob("*.seg")
    with segment.open("r+b") as file:
        file.seek(32 + 3 * (HEADER_BYTES + 64) + HEADER_BYTES + 10)
        file.write(b"y")
    journal = DiskJournal(tmp_path, DESTINATION, max_bytes=1 << 26, max_age=1e6)
    (lane,) = journal.adopt()
    head = lane.cursor("aaaa").head
    run, after = lane.read_run(head, ANYTHING._replace(records=3))
    assert list(run.ordinals) == [1, 2, 3]
    assert lane.read_run(after, ANYTHING._replace(records=2)) is None
    assert lane.read_run(head, ANYTHING) is None
    journal.close()


events = st.lists(
    st.tuples(st.sampled_from(["track", "alone", "capture"]), st.integers(0, 900)), max_size=60
)


def batches(given_events: list[tuple[str, int]], *, whole: bool) -> tuple[list[list[str]], Any]:
    """The events of each request, and the ledger; one of thirty makes the server say 400."""
    poison = {str(number) for number in range(7, len(given_events), 30)}

    def answer(request: Request) -> Response:
        sent = ids(request)
        return Response(400 if poison.intersection(sent) else 200, {}, b"{}")

    transport = MemoryTransport(answer)
    config = Config(
        transport=transport,
        journal=None,
        interval=60.0,
        batch_size=8,
        concurrency=1,
        max_message_bytes=1_200,
        max_batch_bytes=4_000,
    )
    with Client(Segment("k"), config=config) as client:
        if not whole:
            lane = client._engine.journal.lane
            lane.read_run = lambda *_: None  # type: ignore[method-assign]
        for number, (kind, size) in enumerate(given_events):
            only = {"All": True, "Other": False} if kind == "alone" else None
            common = {"integrations": only, "message_id": str(number)}
            if kind == "capture":
                client.capture("e", "u1", {"x": "y" * size}, **common)
            else:
                client.track("u1", "e", {"x": "y" * size}, **common)
        ledger = client.flush()
    return [ids(sent.request) for sent in transport.sent], ledger


def ids(request: Request) -> list[str]:
    return [message["messageId"] for message in msgspec.json.decode(request.body)["batch"]]


@given(events)
def test_requests_are_the_same_whether_read_as_runs_or_one_by_one(
    given_events: list[tuple[str, int]],
) -> None:
    """Batches, their halves and what dies of them; a run is a way to read, not another batch."""
    with mock.patch("penstock.journal._chain.FIRST_SEGMENT_BYTES", 8192):
        requests, ledger = batches(given_events, whole=True)
        expected, told = batches(given_events, whole=False)
    assert requests == expected
    assert ledger == told
    assert ledger.balanced
    assert ledger.dead.get("rejected", 0) == len(range(7, len(given_events), 30))


@given(
    st.integers(1, 30),
    st.lists(st.lists(st.integers(0, 40), max_size=12) | st.just("all"), max_size=6),
)
def test_a_hole_of_a_run_is_a_set_of_ordinals(count: int, closings: list[Any]) -> None:
    """Kept as a range for as long as nobody takes out a part of it."""
    run = range(5, 5 + count)
    hole, model = Hole(Position(1, 0, 4), run), set(run)
    for closing in closings:
        ordinals = run if closing == "all" else closing
        assert hole.close(ordinals) == len(model.intersection(ordinals))
        model.difference_update(ordinals)
        assert hole.count == len(model)
        if model:
            assert (hole.first, hole.last) == (min(model), max(model))
    assert hole.open == model


def test_records_of_a_run_are_made_when_one_is_asked_for() -> None:
    """All their fields are there."""
    lane = lane_of((2, 2, 300, b"a"), (3, 0, 400, b"b"))
    run, _ = lane.read_run(lane.cursor("aaaa").head, ANYTHING)
    assert run.records() == [Record(1, 2, 2, 300, b"a"), Record(2, 3, 0, 400, b"b")]


def waiting_client(tmp_path: Path, transport: MemoryTransport) -> tuple[Client, Any]:
    """A client whose first batch of 40 was refused and waits; and its pump."""
    config = Config(
        transport=transport,
        journal=tmp_path,
        interval=60.0,
        batch_size=40,
        concurrency=1,
        retry=Retry(base=60.0, cap=60.0),
    )
    client = Client(Segment("k"), config=config)
    for number in range(40):
        client.track("u1", "e", {"x": "y" * 200}, message_id=str(number))
    pump = client._engine.pumps[0]
    wait_for(lambda: pump._parked and pump._parked[0].items.is_shed, "the batch to be refused")
    return client, pump


def test_what_waits_is_in_the_journal_only(tmp_path: Path) -> None:
    """A batch that is tried again is the same, and was not kept in memory meanwhile."""
    transport = MemoryTransport([503, 200])
    client, pump = waiting_client(tmp_path, transport)
    with pytest.raises(LookupError):
        _ = pump._parked[0].messages
    assert client.flush().delivered == 40
    first, second = (msgspec.json.decode(sent.request.body) for sent in transport.sent)
    assert first["batch"] == second["batch"]
    assert first["messageId"] == second["messageId"]
    assert client.close().balanced


def test_what_cannot_be_read_again_now_waits_on(tmp_path: Path, monkeypatch: Any) -> None:
    """Opening a segment takes a descriptor, and there may be none."""
    transport = MemoryTransport([503, 200])
    client, pump = waiting_client(tmp_path, transport)
    lane, refusals = client._engine.journal.lane, iter([OSError(24, "too many open files")])
    read_run = lane.read_run

    def read(*args: Any) -> Any:
        for refusal in refusals:
            raise refusal
        return read_run(*args)

    monkeypatch.setattr(lane, "read_run", read)
    assert client.flush(0.5).pending == 40
    assert 0 < pump.wait_s() <= 60.0
    assert client.flush().delivered == 40
    client.close()


@pytest.mark.parametrize("segment_bytes", [pytest.param(1 << 20, id="all of it"), 8192])
def test_what_makes_room_while_it_waits_is_not_sent(tmp_path: Path, segment_bytes: int) -> None:
    """It is counted as dead, and what is left of its batch is sent."""
    with mock.patch("penstock.journal._chain.FIRST_SEGMENT_BYTES", segment_bytes):
        transport = MemoryTransport([503, 200])
        client, _ = waiting_client(tmp_path, transport)
        lane = client._engine.journal.lane
        if segment_bytes > 8192:  # the batch is in the segment that is being written
            lane._next_segment(segment_bytes)
        dropped = lane.drop_oldest()
        assert dropped > 0
        ledger = client.flush()
    assert (ledger.delivered, ledger.dead) == (40 - dropped, {"queue_full": dropped})
    assert ledger.balanced
    again = [ids(sent.request) for sent in transport.sent[1:]]
    assert again == ([[str(number) for number in range(dropped, 40)]] if dropped < 40 else [])
    client.close()
