"""A collector without sockets or disk: a log in memory and requests by function call."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from penstock.collector.config import CollectorConfig, Limits
from penstock.collector.decoding.requests import decode_entry
from penstock.collector.http.app import IngestApp
from penstock.collector.http.board import Board
from penstock.collector.log.commit import GroupCommit
from penstock.collector.log.entry import Head, packed, unpacked
from penstock.collector.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.collector.decoding.rows import Decoded

NOW = 1_772_360_431.0
#: ``NOW`` as the wire writes it.
NOW_TEXT = "2026-03-01T10:20:31.000Z"
NOW_US = 1_772_360_431_000_000

V1_HEADERS = {
    "Authorization": "Bearer phc_demo",
    "Content-Type": "application/json",
    "User-Agent": "posthog-go/1.23.1",
    "PostHog-Sdk-Info": "posthog-go/1.23.1",
    "PostHog-Attempt": "1",
    "PostHog-Request-Id": "0195500a-aaaa-7000-8000-000000000001",
    "PostHog-Request-Timestamp": NOW_TEXT,
}


class MemoryLog:
    """A request log whose disk can be broken."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.synced = 0
        self.syncs = 0
        self.closed = False
        self.append_error: OSError | None = None
        self.sync_error: OSError | None = None

    def append(self, payload: bytes, received_at: int) -> int:
        del received_at
        if self.append_error is not None:
            raise self.append_error
        self.payloads.append(payload)
        return len(self.payloads)

    def sync(self) -> None:
        count = len(self.payloads)
        self.syncs += 1
        if self.sync_error is not None:
            raise self.sync_error
        self.synced = count

    def close(self) -> None:
        self.closed = True


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Bench:
    """An ingest app and what it wrote."""

    def __init__(self, *keys: str, limits: Limits | None = None, **settings: Any) -> None:
        self.log = MemoryLog()
        self.board = Board.create(1)
        self.config = CollectorConfig(
            store=settings.pop("store", Path("nowhere")),
            sources=Sources.parse(keys),
            limits=limits or Limits(),
            **settings,
        )

    def post(
        self, path: str, body: object, headers: Mapping[str, str] | None = None, query: str = ""
    ) -> Reply:
        """POST an object as JSON, or bytes as they are."""
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        return self.request("POST", path, raw, headers, query)

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        query: str = "",
    ) -> Reply:
        """One request, on an event loop of its own."""
        return asyncio.run(self._request(method, path, body, headers, query))

    async def _request(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str] | None, query: str
    ) -> Reply:
        commit = GroupCommit(lambda: self.log)
        app = IngestApp(commit, self.config, self.board, clock=lambda: NOW)
        reply = await call(app, method, path, body, headers, query)
        await commit.close()
        return reply

    def entries(self) -> list[tuple[Head, bytes]]:
        return [unpacked(payload) for payload in self.log.payloads]

    def decoded(self) -> list[Decoded]:
        """What the pipeline makes of what was written."""
        payloads = enumerate(self.log.payloads, 1)
        return [decode_entry(payload, "lane-test", ordinal) for ordinal, payload in payloads]


async def call(
    app: IngestApp,
    method: str,
    path: str,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    query: str = "",
) -> Reply:
    """One ASGI request, its body in two pieces."""
    half = len(body) // 2
    pieces = [
        {"type": "http.request", "body": body[:half], "more_body": True},
        {"type": "http.request", "body": body[half:], "more_body": False},
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return pieces.pop(0) if pieces else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode("latin-1"),
        "client": ("203.0.113.9", 5000),
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in (headers or {}).items()
        ],
    }
    await app(scope, receive, send)
    assert len(sent) == 2, "one answer, complete"
    start, *rest = sent
    shown = {name.decode(): value.decode() for name, value in start["headers"]}
    return Reply(start["status"], shown, b"".join(part.get("body", b"") for part in rest))


def basic(key: str) -> dict[str, str]:
    """A Basic header and the JSON content type."""
    token = base64.b64encode(f"{key}:".encode()).decode()
    return {"Authorization": f"Basic {token}", "Content-Type": "application/json"}


def track(number: int = 0, **more: Any) -> dict[str, Any]:
    """A track message as Segment's SDKs send it."""
    return {
        "type": "track",
        "messageId": f"0195500a-1111-7000-8000-{number:012d}",
        "userId": f"u-{number}",
        "event": "Order Completed",
        "timestamp": NOW_TEXT,
        "properties": {"revenue": 49.5},
        **more,
    }


def v1_event(number: int = 0, **more: Any) -> dict[str, Any]:
    """An event as PostHog's V1 has it."""
    return {
        "event": "Order Completed",
        "uuid": f"0195500a-1111-7000-8000-{number:012d}",
        "distinct_id": f"u-{number}",
        "timestamp": NOW_TEXT,
        "options": {},
        "properties": {"revenue": 49.5},
        **more,
    }


def entry(body: Any, dialect: str = "segment", form: str = "batch", **head: Any) -> bytes:
    """A log entry of an uncompressed body that arrived at ``NOW``."""
    known = {"source": "web", "dialect": dialect, "form": form, "encoding": "", "count": 1}
    whole = Head(**{"received_at": int(NOW * 1000), **known, **head})
    return packed(whole, body if isinstance(body, bytes) else orjson.dumps(body))
