"""
Exact deduplication by source and message id over a window of time.

Ids are kept as digests of 16 bytes (`penstock.collector.store.digests`): too long for two ids to
share one by chance, since a false match would be a silent loss. They lie in two generations, by the
time they were received, each as long as the window: the older one is forgotten whole when a new one
begins. Memory is bounded by `Window.ids`: when a generation has its half of them the next one
begins early, so under a flood the window gets shorter, never the memory bigger. At about 24 bytes
an id the default takes half a gigabyte at most.

An id enters when its event is about to be written, and the pipeline keeps what it is about to
write until that succeeded: an id is never known while its event is lost. After a restart the ids
come back from the files.
"""

from __future__ import annotations

from operator import or_
from typing import TYPE_CHECKING

from penstock.collector.store.digests import DigestSet, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from penstock.collector.config import Window

_MS_PER_HOUR = 3_600_000
_GENERATIONS = 2


class Generation:
    """Ids received in one stretch of time, by source."""

    __slots__ = ("begins", "by_source", "count")

    def __init__(self, begins: int) -> None:
        self.begins = begins
        self.by_source: dict[str, DigestSet] = {}
        self.count = 0

    def of(self, source: str) -> DigestSet:
        """The ids of one source."""
        found = self.by_source.get(source)
        if found is None:
            found = self.by_source[source] = DigestSet()
        return found


class Seen:
    """
    The ids of the window.

    Args:
        window: Its length, and how many ids it may hold.
    """

    def __init__(self, window: Window) -> None:
        self._window_ms = max(1, int(window.hours * _MS_PER_HOUR))
        self._share = max(1, window.ids // _GENERATIONS)
        #: The newest last.
        self._generations: list[Generation] = []

    def __len__(self) -> int:
        """Ids held."""
        return sum(generation.count for generation in self._generations)

    def admit(self, source: str, message_ids: Sequence[str], received_ms: int) -> list[bool]:
        """
        For each id, whether it is new; it is known from now on.

        Args:
            source: Ids of different sources have nothing to do with each other.
            message_ids: Of one request.
            received_ms: When it arrived, milliseconds since 1970.
        """
        return self._add(source, list(map(digest_of, message_ids)), received_ms)

    def restore(self, source: str, message_ids: Iterable[str], received_ms: int) -> None:
        """Remember ids that are in the store; the oldest must come first."""
        self.restore_digests(source, list(map(digest_of, message_ids)), received_ms)

    def restore_digests(self, source: str, digests: list[bytes], received_ms: int) -> None:
        """The same for ids of which only the digests are known."""
        self._add(source, digests, received_ms)

    def _add(self, source: str, digests: list[bytes], received_ms: int) -> list[bool]:
        current = self._current(received_ms)
        older = [g.by_source[source] for g in self._generations[:-1] if source in g.by_source]
        known = [False] * len(digests)
        for ids in older:
            known = list(map(or_, known, ids.known(digests)))
        if not any(known):
            fresh = current.of(source).add(digests)
        else:
            left = current.of(source).add([d for d, k in zip(digests, known, strict=True) if not k])
            new = iter(left)
            fresh = [not k and next(new) for k in known]
        current.count += sum(fresh)
        return fresh

    def _current(self, received_ms: int) -> Generation:
        """The newest generation, which may begin now."""
        newest = self._generations[-1] if self._generations else None
        if (
            newest is None
            or newest.count >= self._share
            or received_ms >= newest.begins + self._window_ms
        ):
            newest = Generation(received_ms - received_ms % self._window_ms)
            kept = self._generations[-1:] if self._keeps(received_ms) else []
            self._generations = [*kept, newest]
        return newest

    def _keeps(self, received_ms: int) -> bool:
        """Whether the newest generation may still matter when the next one begins."""
        if not self._generations:
            return False
        return received_ms < self._generations[-1].begins + 2 * self._window_ms
