"""One file per SDK; `load` imports only the one asked for, so that its import can be measured."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from events import Event

#: Measured by default, in the order of the tables.
NAMES = ("null", "penstock", "pure", "segment", "rudder", "posthog")
PEERS = ("segment", "rudder", "posthog")
#: ``{sdk: distribution}``
DISTRIBUTIONS = {
    "penstock": "penstock",
    "segment": "segment-analytics-python",
    "rudder": "rudder-sdk-python",
    "posthog": "posthog",
}
#: SDKs that compress on their defaults.
COMPRESSING = ("rudder",)
#: SDKs without a bounded queue that takes their events: nobody needs to wait for room.
UNBOUNDED = ("null", "penstock", "pure")
#: ``{sdk: parts}`` of those that are not measured in every part.
ONLY = {"pure": ("capture", "throughput")}


class Sdk(Protocol):
    """What a measurement needs of an SDK."""

    def shape(self, event: Event) -> tuple[Any, ...]:
        """The arguments `track` takes for this event; not part of the timed call."""
        ...

    def track(self, *arguments: Any) -> Any:
        """The call under test."""
        ...

    def backlog(self) -> int:
        """Events in a bounded queue that refuses or drops when it is full; else 0."""
        ...

    def drain(self, timeout: float) -> None:
        """Return when everything tracked was delivered."""
        ...

    def dropped(self) -> int:
        """Events the SDK says it gave up, as far as it can say so."""
        ...


def load(name: str, url: str, **options: Any) -> Sdk:
    """
    A client of SDK *name* for the sink at *url*.

    Args:
        name: One of `NAMES`.
        url: Where the sink listens.
        options: ``gzip`` (the SDK's own default when absent) and ``queue`` (slots).
    """
    sdk: Sdk = import_module(f"sdks.{name}").open_client(url, **options)
    return sdk
