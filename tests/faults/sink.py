"""A real HTTP server on loopback that records the id of every event it stored."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self

from faults import bodies
from faults.rules import Answer
from faults.wire import Connection, Incoming

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from faults.rules import Rule

#: How a connection is met: ``serve``, ``reset`` at once, or ``hang`` without reading a byte.
Welcome = Literal["serve", "reset", "hang"]
_OK = Answer()
#: A strict server refuses the whole batch; this answer can only appear when a client is at fault.
_NOT_JSON = Answer(400, stored=False, body=b'{"code":"invalid_json"}')


class Exchange:
    """One request and what became of it."""

    def __init__(self, request: Incoming) -> None:
        self.request = request
        #: When its head was read, by the monotonic clock all processes of a host share.
        self.at = time.monotonic()
        #: Which connection it came on.
        self.connection = id(request._connection)
        #: 0 while there is no answer.
        self.status = 0
        #: True once the whole answer is on the wire.
        self.answered = False
        #: Whether the client may have taken its answer for none.
        self.doubtful = True
        #: Ids the sink holds because of this request.
        self.stored: list[str] = []

    @cached_property
    def json(self) -> bytes:
        """The inflated body."""
        return bodies.inflated(self.request.body, self.request.headers.get("content-encoding", ""))

    @cached_property
    def events(self) -> list[bodies.Event]:
        """The events of the body, in order."""
        return bodies.events_of(self.json) if self.request.method == "POST" else []

    @property
    def ids(self) -> list[str]:
        """Their ids."""
        return [bodies.id_of(event) for event in self.events]


class FaultSink:
    """
    Accepts everything, unless a rule says otherwise.

    A thread per connection. `stop` drops the listener and every connection; `start` takes the
    same port again. Use `accepted` and `duplicates` to reconcile, `exchanges` for the details.

    Args:
        tls: The server's context; None for plain HTTP.
        inside: Runs what opens the sockets, in another network namespace if need be.

    Attributes:
        tls: May be replaced: connections from then on get the new one.
        welcome: How connections are met from now on.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        inside: Callable[[Callable[[], socket.socket]], socket.socket] = lambda work: work(),
    ) -> None:
        self.tls = tls
        self.welcome: Welcome = "serve"
        self._inside = inside
        self.exchanges: list[Exchange] = []
        self._accepted: Counter[str] = Counter()
        self._rules: tuple[Rule, ...] = ()
        self._changed = threading.Condition()
        self._connections: set[Connection] = set()
        self._listener: socket.socket | None = None
        self._reserved: socket.socket | None = None
        self._unhang = threading.Event()
        self.port = 0

    def start(self) -> Self:
        """Listen; on the port of last time if there was one."""
        address = ("127.0.0.1", self.port)
        listener = self._inside(lambda: socket.create_server(address, backlog=128))
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._release_port()
        self._unhang = threading.Event()
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()
        return self

    def close(self) -> None:
        """Stop for good: the port is free again."""
        self.stop()
        self._release_port()

    def stop(self) -> None:
        """Refuse connections and reset the open ones, until the next `start`."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        self._unhang.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        self._reserved = self._inside(lambda: _reserve(self.port))
        listener.close()
        with self._changed:
            open_ones = list(self._connections)
        for connection in open_ones:
            connection.close()

    def _release_port(self) -> None:
        reserved, self._reserved = self._reserved, None
        if reserved is not None:
            reserved.close()

    def plan(self, *rules: Rule) -> Self:
        """Replace the rules; the first one that answers wins."""
        self._rules = rules
        return self

    @property
    def listening(self) -> bool:
        """Whether it was started, and not stopped since."""
        return self._listener is not None

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def accepted(self) -> set[str]:
        """Ids of all stored events."""
        with self._changed:
            return set(self._accepted)

    @property
    def duplicates(self) -> dict[str, int]:
        """Ids stored more than once, and how often in excess."""
        with self._changed:
            return {id_: count - 1 for id_, count in self._accepted.items() if count > 1}

    @property
    def events(self) -> list[bodies.Event]:
        """Every event of every request, whether it was stored or not."""
        return [event for exchange in list(self.exchanges) for event in exchange.events]

    def wait(self, condition: Callable[[], bool], timeout: float = 30.0) -> None:
        """
        Return as soon as *condition* holds; it is asked after every request.

        Raises:
            TimeoutError: It did not within *timeout* seconds.
        """
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                raise TimeoutError(f"{len(self.exchanges)} requests came, not what was awaited")

    def wait_for_requests(self, count: int, timeout: float = 30.0) -> None:
        """Return once *count* requests were read."""
        self.wait(lambda: len(self.exchanges) >= count, timeout)

    def wait_for_events(self, count: int, timeout: float = 30.0) -> None:
        """Return once *count* different events are stored."""
        self.wait(lambda: len(self._accepted) >= count, timeout)

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _address = listener.accept()
            except OSError:
                return  # stopped
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def _talk(self, sock: socket.socket) -> None:
        connection = Connection(sock)
        with self._changed:
            self._connections.add(connection)
        try:
            if not self._welcomed(connection):
                return
            while (head := connection.head()) and self._exchange(Incoming(head, connection)):
                pass
        except OSError:
            pass  # the client or the test cut it
        finally:
            with self._changed:
                self._connections.discard(connection)
            connection.close()

    def _welcomed(self, connection: Connection) -> bool:
        """Whether the connection gets as far as a request."""
        if self.welcome == "reset":
            connection.reset()
        elif self.welcome == "hang":
            self._unhang.wait()
        elif self.tls is not None:
            connection.secure(self.tls)
        return self.welcome == "serve"

    def _exchange(self, request: Incoming) -> bool:
        """Answer one request; False when the connection is over."""
        exchange = Exchange(request)
        answer = self._choose(exchange)
        if answer.ending == "reset_mid_body":
            request.half()
            self._record(exchange, answer)
            request._connection.reset()
            return False
        request.body  # noqa: B018 - reads it off the wire
        self._record(exchange, answer)
        if answer.before:
            answer.before(exchange)
        return self._finish(exchange, answer)

    def _choose(self, exchange: Exchange) -> Answer:
        try:
            for rule in self._rules:
                answer = rule(exchange)
                if answer is not None:
                    return answer
            exchange.events  # noqa: B018 - parses them
        except ValueError:
            return _NOT_JSON
        return _OK

    def _record(self, exchange: Exchange, answer: Answer) -> None:
        stored = answer.stored if answer.stored is not None else answer.status < 300
        if stored:
            only = answer.only
            exchange.stored = [i for i in exchange.ids if only is None or i in only]
        with self._changed:
            self.exchanges.append(exchange)
            self._accepted.update(exchange.stored)
            self._changed.notify_all()

    def _finish(self, exchange: Exchange, answer: Answer) -> bool:
        connection = exchange.request._connection
        if answer.wait_s:
            self._unhang.wait(answer.wait_s)
        if answer.ending == "hang":
            self._unhang.wait()
            return False
        if answer.ending == "reset":
            connection.reset()
            return False
        if not self._speak(connection, answer):
            return False
        with self._changed:
            exchange.status = answer.status
            exchange.answered = True
            exchange.doubtful = answer.doubtful
            self._changed.notify_all()
        if answer.after:
            answer.after(exchange)
        return answer.ending == "answer"

    def _speak(self, connection: Connection, answer: Answer) -> bool:
        """Put the answer on the wire; whether all of it got there."""
        data = _rendered(answer)
        while answer.ending == "endless":
            connection.send(data[:-_BLANK])
            data = b"X-More: and more\r\n\r\n"
        whole = answer.ending not in {"cut", "reset_mid_answer"}
        data = data if whole else data[: len(data) // 2]
        if not answer.pace_s:
            connection.send(data)
        for byte in data if answer.pace_s else b"":
            connection.send(bytes([byte]))
            if self._unhang.wait(answer.pace_s):
                return False
        if answer.ending == "reset_mid_answer":
            connection.reset()
        return whole


#: Length of the line that ends an answer's headers.
_BLANK = 2


def _reserve(port: int) -> socket.socket:
    """Hold *port* without listening: connections are refused, and nobody else gets it."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", port))
    return reserved


def _rendered(answer: Answer) -> bytes:
    headers = {"Content-Type": "application/json", **answer.headers}
    headers["Content-Length"] = str(len(answer.body) if answer.length is None else answer.length)
    if answer.ending == "close":
        headers["Connection"] = "close"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {answer.status} X\r\n{lines}\r\n".encode() + answer.body
