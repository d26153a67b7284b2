"""
Events per second from the first call to the last answer, and the processor time of it all.

No event may be dropped: the caller waits while an SDK's bounded queue is four fifths full. User
and system time of the whole client process, the building of the events included (see null).
"""

from __future__ import annotations

import resource
import time
from typing import TYPE_CHECKING, Any

import events
from sdks import PEERS, load

from parts import Bar, Cell, Results, Scale, Table, at_least, at_most, shown, times_better
from parts.capture import HIGH_WATER

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "Delivered events per second, and processor seconds per million delivered events"
VARIANTS = ("plain", "gzip")


def cells(sdk: str, scale: Scale) -> Iterator[Cell]:
    """Both wire settings, whatever the SDK's default."""
    count = scale.of(300_000 if sdk in ("null", "penstock") else 20_000, 500)
    for variant in VARIANTS[: 1 if sdk == "null" else 2]:
        yield Cell("throughput", sdk, variant, {"count": count, "gzip": variant == "gzip"})


def measure(name: str, url: str, count: int, *, gzip: bool) -> dict[str, Any]:
    """Deliver *count* events after a warm-up that loads the sender."""
    sdk = load(name, url, gzip=gzip)
    for number in range(500):
        sdk.track(*sdk.shape(events.full(events.WARM_UP + number)))
    sdk.drain(60)
    busy, began = _processor_s(), time.perf_counter()
    for number in range(count):
        sdk.track(*sdk.shape(events.full(number)))
        if not number % 100:
            while sdk.backlog() > HIGH_WATER:
                time.sleep(0.001)
    called = time.perf_counter() - began
    sdk.drain(120)
    took, busy = time.perf_counter() - began, _processor_s() - busy
    return {
        "per_second": count / took,
        "cpu_s_per_million": busy / count * 1e6,
        "called_s": called,
        "sent": count,
    }


def _processor_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def table(results: Results) -> Table:
    """A row per SDK."""
    header = ["SDK"]
    for variant in VARIANTS:
        header += [f"{variant} events/s", f"{variant} CPU s/1M", f"{variant} lost"]
    rows = []
    for sdk in results.sdks():
        row = [sdk]
        for variant in VARIANTS:
            row.append(shown(results.median(sdk, variant, "per_second")))
            row.append(shown(results.median(sdk, variant, "cpu_s_per_million")))
            lost = results.worst(sdk, variant, "lost")
            row.append("-" if sdk == "null" or lost is None else f"{lost:.0f}")
        rows.append(row)
    return Table(header, rows)


def bars(results: Results) -> list[Bar]:
    """Design, section 10, and the first issue's factor of 12."""
    found: list[Bar] = []
    for variant in VARIANTS:
        ours = results.median("penstock", variant, "cpu_s_per_million")
        cpu = (results.median(sdk, variant, "cpu_s_per_million") for sdk in PEERS)
        theirs = [seconds for seconds in cpu if seconds]
        found += at_most(f"CPU per million delivered, {variant}", 7, ours, "s")
        found += times_better(f"CPU against the cheapest official SDK, {variant}", 12, ours, theirs)
        rate = results.median("penstock", variant, "per_second")
        found += at_least(f"delivered per second, {variant}", 150_000, rate, "events/s")
        found += at_most(
            f"lost, {variant}", 0, results.worst("penstock", variant, "lost"), "events"
        )
    return found
