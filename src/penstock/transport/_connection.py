"""
urllib3 connections that keep one deadline for a whole exchange, and pools that survive a fork.

urllib3's timeouts are per socket call: a server that sends a byte a second keeps a reader for
ever, and a host with four dead addresses takes four connect timeouts. Here every socket call of
an exchange, from the first connect to the last byte of the body, is given what is left until the
one deadline that `until` has set for this thread. Looking up a name is the exception: the
resolver has its own timeout, usually 5 to 10 seconds, and cannot be interrupted.
"""

from __future__ import annotations

import http.client
import socket
import sys
import threading
from collections import deque
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from queue import Empty, Full
from time import monotonic
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from penstock.transport._types import TransportError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer

_exchange = threading.local()


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Every socket call of this thread inside the block ends at *deadline*, by `monotonic`."""
    _exchange.deadline = deadline
    try:
        yield
    finally:
        del _exchange.deadline


def remaining() -> float:
    """
    Seconds left for this thread's exchange.

    Raises:
        TimeoutError: None are.
    """
    left: float = _exchange.deadline - monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left


class _DeadlineReader(RawIOBase):
    """A socket's bytes, each read bounded by what is left."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._socket = sock
        # Holding the socket's own file keeps it open after the connection has let go of it.
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        self._socket.settimeout(remaining())
        return self._file.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _DeadlineResponse(http.client.HTTPResponse):
    """Reads status, headers and body within the deadline."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = BufferedReader(_DeadlineReader(sock))


def _dial(connection: HTTPConnection) -> socket.socket:
    """
    Connect to the server or the proxy.

    Several addresses share the time evenly: a dead one must not use up that of the next.

    Raises:
        TransportError: ``dns``, ``timeout`` or ``connect``; ``proxy`` when it was the proxy that
            could not be reached.
    """
    kind = "proxy" if connection.proxy else ""
    try:
        host = connection.host.strip("[]")  # of an IPv6 address
        sys.audit("http.client.connect", connection, host, connection.port)
        found = socket.getaddrinfo(host, connection.port, 0, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise TransportError(kind or "dns", "the host name cannot be resolved") from None
    try:
        return _first_open(found, connection)
    except TimeoutError:
        raise TransportError("timeout", "no connection in time") from None
    except OSError as error:
        raise TransportError(kind or "connect", error.strerror or "no connection") from None


def _first_open(found: list[Any], connection: HTTPConnection) -> socket.socket:
    failure: OSError = OSError("the name has no address")
    for index, (family, kind, protocol, _, address) in enumerate(found):
        sock = socket.socket(family, kind, protocol)
        try:
            for option in connection.socket_options or ():
                sock.setsockopt(*option)
            sock.settimeout(remaining() / (len(found) - index))
            sock.connect(address)
            sock.settimeout(remaining())
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def _send(connection: HTTPConnection, data: Any) -> None:
    """Send within the deadline; one `sendall` keeps its timeout as a whole."""
    if connection.sock is None:
        connection.connect()
    connection.sock.settimeout(remaining())
    connection.sock.sendall(data)


class _Connection(HTTPConnection):
    response_class = _DeadlineResponse

    def _new_conn(self) -> socket.socket:
        return _dial(self)

    def send(self, data: Any) -> None:
        _send(self, data)


class _TlsConnection(HTTPSConnection):
    response_class = _DeadlineResponse

    def _new_conn(self) -> socket.socket:
        return _dial(self)

    def send(self, data: Any) -> None:
        _send(self, data)


class _Shelf:
    """
    Idle connections, last in first out, without a lock.

    A fork may happen while another thread is in the pool. A lock would then be held for ever in
    the child, and the first thing the child does with its parent's pool is to let it go, which
    empties the shelf.
    """

    def __init__(self, maxsize: int = 0) -> None:
        self._idle: deque[Any] = deque()
        self._room = maxsize

    def put(self, connection: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ARG002 - a queue's signature
        if len(self._idle) >= self._room:
            raise Full
        self._idle.append(connection)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ARG002 - a queue's signature
        try:
            return self._idle.pop()
        except IndexError:
            raise Empty from None

    def qsize(self) -> int:
        return len(self._idle)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection
    QueueCls: Any = _Shelf


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
    QueueCls: Any = _Shelf

    def _validate_conn(self, conn: Any) -> None:
        """Connect; unverified TLS was asked for, so there is nothing to warn of each time."""
        if conn.is_closed:
            conn.connect()


#: What a pool manager is to build, by scheme.
POOLS: dict[str, Any] = {"http": _Pool, "https": _TlsPool}
