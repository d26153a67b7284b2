"""
HTTP with bounds on what comes before a body.

uvicorn takes heads of any size, at any pace; here a head has a size and a time, so that nobody
holds memory or a connection with one that never ends. Bodies have bounds of their own
(`penstock.collector.http.body`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

#: Bytes of a request's first line and headers. Pixels are long: 64 KiB is what proxies pass.
MOST_HEAD_BYTES = 64 * 1024
#: Seconds a head may take to arrive.
MOST_HEAD_S = 20.0

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
