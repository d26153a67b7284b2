"""
Ten thousand deaths: real processes, ended at chosen instructions and at random moments.

`deaths.ward` runs them: chains of processes over one journal, each of which is killed in the
middle of its work, until the last one delivers what all have left.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import requirement
from deaths.points import BEGINNINGS, PHASES, ROOT
from proving import scale

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deaths.ward import Ward
    from proving import Proof

pytestmark = [pytest.mark.slow, requirement.FORK]

#: How many deaths of each kind in `make proof`; all together more than ten thousand.
PHASE_DEATHS = {
    "enqueue": 400,
    "append": 600,
    "opening a lane": 500,
    "rotation": 600,
    "reading a batch": 500,
    "sending": 900,
    "between answer and cursor": 900,
    "recovery": 900,
    "retiring a lane": 600,
    "flush and close": 500,
    "fork": 200,
    "start of a forked child": 300,
    "housekeeping": 300,
}
QUICK = 10
ENDINGS = ("SIGTERM", "os._exit", "segmentation fault", "abort", "out of memory")


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """Where processes die, for all tests of this file: its survey takes seconds."""
    from deaths.ward import Ward

    made = Ward(tmp_path_factory.mktemp("deaths"))
    yield made
    made.close()


def prove(ward: Ward, proof: Proof, case: str, full: int, **order: Any) -> None:
    """Let processes die; whatever the account finds is a failure."""
    outcome = ward.until(case, scale(QUICK, full), **order)
    proof.record(
        trials=outcome.deaths.total(),
        events=outcome.events,
        lost=outcome.lost,
        repeated=outcome.repeated,
    )
    assert outcome.wrong == []
    assert outcome.deaths.total() >= scale(QUICK, full)


def case(name: str, *values: object) -> Any:
    """A parameter set that is a line of the matrix."""
    marks = pytest.mark.proves("process death", name)
    return pytest.param(name, *values, marks=marks, id=name)


@pytest.mark.parametrize(("phase", "full"), [case(*item) for item in PHASE_DEATHS.items()])
def test_no_event_is_lost_by_a_death_in_any_phase(
    ward: Ward, proof: Proof, phase: str, full: int
) -> None:
    """SIGKILL before one instruction, chosen among all that the phase executes."""
    prove(ward, proof, phase, full, phases=(phase,))


def test_every_phase_has_its_deaths() -> None:
    """A phase that the points know and nobody dies in would be a gap in the matrix."""
    assert set(PHASE_DEATHS) == set(PHASES)


def test_every_phase_begins_somewhere() -> None:
    """A function that was renamed would leave its phase to the one that calls it."""
    functions: set[str] = set()
    for path in Path(ROOT).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                methods = (one for one in node.body if isinstance(one, ast.FunctionDef))
                functions |= {f"{node.name}.{method.name}" for method in methods}
            elif isinstance(node, ast.FunctionDef):
                functions.add(node.name)
    assert set(BEGINNINGS) - functions == set()


@pytest.mark.proves("process death", "a random moment")
def test_no_event_is_lost_by_a_death_at_a_random_moment(ward: Ward, proof: Proof) -> None:
    """SIGKILL from outside, wherever it hits: in system calls and C code too."""
    prove(ward, proof, "moment", 1200, aims=("moment",))


@pytest.mark.proves("process death", "the middle of a store")
def test_no_event_is_lost_by_a_store_cut_in_two(ward: Ward, proof: Proof) -> None:
    """SIGKILL when a part of a payload or of a cursor is in the file and the rest is not."""
    prove(ward, proof, "store", 500, aims=("store",))


@pytest.mark.proves("process death", "eight threads tracking")
def test_no_event_is_lost_when_eight_threads_die_together(ward: Ward, proof: Proof) -> None:
    """Each of them may be in the middle of a call."""
    prove(ward, proof, "threads", 400, lives=("threads",), aims=("point", "moment"))


@pytest.mark.proves("process death", "a signal handler tracking")
def test_no_event_is_lost_of_a_signal_handler(ward: Ward, proof: Proof) -> None:
    """It tracks in the middle of another call, and the process dies in either."""
    prove(ward, proof, "handlers", 200, lives=("handlers",), aims=("point", "moment", "store"))


@pytest.mark.proves("process death", "two destinations, one down")
def test_no_event_is_lost_when_one_of_two_destinations_is_down(ward: Ward, proof: Proof) -> None:
    """Every process leaves what that one did not take to the last."""
    prove(ward, proof, "down", 400, down=True, aims=("point", "moment"))


@pytest.mark.parametrize("ending", [case(ending) for ending in ENDINGS])
def test_no_event_is_lost_by_another_end(ward: Ward, proof: Proof, ending: str) -> None:
    """The same instructions, ended by what else ends processes."""
    prove(ward, proof, ending, 80, ending=ending)
