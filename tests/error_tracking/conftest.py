"""Clients whose errors can be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from penstock import ErrorTracking, PostHog
from penstock.error_tracking import steps
from penstock.testing import MemoryClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Errors:
    """
    A client in memory, and the error events that it captured.

    Args:
        settings: Of error tracking.
        config: Of the client.
    """

    def __init__(self, config: dict[str, Any] | None = None, **settings: Any) -> None:
        tracking = ErrorTracking(**settings)
        self.client = MemoryClient(PostHog("phc_test"), error_tracking=tracking, **(config or {}))
        self.clock = self.client.clock
        #: The client's call, with nothing in between that a stack would show.
        self.capture = self.client.capture_exception

    @property
    def events(self) -> list[dict[str, Any]]:
        """Neutral JSON of every event."""
        return [event.raw for event in self.client.events]

    @property
    def event(self) -> dict[str, Any]:
        """The only one."""
        (event,) = self.events
        return event

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The exceptions of the only one."""
        found: list[dict[str, Any]] = self.event["exceptions"]
        return found

    @property
    def frames(self) -> list[dict[str, Any]]:
        """The frames of its first exception."""
        found: list[dict[str, Any]] = self.entries[0]["stacktrace"]["frames"]
        return found

    @property
    def counts(self) -> dict[str, int]:
        """What the ledger says of errors."""
        return self.client.ledger().exceptions


@pytest.fixture
def make_errors() -> Iterator[Callable[..., Errors]]:
    """Makes `Errors` from settings; its hooks and handlers are gone afterwards."""
    made: list[Errors] = []

    def make(config: dict[str, Any] | None = None, **settings: Any) -> Errors:
        made.append(Errors(config, **settings))
        return made[-1]

    yield make
    for errors in made:
        errors.client.close()


@pytest.fixture
def errors(make_errors: Callable[..., Errors]) -> Errors:
    """`Errors` on defaults."""
    return make_errors()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that says nothing of releases, and a thread that took no steps."""
    steps._RING.set(None)
    for name in ("PENSTOCK_RELEASE", "PENSTOCK_ENVIRONMENT", "POSTHOG_RELEASE_ID", "GIT_COMMIT"):
        monkeypatch.delenv(name, raising=False)
