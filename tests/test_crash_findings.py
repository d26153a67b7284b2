"""What the crash model found, one test for each: the shortest life in which it happened."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from crash_model import image as images
from crash_model.image import Damage
from crash_model.interposer import interposed
from crash_model.judge import Judge
from crash_model.loss import MANNERS
from crash_model.oracle import DESTINATIONS
from crash_model.process import JOURNAL
from crash_model.recovery import recover
from crash_model.world import World, moments
from penstock.journal import JournalFull, inspect
from penstock.journal._dead import DeadLetter, DeadLetters
from penstock.journal._segment import SEGMENT_HEADER_BYTES
from penstock.journal.disk import DiskJournal
from penstock.journal.memory import MemoryJournal
from penstock.journal.record import span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crash_model.image import Image
    from crash_model.process import Process
    from penstock.journal._segment import Segment


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with interposed():
        yield World(tmp_path)


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    return Judge(tmp_path)


def append(world: World, process: Process, count: int, filling: str = "") -> None:
    for _ in range(count):
        process.append(world.event(filling))


def deliver(process: Process) -> None:
    """Everything there is, everywhere."""
    for lane in range(len(process.lanes) + 1):
        for identity in DESTINATIONS:
            process.take(lane, identity, 100)
    while process.jobs:
        process.settle(0, ["delivered"])


def place(image: Image, name: str) -> str:
    """The path in *image* that ends in *name*."""
    (found,) = (path for path in image if path.endswith(name))
    return found


def flipped(image: Image, name: str, offset: int, bit: int = 0) -> Image:
    """*image* with one bit of a file flipped."""
    path = place(image, name)
    content = image[path]
    assert content
    return images.damaged(image, Damage(path, offset, bytes([content[offset] ^ 1 << bit])))


# -- the way to a file ---------------------------------------------------------------------------


@pytest.mark.parametrize("manner", MANNERS)
def test_what_was_synced_survives_with_the_directories_it_lies_in(
    world: World, judge: Judge, manner: str
) -> None:
    """A file is of no use when the name of its directory, or of that one's, was never synced."""
    process = world.start("always")
    append(world, process, 2)
    for seed in range(8):
        judge.power_loss(world.oracle, world.now.after(manner, seed))


def test_a_directory_made_by_another_process_is_synced_too(world: World, judge: Judge) -> None:
    """The one before may have made the journal and never synced it."""
    append(world, world.start("off"), 1)
    append(world, world.start("always"), 1)
    judge.power_loss(world.oracle, world.now.after("lost", 0))


def test_a_lane_without_its_lock_file_is_adopted(world: World, judge: Judge) -> None:
    """A power loss may take the empty file and leave the records."""
    append(world, world.start(), 2)
    image = world.volume.cache()
    del image[place(image, "/lock")]
    judge.process_death(world.oracle, image)


# -- the account ---------------------------------------------------------------------------------


def test_a_delivered_record_that_is_damaged_does_not_hold_its_lane(
    world: World, tmp_path: Path
) -> None:
    """The cursor is beyond the last record that can be read: nothing is pending, not minus one."""
    process = world.start()
    append(world, process, 3)
    deliver(process)
    last = SEGMENT_HEADER_BYTES + 2 * span(len(world.event().payload))
    image = flipped(world.volume.cache(), "1.seg", last + 30)
    account = recover(image, tmp_path / "hurt").after.destinations["Segment"]
    assert (account.accepted, account.delivered) == (3, 3)


def test_records_lost_behind_a_cursor_are_told_to_the_others(world: World, tmp_path: Path) -> None:
    """One destination has them; for the other they are gone, and its ledger says so."""
    process = world.start()
    append(world, process, 3)
    process.take(0, "aaaa", 9)
    process.settle(0, ["delivered"])
    image = world.volume.cache()
    path = place(image, "1.seg")
    image = images.damaged(image, Damage(path, SEGMENT_HEADER_BYTES, None))
    ledger = recover(image, tmp_path / "cut").after.destinations
    assert ledger["Segment"].delivered == 3
    assert ledger["PostHog"].dead == {"corrupt": 3}


def test_an_interrupted_append_may_die_before_it_is_noted(world: World, judge: Judge) -> None:
    """The record says void and the state of the lane does not yet."""
    process = world.start()
    append(world, process, 1)
    process.interrupt_at(1, before=True)
    process.append(world.event("interrupted"))
    append(world, process, 1)
    for moment in moments(world.trace):
        judge.process_death(moment.oracle, moment.volume.cache())


@pytest.mark.parametrize("gone", ["/lane", "1.seg"])
def test_a_void_is_known_from_its_record_or_from_the_state(
    world: World, tmp_path: Path, gone: str
) -> None:
    """Either may be damaged: the account balances, and the lane goes when all is delivered."""
    process = world.start()
    append(world, process, 1)
    process.interrupt_at(1, before=True)
    process.append(world.event("interrupted"))
    deliver(process)
    image = world.volume.cache()
    image[place(image, gone)] = b""
    recover(image, tmp_path / "hurt")


def test_a_segment_goes_only_when_the_disk_knows_that_it_was_passed(
    world: World, judge: Judge
) -> None:
    """Otherwise a cursor comes back that misses it, and what was delivered is called corrupt."""
    process = world.start("always")
    append(world, process, 9, "x" * 1500)
    deliver(process)
    process.reclaim()
    for manner in MANNERS:
        judge.power_loss(world.oracle, world.now.after(manner, 0))


def test_a_removed_lane_does_not_come_back_in_parts(world: World, judge: Judge) -> None:
    """Its new name is on the disk before it is emptied."""
    process = world.start("always")
    append(world, process, 3)
    deliver(process)
    process.close()
    for number, moment in enumerate(moments(world.trace)):
        for seed in range(4):
            judge.power_loss(moment.oracle, moment.after("mixed", 4 * number + seed))


@pytest.mark.parametrize(("size", "pending"), [(10, 1), (30_000, 0)])
def test_an_event_of_a_signal_handler_does_not_depend_on_the_one_it_interrupts(
    world: World, size: int, pending: int
) -> None:
    """The handler's call has returned when it turns out that there is no room for the other."""
    process = world.start()
    process.nest_at(3, world.event("x" * size))
    append(world, process, 1, "x" * 30_000)
    process.adopt()
    account = process.journal.ledger().destinations["Segment"]
    assert (account.pending, account.dead.get("queue_full", 0)) == (pending, 1 - pending)
    assert account.balanced


@pytest.mark.parametrize(("size", "pending"), [(10, 1), (1 << 20, 0)])
def test_nor_does_it_in_memory(monkeypatch: pytest.MonkeyPatch, size: int, pending: int) -> None:
    """Where it waits for the other's segment, which does not come."""
    monkeypatch.setattr("penstock.journal._chain.RETRY_CREATE_S", 0.0)
    journal = MemoryJournal(DESTINATIONS, max_bytes=1 << 20)
    lane, handlers = journal.lane, [lambda: lane.append(2, 0, 0, b"x" * size)]
    real = lane._next_segment

    def interrupted(needed: int) -> Segment:
        while handlers:
            assert handlers.pop()() == 0
        return real(needed)

    lane._next_segment = interrupted  # type: ignore[method-assign]
    with pytest.raises(JournalFull):
        lane.append(2, 0, 0, b"x" * (1 << 20))
    account = journal.ledger().destinations["Segment"]
    assert (account.pending, account.dead.get("queue_full", 0)) == (pending, 1 - pending)
    assert account.balanced


# -- damage that stops everything ----------------------------------------------------------------


@pytest.mark.parametrize("offset", range(SEGMENT_HEADER_BYTES))
def test_a_damaged_segment_header_costs_nothing(world: World, tmp_path: Path, offset: int) -> None:
    """Neither a foreign version nor a first ordinal of billions is believed."""
    process = world.start()
    append(world, process, 3)
    for bit in range(8):
        found = recover(flipped(world.volume.cache(), "1.seg", offset, bit), tmp_path / f"{bit}")
        assert found.after.destinations["Segment"].delivered == 3
        assert not found.after.dead


@pytest.mark.parametrize("half", [0, 32 * 1024])
@pytest.mark.parametrize("offset", range(16))
def test_a_damaged_cursor_costs_no_event(
    world: World, judge: Judge, half: int, offset: int
) -> None:
    """Also not a bit that makes an empty half look like the newest one."""
    append(world, world.start(), 3)
    image = world.volume.cache()
    for bit in range(8):
        path = place(image, "cursor-bbbb")
        content = image[path]
        assert content
        instead = bytes([content[half + offset] ^ 1 << bit])
        judge.damage(world.oracle, image, [Damage(path, half + offset, instead)])


def test_a_lane_of_a_newer_format_keeps_no_other_waiting(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused by itself, and told; what was found before and after it is delivered."""
    for version in (1, 2, 1):
        monkeypatch.setattr("penstock.journal._segment.FORMAT_VERSION", version)
        process = world.start()
        append(world, process, 1)
        process.die()
    refused: list[tuple[str, str]] = []
    images.write(world.volume.cache(), tmp_path / "copy")
    journal = DiskJournal(
        tmp_path / "copy" / JOURNAL,
        DESTINATIONS,
        max_bytes=1 << 20,
        max_age=1e9,
        on_refused=lambda lane, error: refused.append((lane, type(error).__name__)),
    )
    assert len(journal.adopt()) == 2
    assert [error for _lane, error in refused] == ["JournalError"]


def test_a_look_at_a_lane_that_is_being_made_is_no_error(world: World, tmp_path: Path) -> None:
    """A cursor's file is empty for a moment, and for ever if its maker dies then."""
    append(world, world.start(), 1)
    for number, moment in enumerate(moments(world.trace)):
        images.write(moment.volume.cache(), tmp_path / f"copy-{number}")
        inspect(tmp_path / f"copy-{number}" / JOURNAL)


# -- files of lines ------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [b'{"lane":"a"}\n', b"[]\n", b"\xff\n", b'{"lane":"lane-1","acc'])
def test_a_bad_line_of_a_removed_lane_hides_no_other(
    world: World, tmp_path: Path, line: bytes
) -> None:
    """A line cut short by a power loss does not swallow the next, nor stop a look."""
    process = world.start()
    append(world, process, 2)
    deliver(process)
    images.write(world.volume.cache(), tmp_path / "copy")
    directory = tmp_path / "copy" / JOURNAL
    (directory / "retired.jsonl").write_bytes(line)
    journal = DiskJournal(directory, DESTINATIONS, max_bytes=1 << 20, max_age=1e9)
    (lane,) = journal.adopt()
    assert journal.retire(lane)
    (found,) = inspect(directory)
    assert found.ledger.destinations["Segment"].delivered == 2


def test_a_dead_letter_cut_short_does_not_swallow_the_next(tmp_path: Path) -> None:
    """Every letter begins a line of its own."""
    letters = DeadLetters(tmp_path, max_bytes=1 << 20, max_age=1e9)
    letter = DeadLetter("Segment", "rejected", 400, "", 0.0, b'{"n":1}')
    (tmp_path / "dead.jsonl").write_bytes(letter.line()[:-9])
    letters.add([letter])
    *_, last = (tmp_path / "dead.jsonl").read_bytes().splitlines()
    assert json.loads(last)["message"] == {"n": 1}
