"""HTTP/1.1 as a server reads it, small enough to break at any byte."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import ssl

_CHUNK = 1 << 18


class Head(NamedTuple):
    """A request's first line and headers."""

    method: str
    path: str
    #: Names in lower case.
    headers: dict[str, str]


class Connection:
    """One accepted connection, read request by request."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()

    def secure(self, context: ssl.SSLContext) -> None:
        """Go on over TLS."""
        self._sock = context.wrap_socket(self._sock, server_side=True)

    def head(self) -> Head | None:
        """The next request's head; None when the client is done."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if not self._fill():
                return None
        lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        method, path, _version = lines[0].split(" ", 2)
        pairs = (line.partition(":") for line in lines[1:])
        return Head(method, path, {name.strip().lower(): value.strip() for name, _, value in pairs})

    def take(self, count: int) -> bytes:
        """
        Exactly *count* bytes.

        Raises:
            ConnectionError: The client went away before they came.
        """
        while len(self._buffer) < count:
            if not self._fill():
                raise ConnectionResetError("the client left in the middle of a body")
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def line(self) -> bytes:
        """Up to the next CRLF, which is dropped."""
        while (end := self._buffer.find(b"\r\n")) < 0:
            if not self._fill():
                raise ConnectionResetError("the client left in the middle of a line")
        taken = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return taken

    def send(self, data: bytes) -> None:
        """Write all of *data*."""
        self._sock.sendall(data)

    def reset(self) -> None:
        """Close with RST instead of FIN: the client sees "connection reset by peer"."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def close(self) -> None:
        """Wake whoever reads, then close."""
        with suppress(OSError):  # already gone
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _fill(self) -> bool:
        data = self._sock.recv(_CHUNK)
        self._buffer += data
        return bool(data)


class Incoming:
    """
    One request; its body is read from the connection when somebody asks for it.

    A rule that answers without looking at `body` can therefore fail while it is still on its way.
    """

    def __init__(self, head: Head, connection: Connection) -> None:
        self.method, self.path, self.headers = head
        self._connection = connection

    @cached_property
    def body(self) -> bytes:
        """The body as it came, still compressed."""
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        return self._connection.take(self.length)

    @property
    def length(self) -> int:
        """The body's announced length in bytes; 0 when it is chunked or absent."""
        return int(self.headers.get("content-length", "0"))

    def half(self) -> None:
        """Read the first half of the body and leave the rest on the wire."""
        self._connection.take(self.length // 2)

    def _chunks(self) -> bytes:
        parts = bytearray()
        while size := int(self._connection.line().partition(b";")[0], 16):
            parts += self._connection.take(size)
            self._connection.line()
        while self._connection.line():
            pass  # trailers
        return bytes(parts)
