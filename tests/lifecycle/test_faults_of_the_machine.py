"""
What a failing machine costs, fault by fault: never an exception, never an event untold.

Programs run on a small disk of their own (a tmpfs in a mount namespace). A fault ends as it would
on a real machine, while the process lives or after it died.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import proving
from faults import rules
from faults.world import reckon

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults.host import Finished
    from faults.world import World
    from proving import Proof

    MakeWorld = Callable[..., World]

#: More than the first segment holds, which is 1 MiB.
MANY = 5000
#: On a loaded machine the exit takes as long as it must.
PATIENT = '{"exit_timeout": 20}'
FULL = "the journal takes no more events"
IN_MEMORY = "no journal on disk"


def counted(life: Finished) -> dict[str, int]:
    """Why events died, by the last ledger the process told."""
    dead: dict[str, int] = life.lines("ledger")[-1]["dead"]
    return dead


def live_through(world: World, proof: Proof, *trouble: str, relief: str) -> Finished:
    """A trouble costs only events that come while it lasts, each told; after *relief* none."""
    life = world.play("segment", *trouble, relief, "wait:0.3", "track:100", "close:30")
    reckon(world, life, proof=proof, reasons={"queue_full"})
    assert set(world.noted[-100:]) <= world.sink.accepted
    return life


# -- the disk ----------------------------------------------------------------------------------


@pytest.mark.proves("faults of the machine", "disk full")
@pytest.mark.parametrize("cause", ["fill_disk", "fill_inodes"])
def test_a_disk_that_fills_up_costs_only_what_comes_after(
    make_world: MakeWorld, proof: Proof, cause: str
) -> None:
    """No bytes or no inodes: ``dead(queue_full)``, told and counted; with room all goes on."""
    world = make_world(disk_mib=8)
    steps = ("track:100", cause, f"track:{MANY}", "flush:30")
    life = live_through(world, proof, *steps, relief="clean_disk")
    assert life.output.count(FULL) == 1
    died = counted(life)["queue_full"]
    assert 0 < died < MANY
    assert len(world.sink.accepted) == 200 + MANY - died


@pytest.mark.proves("faults of the machine", "disk full")
def test_a_full_disk_and_a_kill_lose_nothing_that_was_taken(
    make_world: MakeWorld, proof: Proof
) -> None:
    """Server down, disk full, SIGKILL: what was on the disk arrives; the deaths stay counted."""
    world = make_world(disk_mib=8)
    world.sink.stop()
    life = world.play("segment", "track:100", "fill_disk", f"track:{MANY}", "sigkill")
    assert life.returncode == -signal.SIGKILL, life.output
    world.heal("segment")
    after = world.recover("segment")
    reckon(world, life, after, proof=proof, reasons={"queue_full"})
    assert counted(after)["queue_full"] == len(world.dead)
    assert len(world.sink.accepted) + len(world.dead) == 100 + MANY


@pytest.mark.proves("faults of the machine", "disk full")
def test_on_a_full_disk_the_oldest_may_go_instead(make_world: MakeWorld, proof: Proof) -> None:
    """``overflow="drop_oldest"``: the last event is delivered, the first ones are told dead."""
    world = make_world(disk_mib=8)
    world.sink.stop()
    settings = '{"overflow": "drop_oldest"}'
    steps = ("track:2500", "wait:0.3", "fill_disk", f"track:{MANY}", "os_exit")
    life = world.play("segment", *steps, SETTINGS=settings)
    world.heal("segment")
    after = world.recover("segment")
    first, last = world.noted[0], world.noted[-1]
    dropped = counted(after)["queue_full"]
    unheard = set(world.noted) - world.sink.accepted
    proof.record(events=len(world.noted), lost=len(unheard) - dropped)
    assert life.lines("raised") == []
    assert len(unheard) == dropped
    assert last in world.sink.accepted
    assert first not in world.sink.accepted


@pytest.mark.proves("faults of the machine", "disk full at the start")
@pytest.mark.parametrize("ending", proving.scale(["exception"], ["close:20", "exception"]))
def test_a_disk_that_is_full_from_the_start_is_done_without(
    make_world: MakeWorld, proof: Proof, ending: str
) -> None:
    """The journal is in memory, which is told as an error; an orderly end delivers."""
    world = make_world(disk_mib=8)
    life = world.play("segment", "fill_disk", "track:100", ending, SETTINGS=PATIENT)
    reckon(world, life, proof=proof)
    assert life.output.count(IN_MEMORY) == 1
    assert len(world.sink.accepted) == 100


@pytest.mark.proves("faults of the machine", "disk full at the start")
@pytest.mark.parametrize("welcome", proving.scale(["hang"], ["reset", "hang"]))
def test_what_memory_cannot_deliver_is_told_at_the_end(
    make_world: MakeWorld, proof: Proof, welcome: str
) -> None:
    """The same with a server that is down or hangs: ``dead(closed)``, each by the callback."""
    world = make_world(disk_mib=8)
    world.sink.welcome = welcome
    life = world.play("segment", "fill_disk", "track:100", "close:0.5")
    reckon(world, life, proof=proof, reasons={"closed"})
    assert counted(life) == {"closed": 100}


@pytest.mark.proves("faults of the machine", "disk full")
def test_a_letter_that_cannot_be_kept_is_told_all_the_same(
    make_world: MakeWorld, proof: Proof
) -> None:
    """An event is refused while the disk is full: callback and ledger have it, the log too."""
    world = make_world(disk_mib=8)
    world.sink.plan(rules.poison({"Poison"}))
    life = world.play("segment", "track:100", "fill_disk", "poison", "track:100", "close:30")
    reckon(world, life, proof=proof, reasons={"rejected"})
    assert counted(life) == {"rejected": 1}
    assert "cannot keep dead letters" in life.output


# -- the directory -----------------------------------------------------------------------------


@pytest.mark.proves("faults of the machine", "directory read-only")
def test_a_directory_that_becomes_read_only_costs_what_comes_after(
    make_world: MakeWorld, proof: Proof
) -> None:
    """As a full disk does; what was taken is delivered although nothing can be deleted."""
    world = make_world(disk_mib=16)
    world.unprivileged = True
    steps = ("track:100", "lock_journal", f"track:{MANY}", "flush:30")
    life = live_through(world, proof, *steps, relief="unlock_journal")
    assert life.output.count(FULL) == 1
    assert 0 < counted(life)["queue_full"] < MANY


@pytest.mark.proves("faults of the machine", "directory read-only")
def test_a_directory_that_stays_read_only_troubles_no_close(
    make_world: MakeWorld, proof: Proof
) -> None:
    """The lane stays until somebody may remove it; it is not delivered again."""
    world = make_world(disk_mib=16)
    world.unprivileged = True
    life = world.play("segment", "track:2500", "lock_journal", "track:100", "close:30")
    world.heal("segment")
    after = world.recover("segment")
    reckon(world, life, after, proof=proof, reasons={"queue_full"})
    assert list(world.disk.glob("*/lane-*")) == []


@pytest.mark.proves("faults of the machine", "directory read-only")
def test_a_directory_that_was_never_writable_is_done_without(
    make_world: MakeWorld, proof: Proof
) -> None:
    """In memory, told as an error; everything is delivered."""
    world = make_world(disk_mib=8)
    world.disk.chmod(0o755)
    world.unprivileged = True
    life = world.play("segment", f"track:{MANY}", "close:30")
    reckon(world, life, proof=proof)
    assert life.output.count(IN_MEMORY) == 1
    assert len(world.sink.accepted) == MANY


@pytest.mark.proves("faults of the machine", "directory removed")
def test_a_directory_that_is_removed_costs_what_comes_after(
    make_world: MakeWorld, proof: Proof
) -> None:
    """What is in the mapped segment is delivered by the process that has it; close is quiet."""
    world = make_world(disk_mib=8)
    life = world.play("segment", "track:100", "remove_journal", f"track:{MANY}", "close:30")
    reckon(world, life, proof=proof, reasons={"queue_full"})
    assert life.output.count(FULL) == 1
    assert 100 < len(world.sink.accepted) < MANY
    again = world.play("segment", "track:100", "close:30")
    reckon(world, again, proof=proof, reasons={"queue_full"})
    assert counted(again) == {}


def test_what_waits_in_a_directory_that_is_removed_ends_with_the_process(
    make_world: MakeWorld,
) -> None:
    """The one loss nobody is told of: the journal deleted while nothing can be delivered."""
    world = make_world(disk_mib=8)
    world.sink.stop()
    life = world.play("segment", "track:100", "remove_journal", "close:0.2")
    assert life.lines("raised") == []
    assert life.lines("ledger")[-1]["pending"] == 100
    world.heal("segment")
    world.recover("segment")
    assert len(world.lost) == 100


# -- limits ------------------------------------------------------------------------------------


@pytest.mark.proves("faults of the machine", "no descriptors")
@pytest.mark.parametrize("before", [0, 100])
def test_a_host_without_descriptors_is_told_and_goes_on(
    make_world: MakeWorld, proof: Proof, before: int
) -> None:
    """Neither a file nor a connection can be opened for a while; then both can."""
    world = make_world()
    steps = (f"track:{before}", "take_descriptors", f"track:{MANY}", "flush:1")
    life = live_through(world, proof, *steps, relief="give_descriptors")
    assert (FULL if before else IN_MEMORY) in life.output


@pytest.mark.proves("faults of the machine", "no descriptors")
def test_what_dead_processes_left_waits_for_a_descriptor(
    make_world: MakeWorld, proof: Proof
) -> None:
    """A lane that cannot be opened now is left alone, and adopted when it can be."""
    world = make_world()
    world.sink.stop()
    dead = world.play("segment", "track:100", "os_exit")
    world.sink.start()
    life = world.play("segment", "take_descriptors", "flush:0.2", "give_descriptors", "close:30")
    reckon(world, dead, life, proof=proof)
    assert len(world.sink.accepted) == 100


@pytest.mark.proves("faults of the machine", "no threads")
@pytest.mark.parametrize("allowed", proving.scale([1], [1, 2]))
def test_without_a_thread_events_wait_for_a_flush_or_for_one(
    make_world: MakeWorld, proof: Proof, allowed: int
) -> None:
    """With no thread, or one: ``flush`` delivers itself, and later a thread does unasked."""
    world = make_world(disk_mib=8)
    world.unprivileged = True
    world.sink.plan(rules.Always(rules.Answer(wait_s=0.05)))
    life = world.play(
        "segment",
        *(f"forbid_threads:{allowed}", f"track:{MANY}", "flush:30"),
        *("allow_threads", "wait:0.3", "track:100", "settle:30", "close:1"),
    )
    reckon(world, life, proof=proof)
    flushed, settled, _ = life.lines("ledger")
    assert flushed["delivered"] == MANY
    assert settled["delivered"] == MANY + 100


@pytest.mark.proves("faults of the machine", "no threads")
@pytest.mark.parametrize("ending", proving.scale(["plain"], ["plain", "exception", "sigkill"]))
def test_an_end_without_threads_loses_nothing(
    make_world: MakeWorld, proof: Proof, ending: str
) -> None:
    """The exit delivers on its own thread; after a kill the next process does."""
    world = make_world(disk_mib=8)
    world.unprivileged = True
    steps = ("forbid_threads:1", "track:300", ending)
    life = world.play("segment", *steps, SETTINGS=PATIENT)
    if ending != "sigkill":
        assert len(world.sink.accepted) == 300, life.output
    after = world.recover("segment")
    reckon(world, life, after, proof=proof)


@pytest.mark.proves("faults of the machine", "no memory")
@pytest.mark.parametrize("before", proving.scale([100], [0, 100]))
def test_without_memory_for_a_segment_the_overflow_policy_decides(
    make_world: MakeWorld, proof: Proof, before: int
) -> None:
    """900 KiB of address space are left: ``dead(queue_full)``, and no `MemoryError`."""
    world = make_world()
    steps = (f"track:{before}", "settle:30", "limit_memory:900", f"track:{MANY}")
    life = live_through(world, proof, *steps, relief="free_memory")
    assert life.output.count(FULL) == 1


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A control group with 96 MiB of memory."""
    root = Path("/sys/fs/cgroup")
    unified = (root / "cgroup.controllers").exists()
    group = (root if unified else root / "memory") / f"penstock-{os.getpid()}"
    limit = group / ("memory.max" if unified else "memory.limit_in_bytes")
    try:
        group.mkdir()
        limit.write_text(str(96 << 20))
    except OSError:
        # A container seldom may make one: nothing to install.
        pytest.skip("no control groups here, or they are not ours")
    yield group
    group.rmdir()


@pytest.mark.proves("faults of the machine", "killed for its memory")
def test_an_out_of_memory_kill_loses_nothing(
    make_world: MakeWorld, proof: Proof, memory_group: Path
) -> None:
    """The host takes more than its control group has; the kernel kills it; the next delivers."""
    world = make_world()
    world.sink.plan(rules.Always(rules.BLACK_HOLE))
    running = world.begin("segment", f"track:{MANY}", "ready", "eat_memory")
    running.wait_for("ready")
    (memory_group / "cgroup.procs").write_text(str(running.pid))
    running.signal(signal.SIGUSR1)
    life = running.wait()
    assert life.returncode == -signal.SIGKILL
    world.heal("segment")
    after = world.recover("segment")
    reckon(world, life, after, proof=proof)
    assert len(world.sink.accepted) == MANY


# -- the clock ---------------------------------------------------------------------------------

DAY = 86_400


@pytest.mark.proves("faults of the machine", "clock jumps")
@pytest.mark.parametrize("jump", [-30 * DAY, *proving.scale([], [6 * DAY, 100 * 365 * DAY])])
def test_a_clock_that_jumps_delays_nothing(make_world: MakeWorld, proof: Proof, jump: int) -> None:
    """Days, decades, either way, while a batch waits to be retried: all waits are monotonic."""
    world = make_world()
    world.sink.plan(rules.Run(rules.status(503, retry_after="1")))
    life = world.play("segment", "track:100", "wait:0.3", f"clock:{jump}", "track:100", "settle:20")
    first, second = world.sink.exchanges[:2]
    reckon(world, life, proof=proof)
    assert len(world.sink.accepted) == 200
    assert 1.0 <= second.at - first.at < 20.0


@pytest.mark.proves("faults of the machine", "clock jumps")
def test_a_clock_that_jumps_past_the_age_limit_ends_what_waits(
    make_world: MakeWorld, proof: Proof
) -> None:
    """Ten days on, and the server still busy: ``dead(expired)``, told, kept as dead letters."""
    world = make_world()
    world.sink.plan(rules.Run(rules.status(503, retry_after="1"), rules.status(503)))
    steps = ("track:100", "wait:0.3", f"clock:{10 * DAY}", "settle:30")
    life = world.play("segment", *steps, f"clock:{-10 * DAY}", "track:100", "close:30")
    reckon(world, life, proof=proof, reasons={"expired"})
    assert counted(life) == {"expired": 100}
    (letters,) = world.journal.glob("*/dead.jsonl")
    assert len(letters.read_text().splitlines()) == 100
    assert set(world.noted[100:]) == world.sink.accepted


@pytest.mark.proves("faults of the machine", "clock jumps")
@pytest.mark.parametrize("year", proving.scale([2110], [1960, 2110, 9000]))
def test_a_clock_that_is_out_of_its_mind_raises_nothing(
    make_world: MakeWorld, proof: Proof, year: int
) -> None:
    """Before 1970, or later than a record's 32 bits can say: the events are delivered."""
    world = make_world()
    jump = (year - 2026) * 365 * DAY
    life = world.play("segment", f"clock:{jump}", "track:100", "settle:30", "close:1")
    reckon(world, life, proof=proof)
    assert len(world.sink.accepted) == 100
