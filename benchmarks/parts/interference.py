"""
What 2,000 events a second cost the program that tracks them.

Left: how much slower a busy pure-Python loop runs. Stretches with and without tracking alternate in
one process, so that a noisy neighbour hits both; events are built in both. The figure is the median
over the pairs; "in track()" is the call itself, the rest is what the SDK's threads take through the
GIL. Right: asyncio handlers on an open-loop schedule, 500 a second, with some 0.1 ms of Python and
four events each; latency from the intended start, so that a late start counts.
"""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import TYPE_CHECKING, Any

import events
from sdks import load

from parts import Bar, Cell, Results, Scale, Table, at_most, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sdks import Sdk

TITLE = "5. Interference with the host at 2,000 events per second"
RATE = 2000
#: Handlers a second, and events in each.
HANDLERS, EVENTS = 500, 4
_QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def cells(sdk: str, scale: Scale) -> Iterator[Cell]:
    """Five pairs of stretches of a second; three seconds of handlers."""
    busy = {"pairs": scale.of(5, 2), "stretch_ms": scale.of(1000, 50)}
    yield Cell("interference", sdk, "busy", busy)
    yield Cell("interference", sdk, "asyncio", {"handlers": scale.of(1500, 50)})


def measure(
    name: str, url: str, pairs: int = 0, stretch_ms: int = 0, handlers: int = 0
) -> dict[str, Any]:
    """One of the two."""
    sdk = load(name, url)
    _stretch(sdk, 0.2, tracking=True)
    sdk.drain(30)
    return _handled(sdk, handlers) if handlers else _slowed(sdk, pairs, stretch_ms)


def _slowed(sdk: Sdk, pairs: int, stretch_ms: int) -> dict[str, Any]:
    """Per cent of the loop's work that is lost."""
    lost, called = [], []
    for number in range(pairs):
        work = {}
        for tracking in (False, True) if number % 2 else (True, False):
            work[tracking], in_call = _stretch(sdk, stretch_ms / 1000, tracking=tracking)
            if tracking:
                called.append(100 * in_call)
            sdk.drain(30)
        lost.append(100 * (1 - work[True] / work[False]))
    return {"percent": median(lost), "least": min(lost), "most": max(lost), "in": median(called)}


def _stretch(sdk: Sdk, seconds: float, *, tracking: bool) -> tuple[float, float]:
    """Units of work per second, and the share of the time that was spent in calls."""
    clock = time.perf_counter
    began = clock()
    end, due, number, units, in_call = began + seconds, began, 0, 0, 0.0
    while (now := clock()) < end:
        if now >= due:
            due += 1 / RATE
            number += 1
            arguments = sdk.shape(events.full(number))
            called = clock()
            if tracking:
                sdk.track(*arguments)
            in_call += clock() - called
        _work()
        units += 1
    lasted = clock() - began
    return units / lasted, in_call / lasted


def _work(rounds: int = 300) -> int:
    """Some 20 µs of what host programs do."""
    total = 0
    for number in range(rounds):
        total += number * number
    return total


def _handled(sdk: Sdk, handlers: int) -> dict[str, Any]:
    """Percentiles of the handlers' latency in ms."""
    latencies = sorted(asyncio.run(_open_loop(sdk, handlers)))
    last = handlers - 1
    return {key: latencies[min(int(handlers * q), last)] for key, q in _QUANTILES.items()}


async def _open_loop(sdk: Sdk, handlers: int) -> list[float]:
    """A handler is due every 2 ms, whatever became of the one before."""
    latencies: list[float] = []

    async def handle(number: int, due: float) -> None:
        _work(700)
        for event in range(EVENTS):
            sdk.track(*sdk.shape(events.full(number * EVENTS + event)))
        await asyncio.sleep(0)  # where a real one waits for its database
        _work(700)
        latencies.append(1000 * (time.monotonic() - due))

    start = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(handlers):
            due = start + number / HANDLERS
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            group.create_task(handle(number, due))
    return latencies


def tables(results: Results) -> Iterator[Table]:
    """A row per SDK."""
    header = ["SDK", "slowdown %", "least", "most", "in track() %", "rest %"]
    header += [f"handler {key} ms" for key in _QUANTILES]
    yield Table([*header, "noise"], [_row(results, sdk) for sdk in results.sdks()])


def _row(results: Results, sdk: str) -> list[str]:
    keys = ("percent", "least", "most", "in")
    slowed = [results.median(sdk, "busy", key) for key in keys]
    row = [sdk, *map(shown, slowed)]
    row.append(shown(slowed[0] - slowed[3]) if slowed[0] is not None and slowed[3] else "-")
    row += [shown(results.median(sdk, "asyncio", key)) for key in ("p50", "p99", "p99.9")]
    return [*row, shown(results.worst(sdk, "asyncio", "max")), results.noise(sdk)]


def bars(results: Results) -> list[Bar]:
    """Design, section 10."""
    percent = results.median("penstock", "busy", "percent")
    return at_most("slowdown of a busy loop at 2,000 events/s", 2, percent, "%")
