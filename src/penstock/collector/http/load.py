"""How much the collector is holding, and the bound past which it says 503."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from penstock.collector.refusal import Reason, Refusal

if TYPE_CHECKING:
    from types import TracebackType


class Admission:
    """
    Counters over all requests of one worker; lives on one event loop.

    Args:
        most_requests: Requests in flight.
        most_bytes: Bytes of bodies held.
    """

    def __init__(self, most_requests: int, most_bytes: int) -> None:
        self._most_requests = most_requests
        self._most_bytes = most_bytes
        self.requests = 0
        self.held_bytes = 0

    def enter(self) -> Load:
        """
        Count one more request; leave its ``with`` block to uncount it.

        Raises:
            Refusal: There are too many.
        """
        if self.requests >= self._most_requests:
            raise Refusal(Reason.OVERLOADED)
        self.requests += 1
        return Load(self)

    def hold(self, count: int) -> None:
        """
        Count *count* more bytes.

        Raises:
            Refusal: That would be too many; they are not counted.
        """
        if self.held_bytes + count > self._most_bytes:
            raise Refusal(Reason.OVERLOADED)
        self.held_bytes += count

    def leave(self, held: int) -> None:
        """Uncount a request and what it held."""
        self.requests -= 1
        self.held_bytes -= held


class Load:
    """What one request holds."""

    __slots__ = ("_admission", "_held")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._held = 0

    def hold(self, count: int) -> None:
        """
        Hold *count* more bytes until the request ends.

        Raises:
            Refusal: All requests together hold too much.
        """
        self._admission.hold(count)
        self._held += count

    def __enter__(self) -> Self:
        """Nothing to do: `Admission.enter` has counted."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let go of everything."""
        self._admission.leave(self._held)
