"""The journal: one suite for the disk and its twin in memory, then what only a disk can do."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import requirement
from penstock.errors import ClosedError, JournalError
from penstock.journal import JournalFull, inspect
from penstock.journal._budget import Budget
from penstock.journal._chain import FIRST_SEGMENT_BYTES
from penstock.journal._cursor import CURSOR_BYTES, Cursor, Position
from penstock.journal._dead import DeadLetter
from penstock.journal._locks import FileLock
from penstock.journal._segment import SEGMENT_HEADER_BYTES, DiskStore, MemoryStore
from penstock.journal._slot import Slot
from penstock.journal.disk import DiskJournal
from penstock.journal.inspection import look_at, state_of
from penstock.journal.lane import Lane
from penstock.journal.memory import MemoryJournal
from penstock.journal.record import HEADER_BYTES, MAGIC_BYTES, checksum, span

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DESTINATIONS = {"aaaa": "Segment", "bbbb": "PostHog"}
MIB = 1024 * 1024

Journal = DiskJournal | MemoryJournal


def disk(path: Path, **changes: Any) -> DiskJournal:
    options = {"max_bytes": 64 * MIB, "max_age": 1e6} | changes
    return DiskJournal(path / "journal", DESTINATIONS, **options)


@pytest.fixture(params=["native", "python"], autouse=True)
def part(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here holds with the native part and without."""
    if request.param == "python":
        monkeypatch.setattr("penstock.journal._pen.NATIVE", None)
        monkeypatch.setattr("penstock.journal.record.NATIVE", None)
    else:
        requirement.native_part()


def interrupt_once(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the lane's next append meet a signal handler that raises."""

    def interrupt(_payload: bytes) -> int:
        monkeypatch.setattr(lane._pen, "_checksum", checksum)
        raise KeyboardInterrupt

    monkeypatch.setattr(lane._pen, "_checksum", interrupt)


@pytest.fixture(params=["disk", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Journal]:
    def build(**changes: Any) -> Journal:
        if request.param == "disk":
            return disk(tmp_path, **changes)
        changes.pop("max_age", None)
        return MemoryJournal(DESTINATIONS, **({"max_bytes": 64 * MIB} | changes))

    return build


def payload(number: int, size: int = 100) -> bytes:
    return b'{"n":%d,"x":"' % number + b"x" * size + b'"}'


def fill(lane: Lane, count: int, size: int = 100) -> None:
    for number in range(count):
        lane.append(2, 0, 1_700_000_000, payload(number, size))


def drain(lane: Lane, identity: str, *, settle: bool = True) -> list[bytes]:
    """Read a lane to its end; each batch is settled as delivered."""
    cursor, found = lane.cursor(identity), []
    while True:
        chunk = lane.read(cursor.head, 100, 1 << 20)
        hole = cursor.hand_out(chunk.records, chunk.after, chunk.voids)
        if not chunk.records:
            return found
        found += [record.payload for record in chunk.records]
        if settle:
            cursor.settle(hole, delivered=[record.ordinal for record in chunk.records])


# -- both ------------------------------------------------------------------------------------


def test_what_was_appended_is_read_back_in_order(make: Callable[..., Journal]) -> None:
    """Every record comes back once, whole, over several segments."""
    journal = make()
    fill(journal.lane, 12_000, 300)
    assert drain(journal.lane, "aaaa") == [payload(n, 300) for n in range(12_000)]


def test_destinations_move_independently(make: Callable[..., Journal]) -> None:
    """One cursor's progress is nobody else's."""
    journal = make()
    fill(journal.lane, 10)
    drain(journal.lane, "aaaa")
    accounts = journal.ledger().destinations
    assert accounts["Segment"].delivered == 10
    assert accounts["PostHog"].pending == 10


def test_ledger_balances_at_every_step(make: Callable[..., Journal]) -> None:
    """Accepted is delivered, pending and dead, whatever happens in between."""
    journal = make()
    lane = journal.lane
    fill(lane, 300)
    lane.refuse("too_large")
    cursor = lane.cursor("aaaa")
    chunk = lane.read(cursor.head, 100, 1 << 20)
    hole = cursor.hand_out(chunk.records, chunk.after, chunk.voids)
    assert journal.ledger().balanced
    ordinals = [record.ordinal for record in chunk.records]
    cursor.settle(hole, delivered=ordinals[:50], excluded=ordinals[50:60])
    assert journal.ledger().balanced
    cursor.settle(hole, dead={"rejected": ordinals[60:]})
    account = journal.ledger().destinations["Segment"]
    assert account.balanced
    assert (account.accepted, account.delivered, account.pending) == (291, 50, 200)
    assert account.dead == {"rejected": 40, "too_large": 1}


def test_settling_twice_counts_once(make: Callable[..., Journal]) -> None:
    """An answer that comes again changes nothing."""
    journal = make()
    fill(journal.lane, 5)
    cursor = journal.lane.cursor("aaaa")
    chunk = journal.lane.read(cursor.head, 5, 1 << 20)
    hole = cursor.hand_out(chunk.records, chunk.after, chunk.voids)
    cursor.settle(hole, delivered=[1, 2])
    cursor.settle(hole, delivered=[1, 2], dead={"rejected": [2]})
    assert (cursor.delivered, cursor.dead, cursor.open_count) == (2, {}, 3)


def test_passed_segments_are_deleted_and_their_room_is_free(make: Callable[..., Journal]) -> None:
    """The journal shrinks once every destination has passed, and not before."""
    journal = make(max_bytes=8 * MIB)
    fill(journal.lane, 5_000, 1_000)
    drain(journal.lane, "aaaa")
    assert not journal.lane.reclaim()
    drain(journal.lane, "bbbb")
    assert journal.lane.reclaim()
    fill(journal.lane, 5_000, 1_000)


def test_a_full_journal_refuses_and_takes_again(make: Callable[..., Journal]) -> None:
    """At the cap an append raises and stores nothing; room makes it work again."""
    journal = make(max_bytes=4 * MIB)
    with pytest.raises(JournalFull):
        fill(journal.lane, 10_000, 1_000)
    held = journal.lane.accepted
    assert len(drain(journal.lane, "aaaa")) == held
    drain(journal.lane, "bbbb")
    assert journal.lane.reclaim()
    fill(journal.lane, 100, 1_000)
    assert journal.ledger().balanced


def test_dropping_the_oldest_makes_room_and_is_counted(make: Callable[..., Journal]) -> None:
    """What is given up is dead for every destination that had not settled it."""
    journal = make(max_bytes=4 * MIB)
    with pytest.raises(JournalFull):
        fill(journal.lane, 10_000, 1_000)
    drain_some = journal.lane.cursor("aaaa")
    chunk = journal.lane.read(drain_some.head, 100, 1 << 20)
    hole = drain_some.hand_out(chunk.records, chunk.after, chunk.voids)
    dead = journal.lane.drop_oldest()
    assert dead > 0
    drain_some.settle(hole, delivered=[record.ordinal for record in chunk.records])
    fill(journal.lane, 100, 1_000)
    ledger = journal.ledger()
    assert ledger.balanced
    assert ledger.destinations["PostHog"].dead == {"queue_full": dead // 2}


def test_a_stopped_lane_refuses_appends_and_still_reads(make: Callable[..., Journal]) -> None:
    """Closing intake loses nothing."""
    journal = make()
    fill(journal.lane, 3)
    journal.lane.stop()
    with pytest.raises(ClosedError):
        fill(journal.lane, 1)
    assert len(drain(journal.lane, "aaaa")) == 3


def test_threads_append_without_losing_or_mixing(make: Callable[..., Journal]) -> None:
    """Eight threads, every record whole, each thread's own in order."""
    journal = make()

    def work(thread: int) -> None:
        for number in range(2_000):
            journal.lane.append(2, 0, 0, b'{"t":%d,"n":%d}' % (thread, number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = drain(journal.lane, "aaaa")
    assert len(found) == 16_000
    for number in range(8):
        mine = [item for item in found if item.startswith(b'{"t":%d,' % number)]
        assert mine == [b'{"t":%d,"n":%d}' % (number, n) for n in range(2_000)]


def test_reading_while_another_thread_appends_misses_nothing(make: Callable[..., Journal]) -> None:
    """The reader keeps up over every change of segment; nothing is taken for damage."""
    journal = make()
    count = 60_000
    fill(journal.lane, 1)
    writer = threading.Thread(target=fill, args=(journal.lane, count, 300))
    writer.start()
    found = 0
    while writer.is_alive() or found < count + 1:
        found += len(drain(journal.lane, "aaaa"))
        if not writer.is_alive() and not journal.ledger().destinations["Segment"].pending:
            break
    writer.join()
    account = journal.ledger().destinations["Segment"]
    assert (found, account.delivered, account.dead) == (count + 1, count + 1, {})


def test_a_full_batch_wakes_once(make: Callable[..., Journal]) -> None:
    """The first append wakes; after that only a complete batch, by count or by bytes."""
    woken: list[int] = []
    journal = make(on_wake=lambda: woken.append(1))
    fill(journal.lane, 1)
    assert len(woken) == 1
    fill(journal.lane, 5)
    assert len(woken) == 1
    journal.lane.wake_after(3, 1 << 20)
    fill(journal.lane, 10)
    assert len(woken) == 2
    journal.lane.wake_after(1000, 500)
    fill(journal.lane, 10)
    assert len(woken) == 3


def test_an_interrupted_append_is_void_and_hides_nothing(
    make: Callable[..., Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal handler that raises in the middle costs its own event only."""
    monkeypatch.setattr("penstock.journal._pen.NATIVE", None)
    journal = make()
    fill(journal.lane, 3)
    interrupt_once(journal.lane, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fill(journal.lane, 1)
    fill(journal.lane, 2)
    assert len(drain(journal.lane, "aaaa")) == 5
    assert journal.ledger().accepted == 5
    assert journal.ledger().balanced


def test_an_append_inside_an_append_is_kept(
    make: Callable[..., Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal handler that tracks, in the middle of tracking: both survive."""
    monkeypatch.setattr("penstock.journal._pen.NATIVE", None)
    journal = make()
    fill(journal.lane, 1)
    pen = journal.lane._pen

    def nested(data: bytes) -> int:
        monkeypatch.setattr(pen, "_checksum", checksum)
        journal.lane.append(2, 0, 0, b'{"inner":1}')
        return checksum(data)

    monkeypatch.setattr(pen, "_checksum", nested)
    journal.lane.append(2, 0, 0, b'{"outer":1}')
    assert drain(journal.lane, "aaaa")[1:] == [b'{"outer":1}', b'{"inner":1}']


def test_an_append_inside_the_making_of_a_segment_is_kept() -> None:
    """The worst moment for a signal handler to track: no segment is there yet."""
    journal = MemoryJournal(DESTINATIONS, max_bytes=64 * MIB)
    lane = journal.lane
    real = lane._next_segment
    calls: list[int] = []

    def nested(size: int) -> Any:
        if not calls:
            calls.append(lane.append(2, 0, 0, b'{"inner":1}'))
        return real(size)

    lane._next_segment = nested  # type: ignore[method-assign]
    lane.append(2, 0, 0, b'{"outer":1}')
    assert sorted(drain(lane, "aaaa")) == [b'{"inner":1}', b'{"outer":1}']


# -- values ----------------------------------------------------------------------------------


@given(
    st.lists(st.binary(max_size=60), min_size=1, max_size=40),
    st.data(),
)
@settings(max_examples=150, deadline=None)
def test_damage_hides_no_record_but_the_damaged(payloads: list[bytes], data: st.DataObject) -> None:
    """Flip any byte: all other records are read, nothing is invented, the account balances."""
    lane = Lane(MemoryStore, Budget(64 * MIB), DESTINATIONS)
    places = []
    offset = SEGMENT_HEADER_BYTES
    for item in payloads:
        lane.append(2, 0, 7, item)
        places.append((offset, offset + HEADER_BYTES + len(item)))
        offset += span(len(item))
    store = lane._chain.store
    assert store is not None
    victim = data.draw(st.integers(0, len(payloads) - 1))
    place = data.draw(st.integers(places[victim][0], places[victim][1] - 1))
    segment = store.open(1)
    assert segment is not None
    segment.buffer[place] ^= data.draw(st.integers(1, 255))
    adopted = Lane(lambda: store, Budget(64 * MIB), DESTINATIONS)
    adopted.adopt(store)
    expected = [item for number, item in enumerate(payloads) if number != victim]
    assert drain(adopted, "aaaa") == expected
    account = adopted.account("aaaa")
    assert account.balanced
    assert account.dead.get("corrupt", 0) == (0 if victim == len(payloads) - 1 else 1)


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=6), st.integers(0, 200))
def test_a_torn_slot_keeps_the_document_before(documents: list[bytes], cut: int) -> None:
    """Killed at any byte of a write: the one before is still there."""
    buffer = bytearray(512)
    slot = Slot(buffer)
    wrapped = [b'{"d":"%s"}' % document.hex().encode() for document in documents]
    for document in wrapped:
        slot.store(document)
    before = bytes(buffer)
    slot.store(b'{"d":"last"}')
    after = bytes(buffer)
    torn = bytearray(after[:cut] + before[cut:])
    found = Slot(torn).load()
    allowed = [{"d": "last"}, None if not documents else {"d": documents[-1].hex()}]
    assert found in allowed


def test_cursor_state_survives_with_its_holes() -> None:
    """What was open when the last answer came in is open after a restart, and only that."""
    buffer = bytearray(CURSOR_BYTES)
    start = Position(1, 0, 0)
    cursor = Cursor("Segment", buffer, start)
    lane = Lane(MemoryStore, Budget(64 * MIB), DESTINATIONS)
    fill(lane, 30)
    holes = []
    for _ in range(3):
        chunk = lane.read(cursor.head, 10, 1 << 20)
        holes.append(cursor.hand_out(chunk.records, chunk.after, chunk.voids))
    cursor.settle(holes[1], delivered=range(11, 21))
    cursor.settle(holes[0], delivered=[1, 3, 5])
    again = Cursor("Segment", buffer, start)
    assert again.head == cursor.head
    assert [hole.open for hole in again.holes] == [{2, 4, 6, 7, 8, 9, 10}, set(range(21, 31))]
    assert again.delivered == 13
    assert [record.ordinal for record in lane.reread(again.holes[0])] == [2, 4, 6, 7, 8, 9, 10]
    assert again.settled == 1


# -- the disk --------------------------------------------------------------------------------


def test_journal_files_are_private(tmp_path: Path) -> None:
    """0600 in 0700, all of it: events are personal data."""
    journal = disk(tmp_path)
    fill(journal.lane, 3)
    journal.bury([DeadLetter("Segment", "rejected", 400, "", 0.0, b"{}")])
    drain(journal.lane, "aaaa")
    drain(journal.lane, "bbbb")
    for path in (journal.directory, *journal.directory.rglob("*")):
        allowed = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == allowed, path
    journal.close()
    for file in journal.directory.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_drained_lane_is_removed_and_its_account_kept(tmp_path: Path) -> None:
    """Nothing pending: the lane's directory goes, one line of account stays."""
    journal = disk(tmp_path)
    fill(journal.lane, 3)
    drain(journal.lane, "aaaa")
    drain(journal.lane, "bbbb")
    journal.close()
    assert [path.name for path in journal.directory.iterdir()] == ["retired.jsonl"]
    assert journal.ledger().destinations["Segment"].delivered == 3


def test_a_living_process_keeps_its_lane(tmp_path: Path) -> None:
    """A lane whose owner lives is nobody else's; once closed it is adopted, whole."""
    first, second = disk(tmp_path), disk(tmp_path)
    fill(first.lane, 5)
    assert second.adopt() == []
    first.close()
    (lane,) = second.adopt()
    assert len(drain(lane, "aaaa")) == 5
    assert second.ledger().balanced


def test_adoption_goes_on_where_the_dead_one_was(tmp_path: Path) -> None:
    """Delivered is not sent again; what was in flight is, with everything after it."""
    first = disk(tmp_path)
    fill(first.lane, 50)
    cursor = first.lane.cursor("aaaa")
    for size in (10, 10):
        chunk = first.lane.read(cursor.head, size, 1 << 20)
        hole = cursor.hand_out(chunk.records, chunk.after, chunk.voids)
    cursor.settle(hole, delivered=range(11, 21))
    first.lane.close()
    first._locks.pop(first.lane).release()
    second = disk(tmp_path)
    (lane,) = second.adopt()
    cursor = lane.cursor("aaaa")
    (hole,) = cursor.holes
    assert [record.ordinal for record in lane.reread(hole)] == list(range(1, 11))
    assert len(drain(lane, "aaaa")) == 30
    account = lane.account("aaaa")
    assert (account.accepted, account.delivered, account.pending) == (50, 40, 10)


def test_a_lane_of_which_only_a_spare_is_left_balances(tmp_path: Path) -> None:
    """Its heir delivered everything and died before it could remove the lane."""
    first = disk(tmp_path)
    fill(first.lane, 50)
    path = crash(first)
    DiskStore(path).create(9, 64 * 1024, 0).close()
    heir = disk(tmp_path)
    (lane,) = heir.adopt()
    for identity in DESTINATIONS:
        drain(lane, identity)
    assert lane.reclaim()
    crash(heir, lane)
    journal = disk(tmp_path)
    (lane,) = journal.adopt()
    account = lane.account("aaaa")
    assert (account.accepted, account.delivered, account.pending) == (50, 50, 0)
    assert journal.retire(lane)


def crash(journal: DiskJournal, lane: Lane | None = None) -> Path:
    """Let go of a lane as a dead process does; where it lies."""
    lane = lane or journal.lane
    lane.close()
    journal._locks.pop(lane).release()
    return journal._paths[lane]


def test_a_line_that_a_full_disk_cut_off_spoils_no_other(tmp_path: Path) -> None:
    """The next one begins on a line of its own."""
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "retired.jsonl").write_bytes(b'{"lane":"lane-0","acce')
    journal = disk(tmp_path)
    fill(journal.lane, 3)
    for identity in DESTINATIONS:
        drain(journal.lane, identity)
    journal.close()
    (found,) = inspect(tmp_path)
    assert found.ledger.accepted == 3


def test_what_a_full_disk_refuses_is_kept_in_the_account(
    make: Callable[..., Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The place for it was made when there was room."""
    lane = make().lane
    fill(lane, 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("penstock.journal._segment.allocate", full)
    lane.refuse("queue_full")
    assert lane.account("aaaa").dead == {"queue_full": 1}


def test_an_unusable_directory_degrades_to_memory_and_says_so_once(tmp_path: Path) -> None:
    """A file where the directory should be: events are kept, the host is told."""
    (tmp_path / "journal").write_text("in the way")
    told: list[OSError] = []
    journal = disk(tmp_path, on_degraded=told.append)
    fill(journal.lane, 3_000, 1_000)
    assert len(told) == 1
    assert not journal.lane.durable
    assert len(drain(journal.lane, "aaaa")) == 3_000
    assert journal.ledger().balanced


def test_a_lane_whose_segments_are_gone_ends(tmp_path: Path) -> None:
    """Somebody deleted files: what is missing is ``dead(corrupt)``, not pending for ever."""
    first = disk(tmp_path)
    fill(first.lane, 5_000, 1_000)
    path = first._paths[first.lane]
    first.close()
    kept = max(path.glob("*.seg"))
    for file in path.glob("*.seg"):
        if file != kept:
            file.unlink()
    journal = disk(tmp_path)
    (lane,) = journal.adopt()
    kept.unlink()
    drain(lane, "aaaa")
    account = lane.account("aaaa")
    assert (account.pending, account.dead) == (0, {"corrupt": 5_000})
    assert account.balanced


def test_a_lane_being_removed_is_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While its owner removes a lane, another process looking for lanes takes nothing."""
    owner, other = disk(tmp_path), disk(tmp_path)
    fill(owner.lane, 3)
    drain(owner.lane, "aaaa")
    drain(owner.lane, "bbbb")
    import penstock.journal.disk as module

    found: list[object] = []
    removed: list[Path] = []
    real = module.shutil.rmtree

    def removing(path: Path, **options: Any) -> None:
        removed.append(path)
        (path / "lock").unlink(missing_ok=True)
        monkeypatch.undo()
        found.extend(other.adopt())
        real(path, **options)

    monkeypatch.setattr(module.shutil, "rmtree", removing)
    owner.close()
    assert removed
    assert found == []


def test_a_removed_lane_has_nothing_to_reclaim(tmp_path: Path) -> None:
    """The sender that settled its last event comes after the worker that removed the lane."""
    first = disk(tmp_path)
    fill(first.lane, 3)
    crash(first)
    journal = disk(tmp_path)
    (lane,) = journal.adopt()
    for identity in DESTINATIONS:
        drain(lane, identity)
    assert journal.retire(lane)
    assert not lane.reclaim()


def test_a_lane_that_was_never_finished_is_swept(tmp_path: Path) -> None:
    """A process killed while it made its lane leaves nothing for ever, and a young one alone."""
    journal = disk(tmp_path)
    fill(journal.lane, 1)
    old, young = journal.directory / "new-old", journal.directory / "new-young"
    for path in (old, young):
        path.mkdir()
    os.utime(old, (0, 0))
    journal.adopt()
    assert not old.exists()
    assert young.exists()


def test_an_interrupted_append_is_void_after_a_restart_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account balances in the process that adopts the lane."""
    monkeypatch.setattr("penstock.journal._pen.NATIVE", None)
    journal = disk(tmp_path)
    fill(journal.lane, 2)
    interrupt_once(journal.lane, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fill(journal.lane, 1)
    fill(journal.lane, 2)
    journal.close()
    (lane,) = disk(tmp_path).adopt()
    assert len(drain(lane, "aaaa")) == 4
    account = lane.account("aaaa")
    assert (account.accepted, account.delivered, account.dead) == (4, 4, {})


def test_sigkill_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    """A process killed in the middle of appending: every append that returned is there."""
    program = f"""
import sys
from pathlib import Path
from penstock.journal.disk import DiskJournal
from penstock.journal.inspection import look_at, state_of
place = Path({str(tmp_path)!r}) / "journal"
journal = DiskJournal(place, {DESTINATIONS!r}, max_bytes=1 << 28, max_age=1e6)
number = 0
while True:
    journal.lane.append(2, 0, 0, b'{{"n":%d,"x":"%s"}}' % (number, b"x" * (number % 900)))
    number += 1
    if number % 1000 == 0:
        print(number, flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    told = 0
    for line in child.stdout:
        told = int(line)
        if told >= 20_000:
            child.send_signal(signal.SIGKILL)
            break
    told = max([told, *(int(line) for line in child.stdout.read().split())])
    child.wait()
    child.stdout.close()
    journal = disk(tmp_path, max_bytes=1 << 28)
    (lane,) = journal.adopt()
    found = drain(lane, "aaaa")
    assert len(found) >= told
    assert found == [b'{"n":%d,"x":"%s"}' % (n, b"x" * (n % 900)) for n in range(len(found))]
    assert journal.ledger().balanced


def test_a_handler_that_appends_and_ends_the_process_loses_nothing(tmp_path: Path) -> None:
    """It runs in the middle of the first append, which never gets a segment."""
    journal = disk(tmp_path)

    def interrupted(_size: int) -> Any:
        journal.lane.append(2, 0, 0, b'{"inner":1}')
        raise SystemExit

    journal.lane._next_segment = interrupted  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        journal.lane.append(2, 0, 0, b'{"outer":1}')
    (lane,) = disk(tmp_path).adopt()
    assert drain(lane, "aaaa") == [b'{"inner":1}']


def test_a_truncated_segment_costs_only_what_was_cut(tmp_path: Path) -> None:
    """Recovery ends, and gives what is left."""
    first = disk(tmp_path)
    fill(first.lane, 1_000)
    path = first._paths[first.lane]
    first.lane.close()
    first._locks.pop(first.lane).release()
    file = next(path.glob("*.seg"))
    os.truncate(file, SEGMENT_HEADER_BYTES + span(len(payload(0))) * 500 + 13)
    journal = disk(tmp_path)
    (lane,) = journal.adopt()
    found = drain(lane, "aaaa")
    assert 490 < len(found) <= 510
    assert found == [payload(n) for n in range(len(found))]


def test_sync_covers_every_segment_written_since_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segments left behind since the last sync are synced too, and only those."""
    journal = disk(tmp_path)
    synced: list[int] = []
    real = DiskStore.sync
    monkeypatch.setattr(
        DiskStore, "sync", lambda store, number: (synced.append(number), real(store, number))
    )
    journal.lane.sync()
    fill(journal.lane, 5_000, 1_000)
    journal.lane.sync()
    assert synced == sorted(synced)
    assert len(synced) > 2
    first = list(synced)
    fill(journal.lane, 1)
    journal.lane.sync()
    assert synced == [*first, first[-1]]


def test_a_journal_of_a_newer_format_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Better no delivery than a wrong one."""
    store = DiskStore(tmp_path)
    monkeypatch.setattr("penstock.journal._segment.FORMAT_VERSION", 99)
    store.create(1, FIRST_SEGMENT_BYTES, 1).close()
    monkeypatch.undo()
    with pytest.raises(JournalError, match="99"):
        store.open(1)


def test_a_lock_is_free_when_its_holder_is_gone(tmp_path: Path) -> None:
    """Two cannot hold it; after release the other can."""
    first = FileLock.acquire(tmp_path / "lock")
    assert first is not None
    assert FileLock.acquire(tmp_path / "lock") is None
    first.release()
    second = FileLock.acquire(tmp_path / "lock")
    assert second is not None
    second.release()


def test_a_payload_that_looks_like_a_record_is_no_record(tmp_path: Path) -> None:
    """Magic bytes inside a payload do not confuse a reader that has to search."""
    journal = disk(tmp_path)
    tricky = b'{"x":"' + MAGIC_BYTES * 50 + b'"}'
    for _ in range(10):
        journal.lane.append(2, 0, 0, tricky)
    path = journal._paths[journal.lane]
    journal.lane.close()
    journal._locks.pop(journal.lane).release()
    file = next(path.glob("*.seg"))
    with file.open("r+b") as handle:
        handle.seek(SEGMENT_HEADER_BYTES + span(len(tricky)) + 4)
        handle.write(b"\xff\xff\xff\xff")
    (lane,) = disk(tmp_path).adopt()
    assert drain(lane, "aaaa") == [tricky] * 9
    assert lane.account("aaaa").dead == {"corrupt": 1}


def test_a_look_from_outside_recounts_and_changes_nothing(tmp_path: Path) -> None:
    """Live lane, dead lane and retired lane: one ledger, which balances; files stay as they are."""
    gone, dead, live = disk(tmp_path), disk(tmp_path), disk(tmp_path)
    fill(gone.lane, 7)
    drain(gone.lane, "aaaa")
    drain(gone.lane, "bbbb")
    gone.close()
    fill(dead.lane, 20)
    cursor = dead.lane.cursor("aaaa")
    chunk = dead.lane.read(cursor.head, 5, 1 << 20)
    cursor.settle(cursor.hand_out(chunk.records, chunk.after, 0), delivered=[1, 2, 3])
    dead.lane.refuse("too_large")
    dead.close()
    fill(live.lane, 4)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    (found,) = inspect(tmp_path)
    assert (found.ledger.accepted, found.ledger.balanced, found.lanes) == (32, True, 2)
    segment = found.ledger.destinations["Segment"]
    assert (segment.delivered, segment.pending, segment.dead) == (10, 21, {"too_large": 1})
    assert found.destinations == DESTINATIONS
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert inspect(found.path) == [found]
    assert inspect(tmp_path / "nothing") == []


def test_one_lane_tells_the_same_from_inside_and_from_outside(tmp_path: Path) -> None:
    """Its account, and when the oldest event that waits was captured: in flight, or not read."""
    journal = disk(tmp_path)
    assert journal.held() == {}
    for captured_at in (100, 200, 300):
        journal.lane.append(2, 0, captured_at, b"{}")
    ((name, lane),) = journal.held().items()
    assert lane is journal.lane
    cursor = lane.cursor("aaaa")
    chunk = lane.read(cursor.head, 2, 1 << 20)
    hole = cursor.hand_out(chunk.records, chunk.after, 0)
    for delivered, oldest in (([1], 200), ([2], 300)):
        cursor.settle(hole, delivered=delivered)
        state = state_of(lane, DESTINATIONS)
        assert state.oldest == {"Segment": oldest, "PostHog": 100}
        assert state == look_at(journal.directory / name)
    drain(lane, "aaaa")
    drain(lane, "bbbb")
    assert state_of(lane, DESTINATIONS).oldest == {}
