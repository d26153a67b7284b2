"""A sink that may run for hours: it counts ids and keeps neither them nor the requests."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faults.sink import FaultSink


class Numbers(Counter[int]):
    """Ids as numbers, a third of their size."""

    def update(self, ids: Iterable[str] | None = None, /) -> None:  # type: ignore[override]
        """Count *ids*."""
        super().update(hash(id_) for id_ in ids or ())


class Tally:
    """
    What a sink stored, in little memory.

    Args:
        sink: Is changed to keep the last requests only.
    """

    def __init__(self, sink: FaultSink) -> None:
        self._numbers: Any = Numbers()
        sink.exchanges = deque(maxlen=10)  # type: ignore[assignment]
        sink._accepted = self._numbers

    @property
    def events(self) -> int:
        """Different ids."""
        return len(self._numbers)

    @property
    def repeated(self) -> int:
        """Deliveries beyond the first of each id."""
        return sum(self._numbers.values()) - len(self._numbers)
