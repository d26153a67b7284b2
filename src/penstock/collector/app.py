"""
The ingest app: a raw ASGI callable.

It knows paths and methods; what happens to a POST is `penstock.collector.exchange`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from penstock.collector import answers
from penstock.collector.auth import credentials
from penstock.collector.body import Gone
from penstock.collector.exchange import Exchange, Service
from penstock.collector.load import Admission
from penstock.collector.refusal import Reason, Refusal
from penstock.collector.routes import CLUSTER_INFO, HEALTH, INTAKES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from penstock.collector.answers import Answer
    from penstock.collector.commit import GroupCommit
    from penstock.collector.config import Limits
    from penstock.collector.sources import Sources

    Scope = Mapping[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

_POST_ONLY = answers.wrong_method("POST")
_GET_ONLY = answers.wrong_method("GET, HEAD")


class IngestApp:
    """
    Takes events over HTTP.

    Args:
        commit: Where requests become durable.
        sources: Who may send.
        limits: What a request may take.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        commit: GroupCommit,
        sources: Sources,
        limits: Limits,
        clock: Callable[[], float] = time.time,
    ) -> None:
        admission = Admission(limits.in_flight, limits.held_bytes)
        self._service = Service(commit, sources, limits, admission, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; other protocols than HTTP are not spoken."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        if scope["type"] != "http":
            return
        try:
            answer = await self._answer(scope, receive)
        except Gone:
            return
        headers = [*answer.headers, (b"content-length", str(len(answer.body)).encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive: Receive, send: Send) -> None:
        """From start to stop: at the end the log is closed, everybody answered."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self._service.commit.close()
                await send({"type": "lifespan.shutdown.complete"})
                return
            await send({"type": "lifespan.startup.complete"})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        path, method = scope["path"], scope["method"]
        route = INTAKES.get(path)
        if route is not None:
            if method != "POST":
                return _POST_ONLY
            return await Exchange(self._service, route, scope).answer(receive)
        if path in {HEALTH, CLUSTER_INFO}:
            if method not in {"GET", "HEAD"}:
                return _GET_ONLY
            return self._health() if path == HEALTH else self._cluster_info(scope)
        return answers.NOT_FOUND

    def _health(self) -> Answer:
        return answers.HEALTHY if self._service.commit.healthy else answers.UNHEALTHY

    def _cluster_info(self, scope: Scope) -> Answer:
        key = credentials(dict(scope["headers"]).get(b"authorization", b"")).key
        if self._service.sources.find(key, "rudderstack") is None:
            reason = Reason.BAD_KEY if key else Reason.MISSING_KEY
            return answers.RUDDERSTACK.refused(Refusal(reason))
        return answers.ONE_NODE
