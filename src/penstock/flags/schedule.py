"""
When to look for definitions again, and what an answer means: pure.

What to do with each status is the reference's table (2.3): a key that is refused (401) or a quota
that is used up (402) takes the definitions away, everything else leaves the last good ones. Where
the provider said no (401, 402, 403, 429) the waits double up to a minute, and nobody is heard who
wants a look before that. Where there was no answer, or a 5xx, they begin with a second and double
up to the interval: an outage is often shorter than that.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

#: ``replace``: take the new definitions; ``confirm``: those there are still hold; ``keep``: go on
#: with them without knowing; ``clear``: they must not be used any more.
Action: TypeAlias = Literal["replace", "confirm", "keep", "clear"]

#: An interval is longer or shorter by up to this part of it, so that a thousand processes that
#: were started together do not ask together.
JITTER = 0.1
#: Longest wait after a refusal, in seconds, unless the interval itself is longer.
MAX_BACKOFF_S = 60.0
#: The first wait after a failure that is likely to pass, in seconds.
FIRST_RETRY_S = 1.0
#: Longest ``Retry-After`` that is honoured, in seconds, as for events.
MAX_RETRY_AFTER_S = 300.0

_REFUSALS = {401: "clear", 402: "clear", 403: "keep", 429: "keep"}
_OK, _NOT_MODIFIED = 200, 304
#: Above this many doublings every wait is at its longest.
_MOST_DOUBLINGS = 16


class Verdict(NamedTuple):
    """What an answer to a request for definitions means."""

    action: Action
    #: Whether the provider refused: then nobody may ask again before the wait is over.
    refused: bool
    #: What to call it in a log and in `Flags.trouble`; empty when all is well.
    trouble: str = ""


def verdict(status: int) -> Verdict:
    """What a status means; that of a 200 may yet turn out unreadable."""
    if status == _OK:
        return Verdict("replace", refused=False)
    if status == _NOT_MODIFIED:
        return Verdict("confirm", refused=False)
    if status in _REFUSALS:
        action: Action = "clear" if _REFUSALS[status] == "clear" else "keep"
        return Verdict(action, refused=True, trouble=f"HTTP {status}")
    return Verdict("keep", refused=False, trouble=f"HTTP {status}")


def failure(trouble: str) -> Verdict:
    """No answer, or none that can be read."""
    return Verdict("keep", refused=False, trouble=trouble)


class Schedule:
    """
    The waits between two looks.

    Args:
        interval: Seconds between two looks when all is well; None for one look only.
        uniform: A random number between its arguments.
    """

    def __init__(
        self, interval: float | None, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self.interval = interval
        self.failures = 0
        self._uniform = uniform

    def after(self, found: Verdict, retry_after: float = 0.0) -> float | None:
        """
        Seconds until the next look.

        Args:
            found: What came of this one.
            retry_after: Seconds for which the provider asked to be left alone.

        Returns:
            None when there is no next one. Without an interval a failed look is repeated all
            the same, until one succeeds.
        """
        if found.action in ("replace", "confirm"):
            self.failures = 0
            return None if self.interval is None else self._jittered(self.interval)
        wait = self._refused() if found.refused else self._failed()
        self.failures += 1
        return self._jittered(max(wait, min(retry_after, MAX_RETRY_AFTER_S)))

    def _refused(self) -> float:
        """The first refusal doubles the interval already: the next look would be as early."""
        interval = self.interval or MAX_BACKOFF_S
        doubled: float = interval * 2 ** min(self.failures + 1, _MOST_DOUBLINGS)
        return min(max(MAX_BACKOFF_S, interval), doubled)

    def _failed(self) -> float:
        most = self.interval or MAX_BACKOFF_S
        doubled: float = FIRST_RETRY_S * 2 ** min(self.failures, _MOST_DOUBLINGS)
        return min(most, doubled)

    def _jittered(self, seconds: float) -> float:
        return seconds * self._uniform(1 - JITTER, 1 + JITTER)
