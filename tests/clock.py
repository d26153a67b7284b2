"""A clock that is moved by hand."""

from __future__ import annotations


class Clock:
    """
    Called for the time, which stands still.

    Attributes:
        now: What it shows, in seconds; set it to let time pass, also backwards.
    """

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
