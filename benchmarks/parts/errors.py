"""
What `capture_exception` costs the caller's thread: a stack of 30 calls, source context and all.

An error is raised and captured, and only the capture is timed. First: the first one of a process,
with everything that is imported and read for it. Chain: three causes of ten calls each. The peer
is PostHog's SDK, whose call is timed the same way.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from parts import Bar, Cell, Results, Scale, Table, at_most, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TITLE = "8. Cost of capturing an error (µs on the caller's thread)"
#: Calls of the stack.
DEPTH = 30
VARIANTS = ("stack", "chain", "variables")
FIELDS = ("p50", "p99", "max")


def cells(sdk: str, scale: Scale) -> Iterator[Cell]:
    """A stack, a chain and a stack with variables; the peer has the stack only."""
    count = scale.of(2000, 20)
    if sdk == "penstock":
        for variant in VARIANTS:
            yield Cell("errors", sdk, variant, {"count": count, "variant": variant})
    elif sdk == "posthog":
        yield Cell("errors", sdk, "stack", {"count": count, "variant": "stack"})


def measure(name: str, url: str, count: int, *, variant: str) -> dict[str, Any]:
    """Percentiles over *count* captures, each of another exception."""
    capture, drain = CLIENTS[name](url, variant)
    fall = _fall_chained if variant == "chain" else _fall
    times = [_timed(capture, fall) for _ in range(count + 1)]
    first, *times = times
    drain()
    times.sort()
    micros = [times[min(int(count * q), count - 1)] / 1000 for q in (0.5, 0.99, 1.0)]
    return dict(zip(FIELDS, micros, strict=True)) | {"first": first / 1000}


def _penstock(url: str, variant: str) -> tuple[Callable[[BaseException], Any], Callable[[], Any]]:
    from penstock import Client, Config, ErrorTracking, PostHog

    tracking = ErrorTracking(local_variables=variant == "variables")
    client = Client(PostHog("phc_bench", url), config=Config(error_tracking=tracking))
    return client.capture_exception, lambda: client.flush(timeout=30)


def _posthog(url: str, _: str) -> tuple[Callable[[BaseException], Any], Callable[[], Any]]:
    import posthog

    client = posthog.Posthog("phc_bench", host=url, max_queue_size=100_000)
    return client.capture_exception, client.flush


CLIENTS = {"penstock": _penstock, "posthog": _posthog}


def _timed(capture: Callable[[BaseException], Any], fall: Callable[[int], None]) -> int:
    try:
        fall(DEPTH - 1)
    except LookupError as error:
        began = time.perf_counter_ns()
        capture(error)
        return time.perf_counter_ns() - began
    return 0


def _fall(depth: int) -> None:
    """Fall at the end of *depth* calls, no two of them in one place after the other."""
    if depth <= 1:
        order = {"id": 7, "items": ["A-1", "A-2"], "total": 99.5}
        raise LookupError(f"no stock for order {order['id']}")
    _go_on(depth - 1)


def _go_on(depth: int) -> None:
    if depth <= 1:
        raise LookupError("no stock")
    _fall(depth - 1)


def _fall_chained(_: int) -> None:
    try:
        try:
            _fall(10)
        except LookupError:
            _fall(10)
    except LookupError as error:
        raise LookupError("no order") from error


def tables(results: Results) -> Iterator[Table]:
    """A row per SDK and kind of error."""
    rows = []
    for sdk, variant in results.runs:
        row = [sdk, variant]
        row += [shown(results.median(sdk, variant, field)) for field in (*FIELDS, "first")]
        rows.append([*row, results.spread(sdk, variant, "p50"), results.noise(sdk)])
    yield Table(["SDK", "error", *FIELDS, "the first", "spread", "noise"], rows)


def bars(results: Results) -> list[Bar]:
    """A stack of 30 calls costs at most a millisecond."""
    p50 = results.median("penstock", "stack", "p50")
    return at_most("capture_exception, 30 calls, p50", 1, p50 and p50 / 1000, "ms")
