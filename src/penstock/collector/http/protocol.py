"""
HTTP with bounds on what comes before a body.

uvicorn takes heads of any size, at any pace; here a head has a size and a time, so that nobody
holds memory or a connection with one that never ends. Workers and the debugger serve with it.
Bodies have bounds of their own (`penstock.collector.http.body`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.errors import MissingExtraError

try:
    import uvicorn
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ImportError as error:  # pragma: no cover - needs an installation without the extra
    raise MissingExtraError("uvicorn", "collector") from error

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Bytes of a request's first line and headers. Pixels are long: 64 KiB is what proxies pass.
MOST_HEAD_BYTES = 64 * 1024
#: Seconds a head may take to arrive.
MOST_HEAD_S = 20.0
#: Ticks of a server, a tenth of a second each, between two looks after things.
_TICKS = 10

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    #: Whether the next bytes belong to a head, and how many there were.
    _in_head = True
    _head_bytes = 0
    #: When the head began, by the loop's clock; 0 while none is awaited.
    _head_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """From here on a head is due."""
        super().connection_made(transport)
        self._head_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head is too large."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MOST_HEAD_BYTES:
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """A head begins; on a connection kept alive, its time starts now."""
        super().on_message_begin()
        self._head_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """The head was in time."""
        self._in_head, self._head_bytes, self._head_since = False, 0, 0.0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """What comes next is a head."""
        super().on_message_complete()
        self._in_head = True

    def is_late(self, now: float) -> bool:
        """Whether a head has been awaited for too long."""
        return bool(self._head_since) and now - self._head_since > MOST_HEAD_S


def close_late(connections: Iterable[object], now: float) -> None:
    """Close connections whose head does not come."""
    for connection in list(connections):
        if isinstance(connection, BoundedProtocol) and connection.is_late(now):
            connection.transport.abort()


class BoundedServer(uvicorn.Server):
    """
    uvicorn as a collector runs it: bounded, with nothing of its own in the log or in answers.

    Args:
        app: Answers the requests.
        settings: Those of uvicorn that are the app's.
    """

    def __init__(self, app: Any, **settings: Any) -> None:
        config = uvicorn.Config(
            app,
            interface="asgi3",
            http=BoundedProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            **settings,
        )
        super().__init__(config)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second; whether to stop."""
        if counter % _TICKS == 0:
            self.look_after()
        return await super().on_tick(counter)

    def look_after(self) -> None:
        """Once a second; a server may add to it what no request does."""
        close_late(self.server_state.connections, asyncio.get_running_loop().time())
