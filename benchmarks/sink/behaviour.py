"""What a sink does to those who send to it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

_OK = b'{"status":1}'


@dataclass
class Behaviour:
    """
    As the command line says.

    Args:
        delay_s: Seconds it waits before an answer.
        hole: It takes and never answers, until `recover`.
        refusing: It does not listen, until `recover`.
        first: Answers to the first requests: ``{"status": 429, "headers": {"Retry-After": "2"}}``.
    """

    delay_s: float = 0.0
    hole: bool = False
    refusing: bool = False
    first: list[dict[str, Any]] = field(default_factory=list)
    _recovered: threading.Event = field(default_factory=threading.Event)

    def recover(self, *_signal: object) -> None:
        """From now on, listen and answer at once; also a signal handler."""
        self.hole, self.delay_s = False, 0.0
        self._recovered.set()

    def wait_to_listen(self) -> None:
        """Return when connections may come."""
        if self.refusing:
            self._recovered.wait()

    def wait_to_answer(self) -> bool:
        """Return when an answer is due; False when the connection is to be cut instead."""
        if self.hole:
            self._recovered.wait()
            return False
        if self.delay_s:
            self._recovered.wait(self.delay_s)
        return True

    def answer(self) -> tuple[bool, bytes]:
        """Whether the events are taken, and what is sent back."""
        if not self.first:
            return True, rendered(200, _OK)
        try:
            planned = self.first.pop(0)
        except IndexError:  # another connection had the last one
            return True, rendered(200, _OK)
        status = int(planned["status"])
        return status < 300, rendered(status, b"{}", planned.get("headers", {}))


def rendered(status: int, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """An answer as it is on the wire."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = f"HTTP/1.1 {status} X\r\n{lines}Content-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
