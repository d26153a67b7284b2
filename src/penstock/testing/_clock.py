"""Time and ids that a test decides."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

#: Where a fake clock stands unless told otherwise.
START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """
    A clock that stands still until it is moved.

    Args:
        start: What it shows first, aware; midnight of 2026-01-01 UTC unless given.
    """

    def __init__(self, start: datetime = START) -> None:
        self._time = start.timestamp()
        self._monotonic = 0.0

    def time(self) -> float:
        """Seconds since 1970."""
        return self._time

    def monotonic(self) -> float:
        """Seconds this clock was advanced by; setting it back does not change them."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """
        Let time pass.

        Raises:
            ValueError: *seconds* is negative; a wall clock that jumps back is `set_to`.
        """
        if seconds < 0:
            raise ValueError(f"time does not pass by {seconds} seconds")
        self._time += seconds
        self._monotonic += seconds

    def set_to(self, when: datetime) -> None:
        """Move the wall clock only, as an operator or NTP does; *when* must be aware."""
        self._time = when.timestamp()

    def __repr__(self) -> str:
        """What it shows."""
        return f"FakeClock({datetime.fromtimestamp(self._time, UTC).isoformat()})"


class CountingIds:
    """Message ids that count 1, 2, 3 in the form of a UUIDv7; call it for the next one."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def __call__(self) -> str:
        """Give the next id, such as ``00000000-0000-7000-8000-000000000001``."""
        return f"00000000-0000-7000-8000-{next(self._numbers):012x}"
