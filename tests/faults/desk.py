"""Clients inside the test's own process, aimed at the sink, and what they were told."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from penstock import Client, Config, PostHog, RudderStack, Segment
from penstock.config import Retry

if TYPE_CHECKING:
    from faults.sink import FaultSink

KEY = "WK_loopback_only"


class Told:
    """A callback that remembers."""

    def __init__(self) -> None:
        self.delivered: Counter[str] = Counter()
        self.failed: list[tuple[str, Exception]] = []

    def success(self, message: dict[str, Any]) -> None:
        """One more delivery."""
        self.delivered[message["messageId"]] += 1

    def failure(self, message: dict[str, Any], error: Exception) -> None:
        """One more death."""
        self.failed.append((message["messageId"], error))

    @property
    def outcomes(self) -> Counter[str]:
        """How often anything was said, by message id."""
        return self.delivered + Counter(id_ for id_, _ in self.failed)


class Desk:
    """Opens clients in memory, aimed at the sink; `events` is what arrived."""

    def __init__(self, sink: FaultSink) -> None:
        self.sink = sink
        self._opened: list[Client] = []

    def segment(self, **settings: Any) -> Client:
        """A Segment client."""
        return self.client(Segment(KEY, endpoint=self.sink.url), **settings)

    def rudder(self, **settings: Any) -> Client:
        """A RudderStack client."""
        return self.client(RudderStack(KEY, self.sink.url), **settings)

    def posthog(self, *, v1: bool = False, **settings: Any) -> Client:
        """A PostHog client of either protocol."""
        mode = "v1" if v1 else "legacy"
        return self.client(PostHog(KEY, self.sink.url, capture_mode=mode), **settings)

    def client(self, *destinations: Any, **settings: Any) -> Client:
        """Any client; quick to retry, in memory unless the settings say otherwise."""
        quick = {"journal": None, "retry": Retry(base=0.02, cap=0.1)}
        client = Client(*destinations, config=Config(**(quick | settings)))
        self._opened.append(client)
        return client

    def bodies(self) -> list[dict[str, Any]]:
        """Every request body, parsed."""
        return [json.loads(e.json) for e in self.sink.exchanges if e.request.method == "POST"]

    def event(self) -> dict[str, Any]:
        """The only event that arrived."""
        (event,) = self.sink.events
        return event

    def close(self) -> None:
        """End every client opened here."""
        for client in self._opened:
            client.close(timeout=0.1)
