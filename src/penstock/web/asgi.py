"""
ASGI: Starlette, FastAPI, Quart, Litestar, Django's ASGI side, or an application of your own.

    app.add_middleware(AnalyticsMiddleware, client=client)     # Starlette, FastAPI
    app = AnalyticsMiddleware(app, client)                     # anything else

The boundary is open until the application's coroutine returns, so a streamed body and a
background task belong to it.

Source: the ASGI specification, "HTTP & WebSocket" and "Lifespan".
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from penstock.scope import CURRENT
from penstock.scoping import leave
from penstock.web.desk import Desk
from penstock.web.head import Head, joined

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from penstock.client import Client
    from penstock.web.visit import Visit

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Set in a request's scope by the first of several of these middlewares.
_MARK = "penstock"
_ENDED = frozenset({"lifespan.shutdown.complete", "lifespan.shutdown.failed"})
_SOURCE = "asgi.application"


class AnalyticsMiddleware:
    """
    Gives every request of an ASGI application its context.

    Args:
        app: The application.
        client: Whose events they are.
        options: See `penstock.web.Settings`.

    Raises:
        ConfigError: An option can never work.

    .. versionadded:: 0.1
    """

    def __init__(self, app: App, client: Client, **options: Any) -> None:
        self.app = app
        self._desk = Desk(client, **options)
        self._used = frozenset(name.encode() for name in self._desk.used)
        self._find_user = self._desk.settings.user
        self._takes_loop = self._desk.settings.asyncio_errors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        kind = scope["type"]
        if kind == "lifespan":
            await self.app(scope, receive, self._flushing(send))
            return
        if self._takes_loop:
            self._takes_loop = False
            self._take_loop()
        visit = self._visit(scope) if kind in {"http", "websocket"} else None
        if visit is None:
            await self.app(scope, receive, send)
            return
        headers = self._desk.redirect(visit) if kind == "http" else None
        if headers is not None:
            await _redirect(headers, send)
            return
        token = CURRENT.set(self._desk.scope(visit))
        try:
            await self.app(scope, receive, self._answering(visit, send))
        except BaseException as error:
            self._desk.escaped(visit, error, _SOURCE)
            raise
        finally:
            leave(token)

    def _take_loop(self) -> None:
        """Now that it runs."""
        try:
            self._desk.client.install_asyncio()
        except Exception as error:  # noqa: BLE001 - another kind of loop
            self._desk.failed("asyncio", error)

    def _visit(self, scope: Scope) -> Visit | None:
        if _MARK in scope:
            return None
        try:
            scope[_MARK] = True
            head = _head(scope, self._used)
            find = self._find_user
            user = None if find is None else lambda: find(scope)
        except Exception as error:  # noqa: BLE001 - an odd server's scope
            self._desk.failed("head", error)
            return None
        return self._desk.receive(head, user, answers=scope["type"] == "http")

    def _answering(self, visit: Visit, send: Send) -> Send:
        """*send*, with a cookie in the first message if need be."""

        async def answering(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = self._answer(visit, message)
            await send(message)

        return answering

    def _answer(self, visit: Visit, message: Message) -> Message:
        """The start of the response; called while a framework still handles an error, if any."""
        try:
            status = message["status"]
            headers = message.get("headers") or ()
            kept = b", ".join(v for name, v in headers if name.lower() == b"cache-control")
            cookies = self._desk.answer(visit, status, kept.decode("latin-1"))
            if status in self._desk.settings.capture_status_codes:
                self._desk.answered_badly(visit, sys.exc_info()[1], _SOURCE)
            more = [(b"set-cookie", one.encode("latin-1")) for one in cookies]
        except Exception as error:  # noqa: BLE001 - the response goes out as it is
            self._desk.failed("answer", error)
            return message
        return {**message, "headers": [*headers, *more]} if more else message

    def _flushing(self, send: Send) -> Send:
        """*send*, which waits for delivery before the server is told that all is over."""

        async def flushing(message: Message) -> None:
            if message["type"] in _ENDED:
                try:
                    await self._desk.client.aflush(self._desk.settings.flush_timeout)
                except Exception as error:  # noqa: BLE001 - the server stops nonetheless
                    self._desk.failed("flush", error)
            await send(message)

        return flushing


def _head(scope: Scope, used: frozenset[bytes]) -> Head:
    raw = scope.get("raw_path")
    path = raw.decode("latin-1").partition("?")[0] if raw else quote(scope["path"])
    peer = scope.get("client")
    scheme: str = scope.get("scheme", "http")
    return Head(
        scope.get("method", "GET"),
        {"ws": "http", "wss": "https"}.get(scheme, scheme),
        path,
        scope.get("query_string", b"").decode("latin-1"),
        peer[0] if peer else "",
        joined(scope["headers"], used),
    )


async def _redirect(headers: list[tuple[str, str]], send: Send) -> None:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": 302, "headers": raw})
    await send({"type": "http.response.body", "body": b""})
