"""
urllib3 connections that keep one deadline for a whole exchange, and pools that survive a fork.

urllib3's timeouts are per socket call: a server that sends a byte a second keeps a reader for
ever, and a host with four dead addresses takes four connect timeouts. Here every socket call of
an exchange, from the first connect to the last byte of the body, is given what is left until the
one deadline that `until` has set for this thread. Looking up a name is the exception: the
resolver has its own timeout, usually 5 to 10 seconds, and cannot be interrupted.

A fork. A child has a copy of each connection that a request of its parent is under way on. No
thread that made one lives on in the child; but under gevent those threads are greenlets, which
do, and would take the answer from the parent or send the rest of a request once more. So a child
puts a socket without another end in the place of each, and `remaining` lets nobody begin anew.
"""

from __future__ import annotations

import _socket  # gevent's would use its loop, which is not ready right after a fork
import http.client
import os
import socket
import struct
import sys
import threading
from collections import deque
from contextlib import contextmanager, suppress
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

#: How much longer than until its deadline an exchange may take, in seconds.
TOLERANCE_S = 0.02

_exchange = threading.local()
#: What a forked child lets go of, ``{descriptor: (device, inode)}``. A descriptor may be closed
#: and used again by anybody, and may change hands on the way to TLS; the inode stays the socket's.
_dialed: dict[int, tuple[int, int]] = {}


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Every socket call of this thread inside the block ends at *deadline*, by `monotonic`."""
    _exchange.deadline, _exchange.pid, _exchange.waited_s = deadline, os.getpid(), None
    try:
        yield
    finally:
        del _exchange.deadline, _exchange.pid, _exchange.waited_s


def remaining() -> float:
    """
    Seconds left for this thread's exchange.

    Raises:
        TimeoutError: None are.
        ConnectionAbortedError: The exchange is that of a process this one was forked from.
    """
    if _exchange.pid != os.getpid():
        raise ConnectionAbortedError("the exchange is the parent's")
    left: float = _exchange.deadline - monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left


def waited() -> float | None:
    """Seconds the server took for the answer of this thread's exchange; None if nobody knows."""
    seconds: float | None = _exchange.waited_s
    return seconds


#: Where Linux tells in ``struct tcp_info`` how many ms ago data was sent, and received.
_SENT_AND_RECEIVED, _AT = struct.Struct("=I4xI"), 44


def _kernels_wait(sock: Any) -> float | None:
    """
    Seconds from the last data sent to the last data received; None where the kernel does not tell.

    By our own clock it would also count how long this thread then waited for the interpreter: in
    a busy program that is longer than most servers take.
    """
    if sys.platform != "linux":
        return None
    try:
        size = _AT + _SENT_AND_RECEIVED.size
        told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, size)
        sent, received = _SENT_AND_RECEIVED.unpack_from(told, _AT)
    except (AttributeError, OSError, struct.error):  # TLS in TLS; not TCP; an old kernel
        return None
    seconds: float = max(0, sent - received) / 1000
    return seconds


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
        _limit(self._socket)
        return self._file.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _Lines(BufferedReader):
    """Lines of an answer; `http.client` takes an end in the middle of the headers for their end."""

    in_head = True

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line and self.in_head:
            raise http.client.RemoteDisconnected("the answer ended in its headers")
        return line


class _DeadlineResponse(http.client.HTTPResponse):
    """Reads status, headers and body within the deadline."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self._lines = self.fp = _Lines(_DeadlineReader(sock))
        self._socket = sock

    def begin(self) -> None:
        super().begin()
        self._lines.in_head = False
        _exchange.waited_s = _kernels_wait(self._socket)


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
        sock = _Socket(family, kind, protocol)
        _dialed[sock.fileno()] = _identity(sock.fileno())
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


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _limit(sock: socket.socket) -> None:
    """
    Give the socket's next call what is left until the deadline.

    Setting a timeout is a system call, during which another thread takes the interpreter; so a
    timeout that is right within `TOLERANCE_S` is left alone.
    """
    left = remaining()
    set_before = sock.gettimeout()
    if set_before is None or not left <= set_before <= left + TOLERANCE_S:
        sock.settimeout(left + TOLERANCE_S / 2)


class _Socket(socket.socket):
    """A socket whose timeout is `_limit`'s: urllib3 would take it off twice in each request."""

    def settimeout(self, value: float | None) -> None:
        if value is not None:
            super().settimeout(value)


#: Windows has no such call, and TLS none that works.
_GATHERS = hasattr(socket.socket, "sendmsg")


class _Sending(HTTPConnection):
    """
    Sends within the deadline, and head and body in one piece.

    Each system call lets another thread take the interpreter, and a busy host gives it back only
    after its switch interval of 5 ms.
    """

    response_class = _DeadlineResponse
    _head: bytes | None = None

    def _new_conn(self) -> socket.socket:
        return _dial(self)

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._head = b""
        try:
            super().request(*args, **kwargs)
        finally:
            head, self._head = self._head, None
        if head:  # there was no body
            self.send(head)

    def send(self, data: Any) -> None:
        if self._head == b"":
            self._head = data
            return
        if self.sock is None:
            self.connect()
        if self._head is not None:
            data, self._head = self._begin(self._head, data), None
        if data:
            _limit(self.sock)
            self.sock.sendall(data)  # keeps its timeout as a whole

    def _begin(self, head: bytes, body: bytes) -> bytes | memoryview:
        """Send of *head* and *body* what one system call takes; the rest is returned."""
        if not _GATHERS or not isinstance(self.sock, _Socket):
            return head + body
        _limit(self.sock)
        sent = self.sock.sendmsg((head, body))
        if sent < len(head):
            return head[sent:] + body
        return memoryview(body)[sent - len(head) :]


class _Connection(_Sending, HTTPConnection):
    pass


class _TlsConnection(_Sending, HTTPSConnection):
    pass


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


def _disconnect() -> None:
    """In a forked child: connect the parent's sockets to nothing, without a word on the wire."""
    with suppress(OSError):  # no descriptor free
        nothing, other_end = _socket.socketpair()
        other_end.close()
        for descriptor, identity in _dialed.items():
            with suppress(OSError):  # closed meanwhile
                if _identity(descriptor) == identity:
                    os.dup2(nothing.fileno(), descriptor, inheritable=False)
        nothing.close()
    _dialed.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disconnect)

#: What a pool manager is to build, by scheme.
POOLS: dict[str, Any] = {"http": _Pool, "https": _TlsPool}
