"""A client that keeps what it is given, and the errors that the middleware brings it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from penstock import PostHog
from penstock.scope import CURRENT, Scope
from penstock.testing import MemoryClient, captured_client

if TYPE_CHECKING:
    from collections.abc import Iterator


class Caught(NamedTuple):
    """An error as it was brought to `capture_exception`."""

    error: BaseException
    options: dict[str, Any]
    scope: Scope | None

    @property
    def context(self) -> Any:
        """What its event would inherit."""
        return self.scope.context if self.scope is not None else None


@pytest.fixture
def client() -> Iterator[MemoryClient]:
    with captured_client(PostHog("phc_KEY")) as made:
        yield made


@pytest.fixture
def caught(client: MemoryClient, monkeypatch: pytest.MonkeyPatch) -> list[Caught]:
    """Every call of `capture_exception`, one per error, as the tracker would keep it."""
    found: list[Caught] = []

    def capture(error: BaseException, **options: Any) -> str:
        scope = CURRENT.get()
        if scope is not None:
            _ = scope.user_id, scope.context  # what an event would read, while it can be read
        if not any(one.error is error for one in found):
            found.append(Caught(error, options, scope))
        return "id"

    monkeypatch.setattr(client, "capture_exception", capture, raising=False)
    return found
