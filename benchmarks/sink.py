"""
The server of the measurements: a process of its own, as cheap as Python makes it.

    python benchmarks/sink.py count   # takes everything, counts events
    python benchmarks/sink.py hole    # takes everything, answers nothing; SIGUSR1 turns it to count

Prints its port. ``GET /count`` answers the number of events taken so far. Compressed bodies are
kept and inflated only then, so that inflating costs nobody anything while the clock runs.
"""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import sys
import threading
import zlib

#: Exactly one of these is in every event; json.dumps' default separators put a space in.
_MARKS = (b'"type":"track"', b'"type": "track"', b'"distinct_id":')
_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" + b'{"status":1}'


class Sink:
    """State shared by the connection threads."""

    def __init__(self, *, answering: bool) -> None:
        self.answering = answering
        self._plain = 0
        self._gzipped: list[bytes] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    def serve(self, listener: socket.socket) -> None:
        """Accept for ever."""
        while True:
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def wake(self, *_signal: object) -> None:
        """From now on, answer; whoever waits is cut off."""
        self.answering = True
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _talk(self, sock: socket.socket) -> None:
        self._open.add(sock)
        buffer = bytearray()
        with contextlib.suppress(ConnectionError), sock:
            while self._one(sock, buffer):
                pass
        self._open.discard(sock)

    def _one(self, sock: socket.socket, buffer: bytearray) -> bool:
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            if not _fill(sock, buffer):
                return False
        found = _LENGTH.search(buffer, 0, end)
        total = end + 4 + (int(found[1]) if found else 0)
        while len(buffer) < total:
            if not _fill(sock, buffer):
                return False
        if not self.answering:
            buffer.clear()
            return True
        sock.sendall(self._answer(bytes(buffer[:total]), end + 4))
        del buffer[:total]
        return True

    def _answer(self, request: bytes, body_at: int) -> bytes:
        if request.startswith(b"GET"):
            text = str(self.count()).encode()
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)
        if request[body_at : body_at + 2] == b"\x1f\x8b":
            self._gzipped.append(request[body_at:])
        else:
            events = _events(request)
            with self._lock:
                self._plain += events
        return _OK

    def count(self) -> int:
        """Events taken so far."""
        inflated = (zlib.decompress(body, 31) for body in list(self._gzipped))
        return self._plain + sum(_events(body) for body in inflated)


def _events(body: bytes) -> int:
    return sum(body.count(mark) for mark in _MARKS)


def _fill(sock: socket.socket, buffer: bytearray) -> bool:
    data = sock.recv(1 << 18)
    buffer += data
    return bool(data)


def main(mode: str) -> None:
    """Print the port, then serve."""
    sink = Sink(answering=mode == "count")
    signal.signal(signal.SIGUSR1, sink.wake)
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    sink.serve(listener)


if __name__ == "__main__":
    main(sys.argv[1])
