"""A scripted server on loopback: one function per connection, for the transport's own tests."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Self

from faults.wire import Connection

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    Script = Callable[["Visit"], None]


class Received(NamedTuple):
    """One request as the server read it."""

    #: Which connection it came on, from 1.
    connection: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Visit:
    """One connection from the server's side."""

    def __init__(self, number: int, sock: socket.socket, server: Loopback) -> None:
        self.number = number
        self.sock = sock
        self.server = server
        self._wire = Connection(sock)

    def read(self) -> Received | None:
        """The next request; None when the client hung up."""
        head = self._wire.head()
        if head is None:
            return None
        body = self._wire.take(int(head.headers.get("content-length", "0")))
        received = Received(self.number, head.method, head.path, head.headers, body)
        self.server.received.append(received)
        return received

    def write(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, status: int = 200, body: bytes = b"ok", **headers: str) -> None:
        """A whole response; underscores in header names stand for hyphens."""
        lines = [f"HTTP/1.1 {status} Words", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.write("\r\n".join([*lines, "", ""]).encode() + body)

    def reset(self) -> None:
        """Close so that the client gets a reset, not an end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def wait_for_hangup(self) -> None:
        """Read until the client closes."""
        while self.sock.recv(65536):
            pass


def polite(visit: Visit) -> None:
    """Answer every request of a connection with 200."""
    while visit.read():
        visit.answer()


class Loopback:
    """
    Accepts connections and runs *script* for each in a thread of its own.

    Args:
        script: What to do with a connection.
        tls: The server's context; None for plain HTTP.
    """

    def __init__(self, script: Script = polite, tls: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._tls = tls
        self._threads: list[threading.Thread] = []
        self._socks: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.received: list[Received] = []
        self.connections = 0

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._socks:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._socks.append(sock)
            number = self.connections
            self._start(lambda sock=sock, number=number: self._serve(number, sock))  # type: ignore[misc]

    def _serve(self, number: int, sock: socket.socket) -> None:
        with suppress(OSError):
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
                self._socks.append(sock)
            with sock:
                self._script(Visit(number, sock, self))
