"""Holding a loop to a rate."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(?:/([smh]))?")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
#: Sleeps shorter than this cost more than they wait; the loop runs ahead by as much instead.
_GRAIN_S = 0.02


def rate_from(text: str) -> float:
    """
    Rows per second from ``500``, ``500/s``, ``30000/m`` (a minute) or ``100000/h``.

    Raises:
        ValueError: It is none of these, or zero.
    """
    match = _RATE.fullmatch(text.strip())
    rate = float(match[1]) / _SECONDS[match[2] or "s"] if match else 0.0
    if not rate:
        raise ValueError(f"{text!r} is not a rate such as 500/s, 30000/m or 100000/h")
    return rate


class Pace:
    """
    Lets `wait` return at most *rate* times a second.

    Time lost (a slow journal, a suspended machine) is not made up for by a burst.

    Args:
        rate: Times per second.
        clock: Seconds, monotonic.
        sleep: Waits for that many seconds.
    """

    def __init__(
        self,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._step = 1.0 / rate
        self._clock = clock
        self._sleep = sleep
        self._next = clock()

    def wait(self) -> None:
        """Return when the next turn has come."""
        now = self._clock()
        self._next = max(self._next, now - _GRAIN_S) + self._step
        ahead = self._next - self._step - now
        if ahead > _GRAIN_S or (ahead > 0 and self._step > _GRAIN_S):
            self._sleep(ahead)
