"""
Growth of the process while events are handed over to a server that takes and never answers.

Queues are raised to hold everything where they can be. The peak counts, mapped files included.
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

TITLE = "Memory of queued events while the server is down"


def cells(sdk: str, scale: Scale) -> Iterator[Cell]:
    """100,000 events."""
    count = scale.of(100_000, 500)
    yield Cell("memory", sdk, "held", {"count": count}, sink="hole")


def measure(name: str, url: str, count: int) -> dict[str, Any]:
    """MiB from the idle client to the peak; the events themselves are dropped by the caller."""
    sdk = load(name, url, queue=2 * count)
    idle = _resident_kib("VmRSS")
    for number in range(count):
        sdk.track(*sdk.shape(events.full(number)))
    time.sleep(0.5)  # let the sender take what it takes
    grown = _resident_kib("VmHWM") - idle
    return {
        "idle_mib": idle / 1024,
        "growth_mib": grown / 1024,
        "bytes_per_event": grown * 1024 / count,
    }


def _resident_kib(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise LookupError(field)


def table(results: Results) -> Table:
    """A row per SDK."""
    keys = ("idle_mib", "growth_mib", "bytes_per_event")
    rows = [
        [sdk, *(shown(results.median(sdk, "held", key)) for key in keys)] for sdk in results.sdks()
    ]
    return Table(["SDK", "idle MiB", "growth MiB", "bytes per queued event"], rows)


def bars(results: Results) -> list[Bar]:
    """Design, section 10."""
    grown = results.median("penstock", "held", "growth_mib")
    return at_most("growth with 100,000 queued events", 64, grown, "MiB")
