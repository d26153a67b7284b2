"""
What the sink answers.

A rule looks at a request and returns an `Answer`, or None to leave it to the next rule; when none
speaks, the sink accepts. Rules hold their own state, so a test reads as a list of what happens.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from faults.sink import Exchange

Rule = Callable[["Exchange"], "Answer | None"]
#: ``answer`` keeps the connection, ``close`` ends it after the answer, ``reset`` resets it instead
#: of answering, ``reset_mid_body`` does so with half the body unread, ``hang`` never answers;
#: ``cut`` and ``reset_mid_answer`` end or reset it half-way through the answer, ``endless`` goes
#: on with one header after the other.
Ending = Literal[
    "answer", "close", "reset", "reset_mid_body", "hang", "cut", "reset_mid_answer", "endless"
]


@dataclass(frozen=True)
class Answer:
    """One answer, or the lack of it."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"success":true}'
    ending: Ending = "answer"
    #: Whether the events count as stored; None: when the status is 2xx.
    stored: bool | None = None
    #: Ids of the batch that are stored, when not all are.
    only: frozenset[str] | None = None
    #: Seconds between the request's last byte and the answer's first.
    wait_s: float = 0.0
    #: Seconds between two bytes of the answer.
    pace_s: float = 0.0
    #: The length that is announced, when it is not that of the body.
    length: int | None = None
    #: Called when the body was read and recorded, before the answer leaves.
    before: Callable[[Exchange], None] | None = None
    #: Called once the answer is on the wire.
    after: Callable[[Exchange], None] | None = None

    @property
    def doubtful(self) -> bool:
        """Whether a client may take it for no answer, or for one that asks to come again."""
        sound = self.status < 300 and self.length is None and not self.pace_s and not self.wait_s
        return not sound


def status(code: int, **headers: str) -> Answer:
    """A plain answer; ``retry_after="2"`` becomes ``Retry-After: 2``."""
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return Answer(code, named, json.dumps({"success": code < 300, "code": str(code)}).encode())


def http_date(seconds_from_now: float) -> str:
    """A ``Retry-After`` in its other form; whole seconds, so up to one less than asked."""
    from time import time

    return formatdate(time() + seconds_from_now, usegmt=True)


#: The connection dies with half of the body unread: nothing is stored.
RESET_MID_BODY = Answer(ending="reset_mid_body", stored=False)
#: The batch is stored and the answer never arrives.
LOST_ANSWER = Answer(ending="reset", stored=True)
#: The connection is taken and never answered.
BLACK_HOLE = Answer(ending="hang", stored=False)


class Run:
    """The given answers to the first requests that hold events, one each; then silence."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self._lock = threading.Lock()

    def __call__(self, exchange: Exchange) -> Answer | None:
        """The next answer, while there is one."""
        if exchange.request.method != "POST":
            return None
        with self._lock:
            return self._answers.pop(0) if self._answers else None


class Always:
    """The same answer to everything, until `lift` is called."""

    def __init__(self, answer: Answer) -> None:
        self._answer: Answer | None = answer

    def lift(self) -> None:
        """From now on, leave it to the next rule."""
        self._answer = None

    def __call__(self, _exchange: Exchange) -> Answer | None:
        """The answer."""
        return self._answer


def too_large(limit_bytes: int) -> Rule:
    """413 for any body above *limit_bytes* on the wire."""

    def rule(exchange: Exchange) -> Answer | None:
        return status(413) if len(exchange.request.body) > limit_bytes else None

    return rule


def poison(names: Collection[str]) -> Rule:
    """400 for any batch that holds an event with one of these *names*."""

    def rule(exchange: Exchange) -> Answer | None:
        return status(400) if any(e.get("event") in names for e in exchange.events) else None

    return rule


class Verdicts:
    """
    PostHog V1's per-event results.

    Args:
        by_name: ``{event name: [result of its first attempt, of its second, ...]}``; the last
            one stays. Everything else is ``ok``.
    """

    def __init__(self, by_name: dict[str, list[str]]) -> None:
        self._left = {name: list(results) for name, results in by_name.items()}

    def __call__(self, exchange: Exchange) -> Answer | None:
        """200 with one result per uuid."""
        results = {str(e["uuid"]): self._next(str(e["event"])) for e in exchange.events}
        body = json.dumps({"results": {uuid: {"result": r} for uuid, r in results.items()}})
        taken = frozenset(uuid for uuid, r in results.items() if r not in {"drop", "retry"})
        return Answer(200, body=body.encode(), only=taken)

    def _next(self, name: str) -> str:
        left = self._left.get(name)
        if not left:
            return "ok"
        return left.pop(0) if len(left) > 1 else left[0]


class Nodes:
    """RudderStack's proxy: 451 until the client knows the node count of ``/cluster-info``."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self, exchange: Exchange) -> Answer | None:
        """The count for whoever asks; 451 for whoever assumes another one."""
        if exchange.request.path == "/cluster-info":
            return Answer(body=json.dumps({"nodeCount": self.count}).encode())
        stale = exchange.request.headers.get("rs-nodecount") != str(self.count)
        return status(451) if stale else None
