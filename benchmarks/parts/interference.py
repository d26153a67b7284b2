"""
How much slower a busy pure-Python loop runs while it tracks 2,000 events a second.

Stretches with and without tracking alternate in one process, so that a noisy neighbour hits both;
events are built in both. The figure is the median over the pairs; it has the calls in it and what
the SDK's threads take through the GIL.
"""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, Any

import events
from sdks import load

from parts import Bar, Cell, Results, Scale, Table, at_most, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sdks import Sdk

TITLE = "Slowdown of a busy host loop at 2,000 events per second"
RATE = 2000


def cells(sdk: str, scale: Scale) -> Iterator[Cell]:
    """Eight pairs of stretches of two seconds."""
    yield Cell(
        "interference",
        sdk,
        "busy",
        {"pairs": scale.of(8, 2), "stretch_ms": scale.of(2000, 50)},
    )


def measure(name: str, url: str, pairs: int, stretch_ms: int) -> dict[str, Any]:
    """Per cent of the loop's work that is lost."""
    sdk = load(name, url)
    _stretch(sdk, 0.2, tracking=True)
    sdk.drain(30)
    lost = []
    for number in range(pairs):
        order = (False, True) if number % 2 else (True, False)
        work = {}
        for tracking in order:
            work[tracking] = _stretch(sdk, stretch_ms / 1000, tracking=tracking)
            sdk.drain(30)
        lost.append(100 * (1 - work[True] / work[False]))
    return {"percent": median(lost), "least": min(lost), "most": max(lost)}


def _stretch(sdk: Sdk, seconds: float, *, tracking: bool) -> float:
    """Units of work per second."""
    began = time.perf_counter()
    end, due, number, units = began + seconds, began, 0, 0
    while (now := time.perf_counter()) < end:
        if now >= due:
            due += 1 / RATE
            number += 1
            arguments = sdk.shape(events.full(number))
            if tracking:
                sdk.track(*arguments)
        _work()
        units += 1
    return units / (time.perf_counter() - began)


def _work() -> int:
    """Some 20 µs of what host programs do."""
    total = 0
    for number in range(300):
        total += number * number
    return total


def table(results: Results) -> Table:
    """A row per SDK."""
    keys = ("percent", "least", "most")
    rows = [
        [sdk, *(shown(results.median(sdk, "busy", key)) for key in keys)] for sdk in results.sdks()
    ]
    return Table(["SDK", "slowdown %", "least", "most"], rows)


def bars(results: Results) -> list[Bar]:
    """Design, section 10."""
    percent = results.median("penstock", "busy", "percent")
    return at_most("slowdown of a busy loop at 2,000 events/s", 2, percent, "%")
