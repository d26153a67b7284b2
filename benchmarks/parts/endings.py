"""The rows of the loss matrix: what happens to the server, and how the program ends."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from parts import tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from sdks import Sdk

    Track = Callable[[int], None]

#: Seconds a flush may take where a flush is part of the case.
_FLUSH_S = 20.0


class Case(NamedTuple):
    """One row."""

    about: str
    events: int
    #: Called with the SDK, a function that tracks the event of a number, how many, and the seconds
    #: they are spread over; returns what the process says at its end, if it still can.
    end: Callable[[Sdk, Track, int, float], dict[str, Any]]
    sink: dict[str, Any] | None = None
    #: Seconds after which the sink recovers.
    outage_s: int = 0
    #: Seconds the tracking is spread over.
    lasts_s: int = 0
    #: It mostly waits.
    patient: bool = False


def _tracked(track: Track, count: int, lasts_s: float = 0.0) -> dict[str, Any]:
    """All of them, told before anything can go wrong."""
    start = time.monotonic()
    for number in range(count):
        if lasts_s:
            time.sleep(max(0.0, start + lasts_s * number / count - time.monotonic()))
        track(number)
    result = {"sent": count}
    tell(result)
    return result


def _killed(_sdk: Sdk, track: Track, count: int, _lasts_s: float) -> dict[str, Any]:
    _tracked(track, count)
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def _terminated(_sdk: Sdk, track: Track, count: int, _lasts_s: float) -> dict[str, Any]:
    _tracked(track, count)
    os.kill(os.getpid(), signal.SIGTERM)
    return {}


def _gone(_sdk: Sdk, track: Track, count: int, _lasts_s: float) -> dict[str, Any]:
    _tracked(track, count)
    os._exit(0)


def _returned(_sdk: Sdk, track: Track, count: int, _lasts_s: float) -> dict[str, Any]:
    return _tracked(track, count) | {"leaves": True}


def _left(_sdk: Sdk, track: Track, count: int, _lasts_s: float) -> dict[str, Any]:
    _tracked(track, count)
    sys.exit(3)


def _raised(_sdk: Sdk, track: Track, count: int, _lasts_s: float) -> dict[str, Any]:
    _tracked(track, count)
    raise RuntimeError("as a program has them")


def _flushed(sdk: Sdk, track: Track, count: int, lasts_s: float) -> dict[str, Any]:
    result = _tracked(track, count, lasts_s)
    sdk.drain(_FLUSH_S)
    return result


def _forked(sdk: Sdk, track: Track, count: int, _lasts_s: float) -> dict[str, Any]:
    """Ten events in the parent, the rest in a child that flushes and leaves without cleaning up."""
    for number in range(10):
        track(number)
    sdk.drain(_FLUSH_S)
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # some flushes never return there
        for number in range(10, count):
            track(number)
        sdk.drain(_FLUSH_S)
        os._exit(0)
    os.waitpid(child, 0)
    return {"sent": count, "leaves": True}


#: ``{name: case}`` in the order of the page.
CASES = {
    "sigkill": Case("1,010 events, then SIGKILL", 1010, _killed),
    "sigterm": Case("1,010 events, then SIGTERM", 1010, _terminated),
    "os._exit": Case("1,010 events, then `os._exit(0)`", 1010, _gone),
    "exit": Case("1,010 events, main returns", 1010, _returned),
    "sysexit": Case("1,010 events, `sys.exit(3)`", 1010, _left),
    "exception": Case("1,010 events, uncaught exception", 1010, _raised),
    "fork": Case("client made, fork, 300 events in the child", 310, _forked, patient=True),
    "outage": Case(
        "server down 16 s, 500 events over 10 s, flush", 500, _flushed, {"refusing": True}, 16, 10,
        patient=True,
    ),
    "500s": Case(
        "300 events, three 500s, then 200", 300, _flushed, {"first": [{"status": 500}] * 3},
        patient=True,
    ),
    "429": Case(
        "300 events, one 429 with Retry-After: 2", 300, _flushed,
        {"first": [{"status": 429, "headers": {"Retry-After": "2"}}]}, patient=True,
    ),
    "burst": Case("50,000 events flat out, flush", 50_000, _flushed),
    "restart": Case(
        "server down, 100 events, main returns; it is up at the next start", 100, _returned,
        {"refusing": True}, patient=True,
    ),
}  # fmt: skip
