"""How many bytes a journal may take, and how many it takes."""

from __future__ import annotations

from threading import Lock


class JournalFull(Exception):  # noqa: N818 - a state the overflow policy answers, not a fault
    """
    No room for another record now.

    Args:
        limit_bytes: The cap, or 0 when the disk itself is full.
    """

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self.limit_bytes = limit_bytes


class Budget:
    """
    A counter with a cap, shared by a journal's lanes.

    Args:
        limit: The cap in bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used = 0
        self._lock = Lock()

    @property
    def used(self) -> int:
        """Bytes taken now."""
        return self._used

    def take(self, count: int) -> bool:
        """Take *count* bytes, or none when that would pass the cap."""
        with self._lock:
            if self._used + count > self.limit:
                return False
            self._used += count
            return True

    def give(self, count: int) -> None:
        """Give *count* bytes back."""
        with self._lock:
            self._used = max(0, self._used - count)

    def found(self, count: int) -> None:
        """Set what is taken to what a look at the directory found."""
        with self._lock:
            self._used = count
