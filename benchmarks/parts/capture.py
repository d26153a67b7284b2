"""
What a call costs the caller's thread while the worker delivers.

The event is built outside the timed call. Paced: 1,000 calls a second. Flat out, the caller waits
(untimed) while an SDK's bounded queue is four fifths full: a refusal is cheap and would flatter it.
Other wire: gzip where the SDK sends plain bodies by default, plain where it compresses.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import events
from sdks import COMPRESSING, PEERS, UNBOUNDED, load

from parts import Bar, Cell, Results, Scale, Table, at_most, shown, times_better

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sdks import Sdk

TITLE = "1. Cost of a capture call (µs on the caller's thread, harness floor included: see null)"
#: Four fifths of the official SDKs' default queue.
HIGH_WATER = 8000
#: A call that takes longer is one too many.
STALL_NS = 5_000_000
FIELDS = ("p50", "p99", "p99.9", "max")


def cells(sdk: str, scale: Scale) -> Iterator[Cell]:
    """Paced and flat out with the full event, flat out with the small one and on the other wire."""
    flat = scale.of(150_000 if sdk in UNBOUNDED else 20_000, 300)
    paced = scale.of(3000, 100)
    yield Cell("capture", sdk, "paced", {"count": paced, "per_second": 1000})
    yield Cell("capture", sdk, "flat", {"count": flat})
    yield Cell("capture", sdk, "small", {"count": flat, "kind": "small"})
    if sdk != "null":
        yield Cell("capture", sdk, "other", {"count": flat // 2, "gzip": sdk not in COMPRESSING})


def measure(
    name: str,
    url: str,
    count: int,
    *,
    kind: str = "full",
    per_second: float = 0.0,
    gzip: bool | None = None,
) -> dict[str, Any]:
    """Percentiles over *count* calls, the sender being warm and at work."""
    sdk = load(name, url, gzip=gzip)
    build = events.KINDS[kind]
    for number in range(500):
        sdk.track(*sdk.shape(build(events.WARM_UP + number)))
    sdk.drain(30)
    times = _paced(sdk, build, count, per_second) if per_second else _flat(sdk, build, count)
    dropped = sdk.dropped()
    times.sort()
    micros = [times[min(int(count * q), count - 1)] / 1000 for q in (0.5, 0.99, 0.999, 1.0)]
    return dict(zip(FIELDS, micros, strict=True)) | {
        "mean": sum(times) / count / 1000,
        "stalls": sum(t > STALL_NS for t in times),
        "dropped": dropped,
    }


def _flat(sdk: Sdk, build: Any, count: int) -> list[int]:
    track, shape, clock = sdk.track, sdk.shape, time.perf_counter_ns
    times = []
    for number in range(count):
        arguments = shape(build(number))
        began = clock()
        track(*arguments)
        times.append(clock() - began)
        if not number % 100:
            _wait_for_room(sdk)
    return times


def _paced(sdk: Sdk, build: Any, count: int, per_second: float) -> list[int]:
    track, shape, clock = sdk.track, sdk.shape, time.perf_counter_ns
    times = []
    start = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, start + number / per_second - time.monotonic()))
        arguments = shape(build(number))
        began = clock()
        track(*arguments)
        times.append(clock() - began)
    return times


def _wait_for_room(sdk: Sdk) -> None:
    while sdk.backlog() > HIGH_WATER:
        time.sleep(0.001)


def tables(results: Results) -> Iterator[Table]:
    """A row per SDK."""
    header = ["SDK"]
    header += [f"{variant} {f}" for variant in ("paced", "flat") for f in FIELDS]
    header += ["flat mean", "calls > 5 ms", "small p50", "small mean", "other wire mean"]
    rows = [_row(results, sdk) for sdk in results.sdks()]
    yield Table([*header, "spread", "noise"], rows)


def _row(results: Results, sdk: str) -> list[str]:
    row = [sdk]
    for variant in ("paced", "flat"):
        row += [shown(results.median(sdk, variant, f)) for f in FIELDS[:3]]
        row.append(shown(results.worst(sdk, variant, "max")))
    row.append(shown(results.median(sdk, "flat", "mean")))
    row.append(shown(results.worst(sdk, "flat", "stalls")))
    row += [shown(results.median(sdk, "small", f)) for f in ("p50", "mean")]
    row.append(shown(results.median(sdk, "other", "mean")))
    return [*row, results.spread(sdk, "flat", "p50"), results.noise(sdk)]


def bars(results: Results) -> list[Bar]:
    """Design, section 10."""
    ours = results.median("penstock", "flat", "p50")
    theirs = [p for sdk in PEERS if (p := results.median(sdk, "flat", "p50"))]
    worst = results.worst("penstock", "flat", "max")
    return [
        *at_most("durable capture, full event, p50", 3, ours, "µs"),
        *at_most(
            "durable capture, full event, p99", 10, results.median("penstock", "flat", "p99"), "µs"
        ),
        *at_most("durable capture, slowest call", 5, worst and worst / 1000, "ms"),
        *times_better("capture p50 against the fastest official SDK", 15, ours, theirs),
    ]
