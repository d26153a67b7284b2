"""The matrix of `make proof`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import proving

if TYPE_CHECKING:
    import pytest


def report(*rows: tuple[object, ...], failed: bool = False) -> pytest.TestReport:
    return SimpleNamespace(  # type: ignore[return-value]
        user_properties=[("other", 1), *((proving.PROPERTY, row) for row in rows)], failed=failed
    )


def test_cases_are_summed_and_a_failure_shows() -> None:
    """Two tests of one case are one line; one that failed makes the line a failure."""
    lines = list(
        proving.matrix(
            [
                report(("death", "kill", 2, 1000, 0, 3)),
                report(("death", "kill", 1, 500, 1, 0), failed=True),
                report(("values", "fuzz", 9, 9, 0, 0)),
            ]
        )
    )
    assert [line.split() for line in lines[1:]] == [
        ["death", "kill", "3", "1,500", "1", "3", "FAILED"],
        ["values", "fuzz", "9", "9", "0", "0", "holds"],
    ]


def test_a_test_that_ends_early_has_told_what_it_tried() -> None:
    """Every record hands over the sum so far."""
    kept: list[proving.Trial] = []
    proof = proving.Proof("death", "kill", kept.append)
    proof.record(events=5)
    proof.record(trials=2, lost=1, repeated=4)
    assert kept[0] == ("death", "kill", 1, 5, 0, 0)
    assert kept[1] == ("death", "kill", 3, 5, 1, 4)
