"""What the three official SDKs share: a bounded `queue.Queue` and one consumer thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from events import Event


class Queued:
    """Around a client with ``queue`` and ``flush``."""

    client: Any

    def __init__(self) -> None:
        self._failed = 0

    def on_error(self, _error: Exception, batch: list[Any]) -> None:
        self._failed += len(batch)

    def shape(self, event: Event) -> tuple[Any, ...]:
        return event

    def track(self, user: str, name: str, properties: Any, context: Any) -> None:
        self.client.track(user, name, properties, context)

    def backlog(self) -> int:
        return int(self.client.queue.qsize())

    def drain(self, timeout: float) -> None:
        del timeout  # theirs has none
        self.client.flush()

    def dropped(self) -> int:
        return self._failed


def settings(gzip: bool | None, queue: int | None) -> dict[str, Any]:
    """Only what was asked for, so that everything else is the SDK's default."""
    asked = {"gzip": gzip, "max_queue_size": queue}
    return {name: value for name, value in asked.items() if value is not None}
