"""
When to try again, and when to leave a destination alone: decided from values.

A failed batch waits by full exponential backoff with jitter. The breaker watches the
destination as a whole: after some failures in a row it opens, and then one request at a time
asks whether the destination is back. Both only ever delay; nothing is given up here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.config import Retry

#: Failures in a row after which a destination counts as down. Fewer would open on one bad
#: keep-alive connection per sender; more would keep four senders hammering.
BREAKER_THRESHOLD = 5
#: A destination that is down is asked at least this often, in seconds: with the journal a
#: longer wait buys nothing and a shorter one is a hammer.
BREAKER_CAP_S = 10.0
#: Rests a batch takes after all attempts of a cycle, in seconds.
CYCLE_PAUSE_S = 30.0
#: Rounds of 451 for one batch.
MAX_REROUTES = 10


def delay_s(retry: Retry, attempt: int, uniform: float, after_s: float | None = None) -> float:
    """
    Seconds to wait after failed attempt number *attempt*, counted from 0.

    Args:
        retry: The settings.
        attempt: 0 after the first try.
        uniform: A random number from 0 to 1.
        after_s: The server's ``Retry-After``; a minimum, clamped.
    """
    if retry.backoff is not None:
        delay = max(0.0, float(retry.backoff(attempt)))
    else:
        delay = (0.5 + uniform / 2) * min(retry.cap, retry.base * 2 ** min(attempt, 40))
    return max(delay, min(after_s or 0.0, retry.after_cap))


class Breaker:
    """
    Closed, open until a moment, or asking: a few numbers, no clock.

    Args:
        retry: Its backoff spaces the questions.
    """

    __slots__ = ("_asked_until", "_asking", "_failures", "_retry", "open_until")

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._failures = 0
        self._asking = False
        #: Nothing may be sent before this moment (monotonic seconds).
        self.open_until = 0.0
        #: The part of it that the server asked for.
        self._asked_until = 0.0

    @property
    def failures(self) -> int:
        """Failures in a row."""
        return self._failures

    def allows(self, now: float) -> bool:
        """Whether a request may start now; when down, one at a time."""
        if now < self.open_until:
            return False
        return self._failures < BREAKER_THRESHOLD or not self._asking

    def started(self) -> None:
        """A request was started."""
        self._asking = self._failures >= BREAKER_THRESHOLD

    def succeeded(self) -> None:
        """The destination answered, whatever it said about the events."""
        self._failures = 0
        self._asking = False

    def failed(self, now: float, uniform: float, after_s: float | None) -> None:
        """No answer, or one that asks to come back later."""
        self._asking = False
        self._failures += 1
        if after_s:
            self._asked_until = now + min(after_s, self._retry.after_cap)
            self.open_until = max(self.open_until, self._asked_until)
        if self._failures >= BREAKER_THRESHOLD:
            wait = delay_s(self._retry, self._failures - BREAKER_THRESHOLD + 1, uniform)
            self.open_until = max(self.open_until, now + min(wait, BREAKER_CAP_S))

    def hurry(self) -> None:
        """Someone waits: ask at once, unless the server named a time."""
        self.open_until = self._asked_until
