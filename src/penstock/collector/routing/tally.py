"""What became of the requests of an outbox, counted."""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING

from penstock.collector.routing.attempts import DEAD, DELIVERED, RETRY

if TYPE_CHECKING:
    from penstock.delivery._job import Job
    from penstock.delivery._outcome import Resolution

#: The request was refused as a whole, and its events are sent again in halves.
SPLIT = "split"
#: In place of a status: there was no answer.
NO_ANSWER = "none"


class Tally:
    """Counts requests by what became of them; several threads may."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def note(self, _job: Job, resolution: Resolution, status: int | None) -> None:
        """Count one request, by the worst that happened to any of its events."""
        answered = NO_ANSWER if status is None else str(status)
        with self._guard:
            self._counts[_outcome(resolution), answered] += 1

    @property
    def counts(self) -> list[tuple[str, str, int]]:
        """Requests so far, as ``(outcome, status, requests)``."""
        with self._guard:
            return [(*kind, count) for kind, count in self._counts.items()]


def _outcome(resolution: Resolution) -> str:
    if resolution.deaths:
        return DEAD
    if resolution.split:
        return SPLIT
    return RETRY if resolution.retry else DELIVERED
