"""
Exact deduplication by source and message id over a window of time.

Ids are kept whole, not as fingerprints: a false match would be a silent loss. They lie in a few
generations, by the time they were received; a lookup asks each generation that has the source, and
forgetting drops the oldest whole. Memory is bounded by `Window.ids`: when a generation has its
share of them the next one begins early, so under a flood the window gets shorter, never the
memory bigger. At about 120 bytes an id the default of 10 million takes 1.2 GB.

An id enters when its event is about to be written, and the pipeline keeps what it is about to
write until that succeeded: an id is never known while its event is lost. After a restart the ids
come back from the files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.collector.config import Window
    from penstock.collector.rows import Event

#: Parts a window has; one more is kept, so that the last part is whole.
_PARTS = 4
_MS_PER_HOUR = 3_600_000


class Generation:
    """Ids received in one part of the window, ``{source: {message id}}``."""

    __slots__ = ("begins", "by_source", "count")

    def __init__(self, begins: int) -> None:
        self.begins = begins
        self.by_source: dict[str, set[str]] = {}
        self.count = 0


class Seen:
    """
    The ids of the window.

    Args:
        window: Its length, and how many ids it may hold.
    """

    def __init__(self, window: Window) -> None:
        self._part_ms = max(1, int(window.hours * _MS_PER_HOUR / _PARTS))
        self._share = max(1, window.ids // (_PARTS + 1))
        self._generations: list[Generation] = []

    def __len__(self) -> int:
        """Ids held."""
        return sum(generation.count for generation in self._generations)

    def admit(self, source: str, events: list[Event], received_ms: int) -> list[Event]:
        """
        The events that are new; their ids are known from now on.

        Args:
            source: Ids of different sources have nothing to do with each other.
            events: Of one request.
            received_ms: When it arrived, milliseconds since 1970.
        """
        current = self._current(received_ms, source)
        older = [g.by_source[source] for g in self._generations[:-1] if source in g.by_source]
        fresh: list[Event] = []
        for event in events:
            message_id = event[0]  # its message_id, without the cost of a name
            if message_id not in current and not any(message_id in ids for ids in older):
                current.add(message_id)
                fresh.append(event)
        self._generations[-1].count += len(fresh)
        return fresh

    def restore(self, source: str, message_ids: Iterable[str], received_ms: int) -> None:
        """Remember ids that are in the store; the oldest must come first."""
        known = self._current(received_ms, source)
        before = len(known)
        known.update(message_ids)
        self._generations[-1].count += len(known) - before

    def _current(self, received_ms: int, source: str) -> set[str]:
        """The ids of *source* in the newest generation, which may begin now."""
        newest = self._generations[-1] if self._generations else None
        if (
            newest is None
            or newest.count >= self._share
            or received_ms >= newest.begins + self._part_ms
        ):
            newest = self._begin(received_ms)
        return newest.by_source.setdefault(source, set())

    def _begin(self, received_ms: int) -> Generation:
        oldest = received_ms - self._part_ms * (_PARTS + 1)
        kept = [held for held in self._generations if held.begins > oldest]
        generation = Generation(received_ms - received_ms % self._part_ms)
        self._generations = [*kept[-_PARTS:], generation]
        return generation
