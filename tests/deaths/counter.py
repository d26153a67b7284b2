"""
A server that counts: which event came when, in which request, for which key.

A program of its own, because it takes what hundreds of dying processes send a second. It parses
every body, but keeps no more of it than what a reconciliation needs. What it does to the
requests of a key is told by ``POST /plan``; ``POST /take`` hands out what came for some keys.
"""

from __future__ import annotations

import json
import random
import socket
import sys
import threading
import time
from base64 import b64decode
from collections import defaultdict
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from deaths.events import is_intact
from faults import bodies
from faults.wire import Connection, Incoming

if TYPE_CHECKING:
    from collections.abc import Iterable

_ANSWER = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


class Plan(NamedTuple):
    """What becomes of the requests for one key."""

    #: Every connection is cut before anything is stored.
    down: bool = False
    #: Part of the requests that are refused, cut, or stored and then cut.
    faulty: float = 0.0
    #: Longest wait before an answer, in seconds.
    wait_s: float = 0.0


class Request(NamedTuple):
    """A request whose events were stored."""

    #: Milliseconds since 1970 by the sender's clock: ``sentAt``.
    sent_ms: int
    #: Whether the sender was kept from knowing that they were stored.
    cut: bool
    #: ``(message id, user id, whether it is what was tracked)`` of each event.
    events: list[tuple[str, str, bool]]


class Counter:
    """The server."""

    def __init__(self) -> None:
        self._stored: dict[str, list[Request]] = defaultdict(list)
        self._plans: dict[str, Plan] = {}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]

    def serve(self) -> None:
        """Take connections until the process is killed."""
        while True:
            sock, _address = self._listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._talk, args=(Connection(sock),), daemon=True).start()

    def _talk(self, connection: Connection) -> None:
        try:
            while (head := connection.head()) and self._answer(Incoming(head, connection)):
                pass
        except OSError:
            pass  # the sender was killed
        finally:
            connection.close()

    def _answer(self, request: Incoming) -> bool:
        """Answer; False when the connection is over."""
        control = {"/plan": self._plan, "/take": self._take}.get(request.path)
        if control is not None:
            answer = json.dumps(control(json.loads(request.body))).encode()
            request._connection.send(_ANSWER % (200, len(answer), answer))
            return True
        key = b64decode(request.headers["authorization"].split()[1]).decode().rstrip(":")
        plan = self._plans.get(key, Plan())
        if plan.down:
            return False
        return self._store(request, key, plan)

    def _store(self, request: Incoming, key: str, plan: Plan) -> bool:
        body = bodies.inflated(request.body, request.headers.get("content-encoding", ""))
        fault = random.choice(("cut", "503", "stored")) if random.random() < plan.faulty else ""
        if plan.wait_s:
            time.sleep(random.random() * plan.wait_s)  # what a network takes
        if fault in {"", "stored"}:
            self._stored[key].append(_request(body, cut=fault == "stored"))
        if fault in {"cut", "stored"}:
            return False
        answer = b'{"success":true}'
        request._connection.send(_ANSWER % (503 if fault else 200, len(answer), answer))
        return True

    def _plan(self, plans: dict[str, list[Any]]) -> bool:
        self._plans.update({key: Plan(*plan) for key, plan in plans.items()})
        return True

    def _take(self, keys: list[str]) -> dict[str, list[Request]]:
        for key in keys:
            self._plans.pop(key, None)
        return {key: self._stored.pop(key, []) for key in keys}


def _request(body: bytes, *, cut: bool) -> Request:
    parsed = orjson.loads(body)
    events = parsed["batch"]
    sent_at = parsed.get("sentAt") or events[0]["sentAt"]
    rows = [(bodies.id_of(e), str(e.get("userId")), is_intact(e)) for e in events]
    return Request(_milliseconds(sent_at), cut, rows)


def _milliseconds(timestamp: str) -> int:
    from datetime import datetime

    return round(datetime.fromisoformat(timestamp).timestamp() * 1000)


class Desk:
    """Talks to the counter about keys, from any process."""

    def __init__(self, port: int) -> None:
        self._port = port

    def plan(self, plans: dict[str, Plan]) -> None:
        """From now on treat the requests for these keys like this."""
        self._post("/plan", plans)

    def take(self, keys: Iterable[str]) -> dict[str, list[Request]]:
        """What was stored for *keys*, in order; the counter forgets it."""
        found = self._post("/take", list(keys))
        return {
            key: [Request(sent, cut, [(i, u, ok) for i, u, ok in rows]) for sent, cut, rows in all_]
            for key, all_ in found.items()
        }

    def _post(self, path: str, document: Any) -> Any:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request("POST", path, json.dumps(document))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


def main() -> None:
    """Tell the port, then serve."""
    counter = Counter()
    sys.stdout.write(f"{counter.port}\n")
    sys.stdout.flush()
    counter.serve()


if __name__ == "__main__":
    main()
