"""Bounds over all requests: too many, too much, too slow, gone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from collector_kit import NOW, MemoryLog, basic
from penstock.collector.config import CollectorConfig, Limits
from penstock.collector.http.app import IngestApp
from penstock.collector.http.board import Board
from penstock.collector.http.body import Gone, read_bytes
from penstock.collector.http.load import Admission
from penstock.collector.log.commit import GroupCommit
from penstock.collector.refusal import Reason, Refusal

SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/v1/batch",
    "query_string": b"",
    "headers": [(k.lower().encode(), v.encode()) for k, v in basic("k").items()],
}


async def never() -> dict[str, Any]:
    """A client that stopped sending."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def app_with(**limits: Any) -> IngestApp:
    config = CollectorConfig(store=Path("nowhere"), limits=Limits(**limits))
    return IngestApp(GroupCommit(MemoryLog), config, Board.create(1), clock=lambda: NOW)


async def answer(app: IngestApp, receive: Any) -> tuple[int, dict[bytes, bytes]] | None:
    """Status and headers of one request; None when nothing was answered."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(SCOPE, receive, send)
    return (sent[0]["status"], dict(sent[0]["headers"])) if sent else None


def test_too_many_requests_at_once_are_503() -> None:
    """The one that waits keeps its place; the next hears when to come back."""

    async def body() -> None:
        app = app_with(in_flight=1)
        waiting = asyncio.create_task(answer(app, never))
        await asyncio.sleep(0)  # it takes its place
        refused = await answer(app, never)
        assert refused is not None
        assert refused[0] == 503
        assert refused[1][b"retry-after"] == b"1"
        waiting.cancel()

    asyncio.run(body())


def test_a_slow_body_is_408() -> None:
    """Nobody keeps a place by sending nothing."""

    async def body() -> None:
        app = app_with(in_flight=1, body_timeout=0.01)
        for _ in range(2):  # the place is free again
            found = await answer(app, never)
            assert found is not None
            assert found[0] == 408

    asyncio.run(body())


def test_a_client_that_leaves_is_not_answered() -> None:
    """And nothing of it is kept."""

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    assert asyncio.run(answer(app_with(), gone)) is None


def test_bytes_held_are_bounded_and_given_back() -> None:
    """All bodies together stay below the bound, and a refused one takes nothing with it."""
    admission = Admission(most_requests=10, most_bytes=100)
    with admission.enter() as one:
        one.hold(60)
        with pytest.raises(Refusal) as refused, admission.enter() as two:
            two.hold(60)
        assert refused.value.reason is Reason.OVERLOADED
        assert (admission.requests, admission.held_bytes) == (1, 60)
    assert (admission.requests, admission.held_bytes) == (0, 0)


def test_a_disconnect_in_the_middle_is_noticed() -> None:
    """Half a body is no body."""
    pieces = [
        {"type": "http.request", "body": b"half", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return pieces.pop(0)

    with Admission(1, 100).enter() as load, pytest.raises(Gone):
        asyncio.run(read_bytes(receive, 100, 1.0, load))
