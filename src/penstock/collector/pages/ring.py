"""The newest arrivals in memory, and everybody who watches them come in."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections import deque
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from penstock.collector.pages.arrival import DUPLICATE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.collector.pages.arrival import Arrival, Wanted

#: Arrivals held.
MOST_HELD = 5000
#: Messages that wait for one viewer; of more, the oldest are dropped.
MOST_WAITING = 500


class Seen(NamedTuple):
    """An arrival, or news of one."""

    #: Counts up; a viewer that comes back says the last one it got.
    number: int
    arrival: Arrival


class Viewer:
    """
    One open stream; everything but `offer` belongs to its event loop.

    Args:
        wanted: What it shows.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Seen] = deque(maxlen=MOST_WAITING)
        self._news = asyncio.Event()
        #: News that were dropped since it was too slow.
        self.dropped = 0

    def offer(self, news: list[Seen]) -> None:
        """Hand it news, from any thread; what it does not show is left out."""
        taken = [seen for seen in news if self._wanted.takes(seen.arrival)]
        if taken:
            self.dropped += max(0, len(self._waiting) + len(taken) - MOST_WAITING)
            self._waiting.extend(taken)
            self.wake()

    def wake(self) -> None:
        """Have it look up."""
        with contextlib.suppress(RuntimeError):  # its loop has ended
            self._loop.call_soon_threadsafe(self._news.set)

    async def next(self, timeout_s: float) -> list[Seen]:
        """What has come since the last call; empty when nothing did in time."""
        try:
            await asyncio.wait_for(self._news.wait(), timeout_s)
        except TimeoutError:
            return []
        self._news.clear()
        return [self._waiting.popleft() for _ in range(len(self._waiting))]


class Ring:
    """The newest arrivals."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        #: Numbers of another ring, in another process, tell nothing here.
        self._life = secrets.token_hex(4)
        self._held: dict[str, Seen] = {}
        self._viewers: set[Viewer] = set()
        self._number = 0
        #: Nobody is to watch any more.
        self.closed = False
        #: Events that came and were too many to be looked at.
        self.skipped = 0

    @property
    def viewers(self) -> int:
        """How many watch."""
        return len(self._viewers)

    @property
    def place(self) -> str:
        """Where it is now; a viewer that says it gets what comes after."""
        return self.place_of(self._number)

    def place_of(self, number: int) -> str:
        """The place just behind an arrival."""
        return f"{self._life}.{number}"

    def number_at(self, place: str) -> int | None:
        """Undo `place_of`; None for a place in another process's ring, or none at all."""
        life, _, number = place.partition(".")
        known = life == self._life and number.isascii() and number.isdigit()
        return int(number[:18]) if known else None

    def close(self) -> None:
        """Have everybody who watches go."""
        self.closed = True
        with self._guard:
            viewers = list(self._viewers)
        for viewer in viewers:
            viewer.wake()

    def add(self, arrivals: list[Arrival]) -> None:
        """Hold arrivals, or what has become of ones that are held, and tell everybody."""
        if not arrivals:
            return
        with self._guard:
            news: list[Seen] = []
            for arrival in arrivals:
                self._number += 1
                news.append(Seen(self._number, arrival))
                self._held[arrival.key] = news[-1]
            for key in list(islice(self._held, max(0, len(self._held) - MOST_HELD))):
                del self._held[key]
            viewers = list(self._viewers)
        for viewer in viewers:
            viewer.offer(news)

    def clear(self) -> None:
        """Forget what is held."""
        with self._guard:
            self._held.clear()

    def sources(self) -> set[str]:
        """Who sent what is held."""
        with self._guard:
            return {seen.arrival.source for seen in self._held.values()}

    def duplicates(self) -> list[Arrival]:
        """The repetitions among what is held; the store has none of them."""
        with self._guard:
            return [s.arrival for s in self._held.values() if s.arrival.verdict == DUPLICATE]

    @contextmanager
    def watched(self, wanted: Wanted, after: int) -> Iterator[Viewer]:
        """
        Watch.

        Args:
            wanted: What.
            after: The last number that is known already.
        """
        viewer = Viewer(wanted)
        with self._guard:
            self._viewers.add(viewer)
            missed = self._after(after)
        viewer.offer(missed)
        try:
            yield viewer
        finally:
            with self._guard:
                self._viewers.discard(viewer)

    def _after(self, number: int) -> list[Seen]:
        found = [seen for seen in self._held.values() if seen.number > number]
        return sorted(found, key=lambda seen: seen.number)
