"""Penstock on defaults: a disk journal, one Segment destination."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock import Client, Segment

if TYPE_CHECKING:
    from events import Event


class Penstock:
    """Its journal takes what comes, so there is no queue to wait for."""

    def __init__(self, url: str, gzip: bool | None = None, queue: int | None = None) -> None:
        del queue
        compression = "gzip" if gzip else None
        self._client = Client(Segment("WK_bench", endpoint=url, compression=compression))

    def shape(self, event: Event) -> tuple[Any, ...]:
        return event

    def track(self, user: str, name: str, properties: Any, context: Any) -> None:
        self._client.track(user, name, properties, context=context)

    def backlog(self) -> int:
        return 0

    def drain(self, timeout: float) -> None:
        self._client.flush(timeout=timeout)

    def dropped(self) -> int:
        return sum(self._client.ledger().dead.values())


def open_client(url: str, **options: Any) -> Penstock:
    return Penstock(url, **options)
