"""
Whatever a crash leaves of a journal, the real code makes of it what was promised.

The model is explained in `crash_model`. Two ways to look for a counter-example: a life in which
everything happens once, crashed at every point; and lives that hypothesis makes up, crashed
while they run and, in thought, at points of the whole trace afterwards.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

import proving
from crash_model.changes import Note
from crash_model.hurting import damages
from crash_model.interposer import interposed
from crash_model.judge import Judge
from crash_model.lives import full_life
from crash_model.loss import MANNERS
from crash_model.oracle import DESTINATIONS
from crash_model.world import Reset, World, moments
from penstock.native import NATIVE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crash_model.process import Process
    from crash_model.world import Moment

    Crash = Callable[[Judge, Moment, int], None]

#: Directories of the modelled machines: on a tmpfs where there is one, since none is synced.
SHM = Path("/dev/shm")
LEVELS = ("off", "interval", "always")


@pytest.fixture
def scratch() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="crash-", dir=SHM if SHM.is_dir() else None))
    yield place
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def judge(scratch: Path, proof: proving.Proof) -> Iterator[Judge]:
    """Judges crash states, and has each counted for the matrix."""
    with interposed():
        yield Judge(scratch, proof)


# -- what may happen at a moment -----------------------------------------------------------------


def process_dies(judge: Judge, moment: Moment, seed: int) -> None:
    """All processes are killed, between two changes or in the middle of one."""
    chance = random.Random(seed)
    judge.process_death(moment.oracle, moment.volume.cache())
    torn = moment.torn(chance.random(), backwards=chance.random() < 0.5)
    judge.process_death(moment.oracle, torn)


def power_goes(judge: Judge, moment: Moment, seed: int) -> None:
    """The machine loses its power, and of what was not synced anything."""
    for manner in random.Random(seed).sample(MANNERS, proving.scale(2, len(MANNERS))):
        judge.power_loss(moment.oracle, moment.after(manner, seed))


def files_are_damaged(judge: Judge, moment: Moment, seed: int) -> None:
    """All processes are killed, and then some byte of some file is not what it was."""
    image = moment.volume.cache()
    judge.damage(moment.oracle, image, damages(image, seed, 3))


# -- every point of one life ---------------------------------------------------------------------


def crash_everywhere(judge: Judge, scratch: Path, crash: Crash, fsync: str, step: int) -> None:
    """Crash a full life before every *step*-th change, written by either pen."""
    for native in (False, True)[: 1 if NATIVE is None else 2]:
        world = World(scratch / f"native-{native}")
        full_life(world, fsync, native=native)
        world.check_that_all_was_seen()
        for number, moment in enumerate(moments(world.trace)):
            if number % step == step // 2 * native:
                crash(judge, moment, number)


@pytest.mark.proves("process death", "every point of a life, recovery included")
@pytest.mark.parametrize("fsync", LEVELS)
def test_a_process_may_die_at_every_point(judge: Judge, scratch: Path, fsync: str) -> None:
    """What was appended is there, once, and the ledger is right, wherever the process ends."""
    crash_everywhere(judge, scratch, process_dies, fsync, proving.scale(2, 1))


@pytest.mark.proves("power loss", "every point of a life, recovery included")
@pytest.mark.parametrize("fsync", LEVELS)
def test_the_power_may_go_at_every_point(judge: Judge, scratch: Path, fsync: str) -> None:
    """What was synced is there, whatever else of the files is lost or torn."""
    crash_everywhere(judge, scratch, power_goes, fsync, proving.scale(2, 1))


@pytest.mark.proves("faults of the machine", "damaged journal, every point of a life")
def test_files_may_be_damaged_at_every_point(judge: Judge, scratch: Path) -> None:
    """One bad record hides no good one, and damage stops no recovery."""
    crash_everywhere(judge, scratch, files_are_damaged, "off", proving.scale(5, 1))


# -- lives that hypothesis makes up --------------------------------------------------------------

FATES = st.lists(
    st.sampled_from(["delivered", "delivered", "excluded", "rejected", "expired", ""]),
    min_size=1,
    max_size=3,
)
CHANGES = st.integers(0, 12)
WHICH = st.integers(0, 2)
IDENTITIES = st.sampled_from(sorted(DESTINATIONS))


class Lives(RuleBasedStateMachine):
    """
    Processes that come and go on one machine.

    Args:
        judge: Judges the crash states.
        scratch: Where the machine's disk lies.
        crash: What is tried at moments of the trace in the end.
    """

    def __init__(self, judge: Judge, scratch: Path, crash: Crash) -> None:
        super().__init__()
        self._judge = judge
        self._crash = crash
        self._place = Path(tempfile.mkdtemp(dir=scratch))
        self._seed = 0
        self._world = World(self._place)

    def teardown(self) -> None:
        """Try crashes at some moments of all that happened."""
        try:
            self._world.check_that_all_was_seen()
            total = 1 + sum(not isinstance(step, Note | Reset) for step in self._world.trace)
            chosen = set(random.Random(self._seed).sample(range(total), min(total, POINTS)))
            for number, moment in enumerate(moments(self._world.trace)):
                if number in chosen:
                    self._crash(self._judge, moment, self._seed + number)
        finally:
            shutil.rmtree(self._place)

    @initialize(seed=st.integers(0, 1 << 16), fsync=st.sampled_from(LEVELS), native=st.booleans())
    def begin(self, seed: int, fsync: str, native: bool) -> None:
        self._seed = seed
        self._world.start(fsync, native=native)

    def _process(self, which: int) -> Process:
        return self._world.alive[which % len(self._world.alive)]

    @precondition(lambda self: len(self._world.alive) < 3)
    @rule(fsync=st.sampled_from(LEVELS), native=st.booleans())
    def start(self, fsync: str, native: bool) -> None:
        self._world.start(fsync, native=native)

    @precondition(lambda self: self._world.alive)
    @rule(
        which=WHICH,
        count=st.integers(1, 5),
        size=st.sampled_from([0, 60, 400, 1500, 6000]),
        kind=st.integers(1, 9),
        flags=st.integers(0, 3),
    )
    def append(self, which: int, count: int, size: int, kind: int, flags: int) -> None:
        process = self._process(which)
        for _ in range(count):
            if not process.dead:
                process.append(self._world.event("PN" * (size // 2), kind=kind, flags=flags))

    @precondition(lambda self: self._world.alive)
    @rule(which=WHICH, changes=st.integers(0, 3), before=st.booleans())
    def interrupted_append(self, which: int, changes: int, before: bool) -> None:
        process = self._process(which)
        process.interrupt_at(changes, before=before)
        process.append(self._world.event("interrupted"))

    @precondition(lambda self: self._world.alive)
    @rule(which=WHICH, changes=st.integers(0, 3), size=st.sampled_from([0, 1500]))
    def nested_append(self, which: int, changes: int, size: int) -> None:
        process = self._process(which)
        process.nest_at(changes, self._world.event("inner" + "x" * size))
        process.append(self._world.event("outer" + "x" * size))

    @precondition(lambda self: self._world.alive)
    @rule(which=WHICH)
    def refuse(self, which: int) -> None:
        self._process(which).refuse("too_large")

    @precondition(lambda self: self._world.alive)
    @rule(which=WHICH, lane=WHICH, identity=IDENTITIES, count=st.integers(1, 9))
    def take(self, which: int, lane: int, identity: str, count: int) -> None:
        self._process(which).take(lane, identity, count)

    @precondition(lambda self: any(process.jobs for process in self._world.alive))
    @rule(job=WHICH, fates=FATES)
    def settle(self, job: int, fates: list[str]) -> None:
        next(process for process in self._world.alive if process.jobs).settle(job, fates)

    @precondition(lambda self: self._world.alive)
    @rule(
        which=WHICH,
        what=st.sampled_from(["prepare", "reclaim", "drop_oldest", "sync", "adopt", "retire"]),
    )
    def keep_house(self, which: int, what: str) -> None:
        getattr(self._process(which), what)()

    @precondition(lambda self: self._world.alive)
    @rule(which=WHICH, lane=WHICH)
    def deliver_all(self, which: int, lane: int) -> None:
        process = self._process(which)
        for identity in DESTINATIONS:
            process.take(lane, identity, 50)
        while process.jobs and not process.dead:
            process.settle(0, ["delivered"])

    @precondition(lambda self: self._world.alive)
    @rule(which=WHICH, what=st.sampled_from(["close", "die"]))
    def end(self, which: int, what: str) -> None:
        getattr(self._process(which), what)()

    @precondition(lambda self: self._world.alive)
    @rule(which=WHICH, changes=CHANGES, share=st.floats(0, 1), backwards=st.booleans())
    def plan_death(self, which: int, changes: int, share: float, backwards: bool) -> None:
        self._process(which).die_at(changes, share, backwards=backwards)

    @precondition(lambda self: len(self._world.alive) > 1)
    @rule(which=WHICH, changes=CHANGES)
    def meanwhile(self, which: int, changes: int) -> None:
        self._process(which).meanwhile_at(changes, self._process(which + 1))

    @rule(manner=st.sampled_from(MANNERS), seed=st.integers(0, 1 << 16))
    def lose_power(self, manner: str, seed: int) -> None:
        self._world.lose_power(manner, seed)


#: Moments tried of one life.
POINTS = 12


def crash_lives(judge: Judge, scratch: Path, crash: Crash, examples: int) -> None:
    run_state_machine_as_test(
        lambda: Lives(judge, scratch, crash),
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            derandomize=not proving.FULL,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.proves("process death", "lives made up at random")
def test_made_up_lives_survive_the_death_of_processes(judge: Judge, scratch: Path) -> None:
    """As above, for any order of calls, several processes and repeated crashes."""
    crash_lives(judge, scratch, process_dies, proving.scale(35, 1000))


@pytest.mark.proves("power loss", "lives made up at random")
def test_made_up_lives_survive_power_losses(judge: Judge, scratch: Path) -> None:
    """As above, for any order of calls, several processes and repeated crashes."""
    crash_lives(judge, scratch, power_goes, proving.scale(35, 400))


@pytest.mark.proves("faults of the machine", "damaged journal, lives made up at random")
def test_made_up_lives_survive_damaged_files(judge: Judge, scratch: Path) -> None:
    """As above, for any order of calls, several processes and repeated crashes."""
    crash_lives(judge, scratch, files_are_damaged, proving.scale(20, 500))
