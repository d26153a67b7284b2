"""
How long the end of a program takes with a server that is dead, and what it loses.

From the last line of the main module to the end of the process, as its parent sees it; then the
server answers again and the program is started once more: what comes then was not lost. Black hole:
it takes and never answers. Refused: nobody listens. 2 s: it answers each request after that long.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import events
from sdks import UNBOUNDED, load

from parts import Bar, Cell, Results, Scale, Table, at_most, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds after which a process counts as hung.
HUNG_S = 30.0
TITLE = f"6. Exit against a dead server (1,000 events; killed after {HUNG_S:.0f} s)"
#: Seconds: the exit timeout's default plus what may come on top.
BOUND = 2.05
SINKS: dict[str, dict[str, Any]] = {
    "black hole": {"hole": True},
    "refused": {"refusing": True},
    "2 s": {"delay_s": 2.0},
}


def cells(sdk: str, scale: Scale) -> Iterator[Cell]:
    """One ending against each; ours are not disturbed, the others may wait side by side."""
    for variant, sink in SINKS.items():
        options = {"count": scale.of(1000, 100)}
        # A second or two of the limit are the start and the calls.
        limit, patient = HUNG_S + 3, sdk not in UNBOUNDED
        yield Cell(
            "leaving", sdk, variant, options, sink, restart=True, limit_s=limit, patient=patient
        )


def measure(name: str, url: str, count: int, *, again: bool = False) -> dict[str, Any]:
    """Track and leave; *again*: deliver what the first run left, if it left anything."""
    sdk = load(name, url)
    if again:
        sdk.drain(30)
        return {}
    for number in range(count):
        sdk.track(*sdk.shape(events.full(number)))
    time.sleep(0.3)  # a request is in flight: the worst moment
    return {"sent": count, "leaves": True}


def tables(results: Results) -> Iterator[Table]:
    """A row per SDK."""
    header = ["SDK"]
    for variant in SINKS:
        header += [f"{variant}: seconds", "lost after a restart"]
    yield Table(header, [_row(results, sdk) for sdk in results.sdks()])


def _row(results: Results, sdk: str) -> list[str]:
    row = [sdk]
    for variant in SINKS:
        took = shown(results.worst(sdk, variant, "exit_s"))
        row.append("hung" if results.worst(sdk, variant, "hung") else took)
        lost = shown(results.worst(sdk, variant, "lost"))
        row.append("-" if sdk == "null" else lost)
    return row


def bars(results: Results) -> list[Bar]:
    """Design, section 10; the interpreter's own end is taken off."""
    found: list[Bar] = []
    for variant in SINKS:
        ours, idle = (results.worst(sdk, variant, "exit_s") for sdk in ("penstock", "null"))
        took = ours - (idle or 0.0) if ours is not None else None
        lost = results.worst("penstock", variant, "lost")
        found += at_most(f"exit, server dead ({variant})", BOUND, took, "s")
        found += at_most(f"lost at that exit ({variant})", 0, lost, "events")
    return found
