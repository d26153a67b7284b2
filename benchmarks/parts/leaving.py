"""
How long the end of a program takes with a server that takes and never answers, and what it loses.

From the last line of the main module to the end of the process, as its parent sees it; then the
server answers again and the program is started once more.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import events
from sdks import load

from parts import Bar, Cell, Results, Scale, Table, at_most, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "Exit against a black-holed endpoint (1,000 events; killed after 40 s)"
#: Seconds after which a process counts as hung.
HUNG_S = 40.0
#: Seconds: the exit timeout's default plus what may come on top.
BOUND = 2.05


def cells(sdk: str, scale: Scale) -> Iterator[Cell]:
    """One ending each."""
    options = {"count": scale.of(1000, 100)}
    # A second or two of it are the start and the calls.
    yield Cell("leaving", sdk, "exit", options, sink="hole", restart=True, limit_s=HUNG_S + 3)


def measure(name: str, url: str, count: int, *, again: bool = False) -> dict[str, Any]:
    """Track and leave; *again*: deliver what the first run left, if it left anything."""
    sdk = load(name, url)
    if again:
        sdk.drain(30)
        return {}
    for number in range(count):
        sdk.track(*sdk.shape(events.full(number)))
    time.sleep(0.3)  # a request is in flight: the worst moment
    return {"sent": count}


def table(results: Results) -> Table:
    """A row per SDK."""
    rows = []
    for sdk in results.sdks():
        lost = "-" if sdk == "null" else shown(results.worst(sdk, "exit", "lost"))
        took = results.worst(sdk, "exit", "exit_s") or 0.0
        rows.append([sdk, f"hung (> {HUNG_S:.0f})" if took >= HUNG_S else shown(took), lost])
    return Table(["SDK", "seconds", "lost after a restart"], rows)


def bars(results: Results) -> list[Bar]:
    """Design, section 10; the interpreter's own end is taken off."""
    ours, idle = (results.worst(sdk, "exit", "exit_s") for sdk in ("penstock", "null"))
    took = ours - (idle or 0.0) if ours is not None else None
    return [
        *at_most("exit with a black-holed endpoint", BOUND, took, "s"),
        *at_most("lost at that exit", 0, results.worst("penstock", "exit", "lost"), "events"),
    ]
