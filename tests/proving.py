"""
The matrix of `make proof`: which promise was tried, how often, and what came of it.

A test says what it proves with ``@pytest.mark.proves(promise, case)`` and tells the `proof`
fixture what it tried. The same tests run in `make test` on a smaller scale.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pytest

T = TypeVar("T")

#: Whether this is `make proof`, where everything is tried in full.
FULL = os.environ.get("PENSTOCK_PROOF") == "full"
#: Under which a report carries its `Trial`.
PROPERTY = "proof"
_HEAD = ("promise", "case", "trials", "events", "lost", "repeated", "")


def scale(quick: T, full: T) -> T:
    """*full* in `make proof`, *quick* in `make test`."""
    return full if FULL else quick


def is_wanted(wanted: str, markers: Iterable[pytest.Mark]) -> bool:
    """
    Whether ``--proves`` asks for a test.

    Args:
        wanted: ``promise``, or ``promise: a part of the case``.
        markers: Its ``proves`` markers.
    """
    promise, _, part = (word.strip() for word in wanted.partition(":"))
    return any(mark.args[0] == promise and part in mark.args[1] for mark in markers)


class Trial(NamedTuple):
    """What one test tried. Plain values, since it may come from another process."""

    promise: str
    case: str
    #: How often: kills, generated examples, processes, whatever the case counts.
    trials: int = 0
    #: How many events were accepted in all trials.
    events: int = 0
    #: Accepted and neither delivered, nor pending, nor dead for a stated reason.
    lost: int = 0
    #: Delivered more than once, under the same id.
    repeated: int = 0


class Proof:
    """
    The `proof` fixture: counts what its test tried.

    Args:
        promise: Of the guarantee page.
        case: What is done to the library.
        keep: Called with each new sum, so that a test that fails half-way is counted too.
    """

    def __init__(self, promise: str, case: str, keep: Callable[[Trial], None]) -> None:
        self._sum = Trial(promise, case)
        self._keep = keep

    def record(self, *, trials: int = 1, events: int = 0, lost: int = 0, repeated: int = 0) -> None:
        """Add to the counts; what they mean is told by `Trial`."""
        before = self._sum
        self._sum = before._replace(
            trials=before.trials + trials,
            events=before.events + events,
            lost=before.lost + lost,
            repeated=before.repeated + repeated,
        )
        self._keep(self._sum)


def matrix(reports: Iterable[pytest.TestReport]) -> Iterator[str]:
    """The lines of the table: one for each promise and case, in the order of the tests."""
    rows = [_HEAD, *(_cells(trial, verdict) for trial, verdict in _sums(reports))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    for row in rows:
        words = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        numbers = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        yield "  ".join([*words, *numbers]).rstrip()


def _sums(reports: Iterable[pytest.TestReport]) -> Iterator[tuple[Trial, str]]:
    """Parametrised tests of one case are one line."""
    tried: dict[tuple[str, str], list[Trial]] = defaultdict(list)
    failed: set[tuple[str, str]] = set()
    for report in reports:
        for trial in (Trial(*value) for name, value in report.user_properties if name == PROPERTY):
            tried[trial[:2]].append(trial)
            if report.failed:
                failed.add(trial[:2])
    for place, trials in tried.items():
        yield (
            Trial(*place, *map(sum, zip(*(t[2:] for t in trials), strict=True))),
            ("FAILED" if place in failed else "holds"),
        )


def _cells(trial: Trial, verdict: str) -> tuple[str, ...]:
    return (trial.promise, trial.case, *(f"{number:,}" for number in trial[2:]), verdict)
