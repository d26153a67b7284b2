"""
What a worker counts, as places in its row of the board.

Counting is adding to a float in shared memory, about 0.1 µs; names and labels come in when
somebody asks (`penstock.collector.http.metrics`).
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import count
from typing import TYPE_CHECKING

from penstock.collector.refusal import Reason
from penstock.collector.sources import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.collector.http.board import Numbers

#: The outcome of a request that was not refused.
ACCEPTED = "accepted"
OUTCOMES = (ACCEPTED, *(reason.value for reason in Reason))
#: Upper bounds in seconds of the histogram of flushes; the last bucket has none.
FLUSH_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)

_place = count()
#: ``{(dialect, outcome): place}``
REQUESTS: Mapping[tuple[str, str], int] = {
    (dialect, outcome): next(_place) for dialect in DIALECTS for outcome in OUTCOMES
}
#: ``{dialect: place}`` of events accepted, bad ones included, and of bytes as they came.
EVENTS: Mapping[str, int] = {dialect: next(_place) for dialect in DIALECTS}
BYTES: Mapping[str, int] = {dialect: next(_place) for dialect in DIALECTS}
FLUSHES: tuple[int, ...] = tuple(next(_place) for _ in range(len(FLUSH_BOUNDS) + 1))
FLUSH_SECONDS, FLUSHED, IN_FLIGHT, HELD_BYTES, HEALTHY = (next(_place) for _ in range(5))
#: What the supervisor counts.
WORKER_RESTARTS, PIPELINE_RESTARTS, PIPELINE_UP = (next(_place) for _ in range(3))
#: How many places there are.
PLACES = next(_place)


class Meter:
    """
    The numbers of one process.

    Args:
        row: At least `PLACES` floats.
    """

    def __init__(self, row: Numbers) -> None:
        self._row = row

    def request(self, dialect: str, outcome: str) -> None:
        """Count a request that was answered."""
        self._row[REQUESTS[dialect, outcome]] += 1

    def accepted(self, dialect: str, events: int, size: int) -> None:
        """Count what an accepted request brought; *size* is its bytes as they came."""
        row = self._row
        row[EVENTS[dialect]] += events
        row[BYTES[dialect]] += size

    def flush(self, seconds: float, requests: int) -> None:
        """Count a flush of the disk, and how many requests waited for it."""
        row = self._row
        row[FLUSHES[bisect_left(FLUSH_BOUNDS, seconds)]] += 1
        row[FLUSH_SECONDS] += seconds
        row[FLUSHED] += requests

    def load(self, in_flight: int, held_bytes: int) -> None:
        """Tell what is being held now."""
        self._row[IN_FLIGHT], self._row[HELD_BYTES] = in_flight, held_bytes

    def set(self, place: int, value: float) -> None:
        """Tell a number as it is now."""
        self._row[place] = value

    def add(self, place: int) -> None:
        """Count one more."""
        self._row[place] += 1
