"""A process that uses a journal: what a client does with it, one call at a time."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from crash_model.changes import Note, Store
from crash_model.interposer import Killed, Plan, Recorder, TracedPath
from crash_model.oracle import DESTINATIONS, Event
from crash_model.taking import taken
from penstock.journal import JournalFull
from penstock.journal._dead import DeadLetter
from penstock.journal.disk import DiskJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from crash_model.changes import Change
    from crash_model.world import World
    from penstock.journal._cursor import Hole
    from penstock.journal.lane import Lane
    from penstock.journal.record import Record

JOURNAL = "state/journal"
MAX_BYTES = 24 * 1024


class Job(NamedTuple):
    """Records that are on their way to a destination."""

    lane: Lane
    identity: str
    hole: Hole
    records: list[Record]


def in_flight(lane: Lane, identity: str) -> Iterator[tuple[Hole, list[Record]]]:
    """What a dead process had handed out; records that cannot be read again are dead."""
    cursor = lane.cursor(identity)
    for hole in list(cursor.holes):
        records = lane.reread(hole)
        gone = hole.open.difference(record.ordinal for record in records)
        if gone:
            cursor.settle(hole, dead={"corrupt": gone})
        if records:
            yield hole, records


class Process:
    """
    One process; after its death every call does nothing.

    Args:
        world: Where it lives.
        fsync: As in the settings of a client; with ``"always"`` each append is synced.
        native: Whether it has the native part, where there is one.
    """

    def __init__(self, world: World, fsync: str, *, native: bool) -> None:
        self._world = world
        self._always = fsync == "always"
        self._mine: list[int] = []
        self._late: list[int] = []
        self._full = 0
        self.recorder = Recorder(world.volume, world.root, world.trace.append, native=native)
        self.jobs: list[Job] = []
        self.lanes: list[Lane] = []
        directory = TracedPath(world.root) / JOURNAL
        synced = fsync != "off"
        self._note("started", synced)
        with self.recorder.at_work():
            self.journal = DiskJournal(
                directory, DESTINATIONS, max_bytes=MAX_BYTES, max_age=1e9, synced=synced
            )

    @property
    def dead(self) -> bool:
        """Whether it died."""
        return self.recorder.dead

    @contextmanager
    def _acting(self) -> Iterator[None]:
        try:
            with self.recorder.at_work():
                yield
        except Killed:
            self.die()

    def die(self) -> None:
        """Nothing of it is left but its files."""
        self.recorder.end()
        for lane in [self.journal.lane, *self.journal._adopted]:
            lane._chain._spare = None  # closing would delete its file
            with suppress(Killed):
                lane.close()

    # -- plans -----------------------------------------------------------------------------

    def die_at(self, changes: int, share: float, *, backwards: bool) -> None:
        """Die at the change after the next *changes*, with a *share* of it made."""

        def end(change: Change, make: Callable[[Change], Any]) -> None:
            if isinstance(change, Store):
                self.recorder.perform(change.torn(share, backwards=backwards), make)
            self.recorder.dead = True
            raise Killed

        self.recorder.plan = Plan(changes, end)

    def interrupt_at(self, changes: int, *, before: bool) -> None:
        """Have the next append raise, before or after one of its changes."""

        def interrupt(change: Change, make: Callable[[Change], Any]) -> None:
            if not before:
                self.recorder.perform(change, make)
            raise KeyboardInterrupt

        self.recorder.plan = Plan(changes, interrupt, by_python=True)

    def nest_at(self, changes: int, event: Event) -> None:
        """Have a signal handler append *event* in the middle of the next append."""

        def nest(change: Change, make: Callable[[Change], Any]) -> Any:
            self._append(event)
            return self.recorder.perform(change, make)

        self.recorder.plan = Plan(changes, nest, by_python=True)

    def meanwhile_at(self, changes: int, other: Process) -> None:
        """Have an *other* process look for lanes to adopt in the middle of something to come."""

        def pause(change: Change, make: Callable[[Change], Any]) -> Any:
            if not other.dead:
                other.adopt()
            return self.recorder.perform(change, make)

        self.recorder.plan = Plan(changes, pause)

    # -- what a client does ----------------------------------------------------------------

    def append(self, event: Event) -> None:
        """Append; a plan to interrupt does not outlive it."""
        with self._acting():
            try:
                self._append(event)
            except KeyboardInterrupt:
                self._failed(self._world.number(event))
            self.recorder.plan = None
            self._resolve_late()
            if self._always:
                self._sync()

    def _append(self, event: Event) -> None:
        number = self._world.number(event)
        self._note("called", number, event)
        try:
            ordinal = self.journal.lane.append(*event)
        except JournalFull:
            self._failed(number)
            return
        if not ordinal and self.journal.lane._interrupting:  # stored as soon as there is room
            self._late.append(number)
            self._note("refusing", "queue_full")  # if there is no room
            return
        self._kept(number)

    def _resolve_late(self) -> None:
        """What interrupted the making of a segment was stored after that, or refused."""
        while self._late:
            number = self._late.pop()
            full = self.journal.lane.refused.get("queue_full", 0)
            if full == self._full:
                self._note("not_refused", "queue_full")
                self._kept(number)
                continue
            self._full = full
            self._failed(number)
            self._note("refused", "queue_full")

    def refuse(self, reason: str) -> None:
        """Count an event that died before it became a record."""
        with self._acting():
            self._note("refusing", reason)
            self.journal.lane.refuse(reason)
            self._note("refused", reason)

    def sync(self) -> None:
        """What ``fsync="interval"`` does once an interval."""
        with self._acting():
            self._sync()

    def _sync(self) -> None:
        covered = tuple(self._mine)
        self.journal.lane.sync()
        self._note("synced", covered)

    def prepare(self) -> None:
        """Make a spare segment."""
        with self._acting():
            self.journal.lane.prepare()

    def reclaim(self) -> None:
        """Delete the segments that all destinations have passed."""
        with self._acting():
            for lane in [self.journal.lane, *self.lanes]:
                lane.reclaim()

    def drop_oldest(self) -> None:
        """Give up the oldest sealed segment."""
        lane = self.journal.lane
        if not lane._chain.ends:
            return
        number = min(lane._chain.ends)
        victims = self._world.written(self.journal._paths[lane].name, number)
        with self._acting():
            for identity in DESTINATIONS:
                self._note("settling", identity, dict.fromkeys(victims, "queue_full"))
            lane.drop_oldest()
            for identity in DESTINATIONS:
                self._note("settled", identity, tuple(victims))

    # -- what its worker and senders do ----------------------------------------------------

    def adopt(self) -> None:
        """Take the lanes of dead processes, and what they had in flight."""
        with self._acting():
            others = [process for process in self._world.alive if process is not self]
            held = {path for process in others for path in process.journal._paths.values()}
            for lane in self.journal.adopt():
                assert self.journal._paths[lane] not in held, "the lane of a living process"
                self.lanes.append(lane)
                for identity in DESTINATIONS:
                    self._resume(lane, identity)

    def _resume(self, lane: Lane, identity: str) -> None:
        for hole, records in in_flight(lane, identity):
            self._hand(Job(lane, identity, hole, records))

    def take(self, which: int, identity: str, count: int) -> None:
        """Read about a batch."""
        lanes = [lane for lane in [*self.lanes, self.journal.lane] if lane.opened]
        if not lanes or self.dead:
            return
        lane = lanes[which % len(lanes)]
        with self._acting():
            hole, records = taken(lane, lane.cursor(identity), count)
            if records:
                self._hand(Job(lane, identity, hole, records))

    def _hand(self, job: Job) -> None:
        numbers = self._numbers(job.records)
        again = self._world.oracle.settled(job.identity).intersection(numbers)
        assert not again, f"sent again: {again}"
        self._note("handed", job.identity, tuple(numbers))
        self.jobs.append(job)

    def settle(self, which: int, fates: Sequence[str]) -> None:
        """Account for an answer: *fates* in turn for the records of a job, "" for none yet."""
        if not self.jobs or self.dead:
            return
        job = self.jobs[which % len(self.jobs)]
        untouched = job.hole.count == len(job.records)  # then nobody looks at it one by one
        open_now = [r for r in job.records if untouched or r.ordinal in job.hole.open]
        told = {r: fate for r, fate in zip(open_now, fates * len(open_now), strict=False) if fate}
        with self._acting():
            self._settle(job, told)
            if not job.hole.count:
                self.jobs.remove(job)

    def _settle(self, job: Job, told: dict[Record, str]) -> None:
        by_fate: dict[str, list[int]] = {}
        for record, fate in told.items():
            by_fate.setdefault(fate, []).append(record.ordinal)
        numbers = dict(zip(self._numbers(told), told.values(), strict=True))
        self._note("settling", job.identity, numbers)
        letters = [_letter(record, fate) for record, fate in told.items() if fate == "rejected"]
        if letters:
            self.journal.bury(letters)
            self._note("buried", tuple(self._numbers(r for r in told if told[r] == "rejected")))
        delivered, excluded = by_fate.pop("delivered", ()), by_fate.pop("excluded", ())
        if len(delivered) == len(job.records) == job.records[-1].ordinal - delivered[0] + 1:
            delivered = range(delivered[0], delivered[0] + len(delivered))  # as of a run
        cursor = job.lane.cursor(job.identity)
        cursor.settle(job.hole, delivered=delivered, excluded=excluded, dead=by_fate)
        self._note("settled", job.identity, tuple(numbers))

    def retire(self) -> None:
        """Remove adopted lanes in which nothing is pending."""
        with self._acting():
            for lane in list(self.lanes):
                if not any(lane.account(identity).pending for identity in DESTINATIONS):
                    self.journal.retire(lane)
                    self.lanes.remove(lane)

    def close(self) -> None:
        """End in good order."""
        with self._acting():
            self.journal.close()
        self.die()

    # -- telling ---------------------------------------------------------------------------

    def _kept(self, number: int) -> None:
        self._mine.append(number)
        self._note("returned", number)

    def _failed(self, number: int) -> None:
        self._mine.append(number)
        self._note("failed", number)

    def _numbers(self, records: Iterable[Record]) -> list[int]:
        return [self._world.numbers[record.payload] for record in records]

    def _note(self, what: str, *arguments: Any) -> None:
        if not self.dead:
            self._world.tell(Note(what, arguments))


def _letter(record: Record, reason: str) -> DeadLetter:
    return DeadLetter("Segment", reason, 400, "", 0.0, record.payload)
