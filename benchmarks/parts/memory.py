"""
Growth of the process while events are handed over to a server that takes and never answers.

Queues are raised to hold everything where they can be. The peak counts, mapped files included.
Burst: 50,000 events flat out on defaults, the server answering.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import events
from sdks import load

from parts import Bar, Cell, Results, Scale, Table, at_most, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "3. Memory of queued events"


def cells(sdk: str, scale: Scale) -> Iterator[Cell]:
    """100,000 events that wait, 50,000 that come at once."""
    held = {"count": scale.of(100_000, 500), "burst": False}
    yield Cell("memory", sdk, "held", held, sink={"hole": True})
    yield Cell("memory", sdk, "burst", {"count": scale.of(50_000, 500), "burst": True})


def measure(name: str, url: str, count: int, *, burst: bool) -> dict[str, Any]:
    """MiB from the idle client to the peak; the events themselves are dropped by the caller."""
    sdk = load(name, url) if burst else load(name, url, queue=2 * count)
    idle = _resident_kib("VmRSS")
    for number in range(count):
        sdk.track(*sdk.shape(events.full(number)))
    if burst:
        sdk.drain(60)
    else:
        time.sleep(0.5)  # let the sender take what it takes
    grown = _resident_kib("VmHWM") - idle
    found = {
        "idle_mib": idle / 1024,
        "growth_mib": grown / 1024,
        "bytes_per_event": grown * 1024 / count,
    }
    return found | ({"sent": count} if burst else {"held": count - sdk.dropped()})


def _resident_kib(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise LookupError(field)


def tables(results: Results) -> Iterator[Table]:
    """A row per SDK."""
    header = ["SDK", "held", "idle MiB", "growth MiB", "bytes per queued event", "spread"]
    rows = []
    for sdk in results.sdks():
        keys = ("held", "idle_mib", "growth_mib", "bytes_per_event")
        row = [sdk, *(shown(results.median(sdk, "held", key)) for key in keys)]
        row.append(results.spread(sdk, "held", "growth_mib"))
        burst = [results.median(sdk, "burst", "growth_mib"), results.worst(sdk, "burst", "lost")]
        rows.append([*row, shown(burst[0]), "-" if sdk == "null" else shown(burst[1])])
    yield Table([*header, "burst growth MiB", "burst lost"], rows)


def bars(results: Results) -> list[Bar]:
    """Design, section 10."""
    held = results.median("penstock", "held", "growth_mib")
    burst = results.worst("penstock", "burst", "growth_mib")
    lost = results.worst("penstock", "burst", "lost")
    return [
        *at_most("growth with 100,000 queued events", 64, held, "MiB"),
        *at_most("growth in a burst of 50,000 events", 64, burst, "MiB"),
        *at_most("lost of a burst of 50,000 events", 0, lost, "events"),
    ]
