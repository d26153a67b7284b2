"""posthog; it has no context, so a caller puts those facts among the properties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthog import Posthog

from sdks._queued import Queued, settings

if TYPE_CHECKING:
    from events import Event


class PostHog(Queued):
    def __init__(self, url: str, gzip: bool | None = None, queue: int | None = None) -> None:
        super().__init__()
        self.client = Posthog(
            "phc_bench", host=url, on_error=self.on_error, **settings(gzip, queue)
        )

    def shape(self, event: Event) -> tuple[Any, ...]:
        return event.name, event.user, {**event.properties, **(event.context or {})}

    def track(self, *arguments: Any) -> None:
        name, user, properties = arguments
        self.client.capture(name, distinct_id=user, properties=properties)

    def drain(self, timeout: float) -> None:
        self.client.flush(timeout_seconds=timeout)


def open_client(url: str, **options: Any) -> PostHog:
    return PostHog(url, **options)
