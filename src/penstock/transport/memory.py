"""
A transport that stays in memory: answers from a script, and a record of what was sent.

    transport = MemoryTransport([500, 429, 200])
    transport = MemoryTransport(lambda request: Response(200, {}, b"ok"))

It is public: test your own program's events with it.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from penstock.transport._types import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: What a script may say for one request: a response, a status, or an error to raise.
Reply = Response | int | Exception

#: Largest body that is inflated for `Sent.body`, in bytes.
MAX_INFLATED_BYTES = 64 * 1024 * 1024


class Sent(NamedTuple):
    """One request as it was sent."""

    request: Request
    #: The body, inflated.
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return msgspec.json.decode(self.body)


class MemoryTransport:
    """
    Records requests and answers them.

    Args:
        script: What to answer. A function is called with each request, on the thread that sends;
            anything else is gone through once, one reply per request. Where it says nothing (None,
            or after its end) the answer is 200. An `Exception` is raised, a number is a status.
    """

    def __init__(
        self, script: Callable[[Request], Reply | None] | Iterable[Reply] | None = None
    ) -> None:
        self._changed = threading.Condition()
        self._sent: list[Sent] = []
        self._answer = script if callable(script) else None
        self._replies: deque[Reply] = deque(() if script is None or callable(script) else script)
        self.closed = False

    def send(self, request: Request, timeout: float) -> Response:  # noqa: ARG002 - no time passes here
        """Record *request* and answer it by the script."""
        record = Sent(request, _inflated(request))
        with self._changed:
            self._sent.append(record)
            self._changed.notify_all()
            reply = self._replies.popleft() if self._replies else None
        if self._answer is not None:
            reply = self._answer(request)
        if isinstance(reply, Exception):
            raise reply
        return _response(reply)

    def close(self) -> None:
        """Remember that it was closed; it goes on working."""
        self.closed = True

    @property
    def sent(self) -> list[Sent]:
        """What was sent so far, oldest first: a copy."""
        with self._changed:
            return list(self._sent)

    @property
    def requests(self) -> list[Request]:
        """The requests so far, oldest first."""
        return [record.request for record in self.sent]

    @property
    def bodies(self) -> list[Any]:
        """The parsed JSON bodies so far, oldest first; requests without a body are left out."""
        return [record.json for record in self.sent if record.body]

    def wait_for(self, count: int, timeout: float = 5.0) -> list[Sent]:
        """
        Wait until *count* requests were sent in all, for at most *timeout* seconds.

        Raises:
            TimeoutError: Fewer were.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._sent) >= count, timeout):
                raise TimeoutError(f"{len(self._sent)} of {count} requests after {timeout} s")
            return list(self._sent)

    def __repr__(self) -> str:
        return f"MemoryTransport({len(self._sent)} sent)"


def _response(reply: Response | int | None) -> Response:
    if isinstance(reply, Response):
        return reply
    status = 200 if reply is None else reply
    return Response(status, {}, b'{"success":true}' if status < 300 else b"")  # noqa: PLR2004 - success


def _inflated(request: Request) -> bytes:
    headers = {name.lower(): value for name, value in request.headers.items()}
    codec = headers.get("content-encoding", "")
    if not codec:
        return request.body
    from penstock.transport.compression import decompress

    return decompress(request.body, codec, MAX_INFLATED_BYTES)
