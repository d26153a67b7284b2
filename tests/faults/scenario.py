"""
Lives in which several things go wrong at once, drawn by hypothesis.

A `Scenario` is a destination, what its server does, and one or two processes, each with a fault of
the machine in the middle and an end. What may be lost in it, and told, follows from that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st

from faults import rules
from faults.troubles import FINAL, TRANSIENT
from faults.world import DIALECTS, EXIT_TIMEOUT, SLACK_S, polite, reckon
from penstock.journal import inspect

if TYPE_CHECKING:
    from faults.host import Finished
    from faults.world import World
    from proving import Proof


class Fault(NamedTuple):
    """A fault of the machine: steps of ``programs/world.py``, and what it takes to try it."""

    begin: str = ""
    end: str = ""
    #: Events may be refused meanwhile: ``dead(queue_full)``.
    refuses: bool = False
    #: From the start it leaves no journal on disk.
    no_journal: bool = False
    needs_disk: bool = False
    unprivileged: bool = False


_REFUSED: dict[str, Any] = {"refuses": True, "no_journal": True}
_AS_NOBODY: dict[str, Any] = {"needs_disk": True, "unprivileged": True}
FAULTS = {
    "none": Fault(),
    "disk full": Fault("fill_disk", "clean_disk", needs_disk=True, **_REFUSED),
    "no inodes": Fault("fill_inodes", "clean_disk", needs_disk=True, **_REFUSED),
    "read-only": Fault("lock_journal", "unlock_journal", **_REFUSED, **_AS_NOBODY),
    "no descriptors": Fault("take_descriptors", "give_descriptors", **_REFUSED),
    "no threads": Fault("forbid_threads:1", "allow_threads", **_AS_NOBODY),
    "no memory": Fault("limit_memory:900", "free_memory", refuses=True),
    "clock forward": Fault("clock:250000", "clock:-250000"),
    "clock back": Fault("clock:-250000", "clock:250000"),
}
ABRUPT = ("sigkill", "sigterm", "os_exit")
ORDERLY = ("plain", "exception", "sys_exit", "close:1")
#: The server as a whole, where it is not a list of troubles.
OUTAGES = ("refuses connections", "answers 500", "answers 429", "hangs")


class Life(NamedTuple):
    """
    One process.

    Attributes:
        before: Events before the fault; with none it is there from the start.
        during: Events while it lasts.
        healed: Whether it ends before the process does.
        flush_s: How long the host flushes before its end, if it does.
    """

    fault: str
    before: int
    during: int
    healed: bool
    forks: bool
    flush_s: float | None
    ending: str

    def steps(self) -> list[str]:
        """As ``programs/world.py`` takes them."""
        fault = FAULTS[self.fault]
        fork = "fork:50" if self.forks and (self.healed or not fault.begin) else ""
        flush = f"flush:{self.flush_s}" if self.flush_s is not None else ""
        end = fault.end if self.healed else ""
        steps = [f"track:{self.before}", fault.begin, f"track:{self.during}", end, fork, flush]
        # As almost every host has: a fork in the middle of the first import of `logging` prints.
        logging = "host_imports:logging" if fork else ""
        return [*filter(None, [logging, *steps]), self.ending]

    @property
    def in_memory(self) -> bool:
        """Whether the journal of this process is in memory."""
        return FAULTS[self.fault].no_journal and not self.before


class Scenario(NamedTuple):
    """Everything that goes wrong in one world."""

    dialect: str
    #: Names of `troubles`, one after the other; or one of `OUTAGES`.
    server: tuple[str, ...]
    lives: tuple[Life, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the `World` it needs."""
        disk = any(FAULTS[life.fault].needs_disk for life in self.lives)
        return {"disk_mib": 48 if disk else 0}

    @property
    def reasons(self) -> set[str]:
        """What events may die of."""
        found = {"rejected"} if set(self.server) & set(FINAL) else set()
        for life in self.lives:
            if FAULTS[life.fault].refuses:
                found.add("queue_full")
            if life.in_memory:
                found |= {"closed", "retries_exhausted"}
        return found

    def play(self, world: World, proof: Proof) -> None:
        """Let it happen, heal the world, start once more, and reckon."""
        self._spoil(world)
        lives = [self._live(world, life) for life in self.lives]
        world.heal(self.dialect)
        after = world.recover(self.dialect)
        reckon(world, *lives, after, proof=proof, reasons=self.reasons)
        if not any(life.in_memory for life in self.lives):
            self._audit(world)

    def _spoil(self, world: World) -> None:
        outage = {
            "answers 500": rules.status(500),
            "answers 429": rules.status(429, retry_after="1"),
            "hangs": rules.BLACK_HOLE,
        }
        made = {name: make for name, make in (TRANSIENT | FINAL).items() if name in self.server}
        answers = [answer for name in self.server if name in made for answer in made[name]()]
        always = [rules.Always(outage[name]) for name in self.server if name in outage]
        world.sink.plan(rules.Run(*answers), *always, *polite(self.dialect))
        if "refuses connections" in self.server:
            world.sink.stop()

    def _live(self, world: World, life: Life) -> Finished:
        world.unprivileged = any(FAULTS[one.fault].unprivileged for one in self.lives)
        finished = world.play(self.dialect, *life.steps())
        if life.ending in {"plain", "close:1"}:
            assert finished.at - finished.told("ended_at") < EXIT_TIMEOUT + SLACK_S
        if FAULTS[life.fault].begin:
            world.mend_disk()
        return finished

    def _audit(self, world: World) -> None:
        """The journal's own account, recounted from outside."""
        (found,) = inspect(world.disk)
        assert found.ledger.balanced
        assert found.ledger.accepted == len(world.noted)
        assert found.ledger.pending == 0
        assert found.ledger.delivered <= len(world.sink.accepted)


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """A process whose end does not by itself lose events, by what docs/delivery.md says."""
    name = draw(st.sampled_from(sorted(FAULTS)))
    fault = FAULTS[name]
    before = draw(st.sampled_from([0, 50, 600]))
    kept = bool(before) or not fault.no_journal
    return Life(
        name,
        before,
        during=draw(st.sampled_from([50, 300, 5000])),
        healed=name == "no memory" or draw(st.booleans()),  # the program needs some for its end
        forks=draw(st.booleans()) and kept,
        flush_s=draw(st.sampled_from([None, 0.0, 0.3])),
        ending=draw(st.sampled_from(ABRUPT + ORDERLY if kept else ORDERLY)),
    )


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Any of them; a last word of the server only where its letters can be kept."""
    made = draw(st.lists(lives(), min_size=1, max_size=2))
    healthy = all(life.fault in {"none", "clock back", "clock forward"} for life in made)
    words = sorted(TRANSIENT) + (sorted(FINAL) if healthy else [])
    troubles = st.lists(st.sampled_from(words), max_size=3, unique=True)
    server = draw(troubles | st.sampled_from(OUTAGES).map(lambda name: [name]))
    return Scenario(draw(st.sampled_from(DIALECTS)), tuple(server), tuple(made))
