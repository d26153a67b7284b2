"""Calls a client and holds what comes of it to the laws for values."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from faults import bodies
from penstock import Client, Config, PenstockError
from penstock.dialects._posthog_ids import event_uuid
from penstock.errors import FieldError
from penstock.transport import Response

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hostile.calls import Call
    from hostile.made import Made
    from penstock import Destination
    from penstock.errors import DeliveryError
    from penstock.transport import Request
    from penstock.values import Coercion

#: Seconds of this thread's own time one call may take; code of the host that sleeps is not in it.
MOST_CPU_S = 3.0
#: Containers inside each other: the message's own, and two that PostHog's format adds.
MOST_DEPTH = 36
#: Bytes of one event as it is sent, above any destination's limit.
MOST_BYTES = 600_000


class Illegal(pytest.fail.Exception):
    """
    A law was broken; the text says which, and by what kind of value.

    It is shown without a traceback: some values take for ever to show.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text, pytrace=False)


class Reader:
    """
    A transport that reads every request as the strictest server would, and accepts it.

    It runs on delivery threads: what it finds wrong is kept for `Court.close`.
    """

    def __init__(self) -> None:
        self.arrived: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._lock = threading.Lock()

    def send(self, request: Request, timeout: float) -> Response:  # noqa: ARG002 - no time passes
        """Note the ids of the events of *request*, or what is wrong with it."""
        ids: list[str] = []
        try:
            headers = {name.lower(): value for name, value in request.headers.items()}
            body = bodies.inflated(request.body, headers.get("content-encoding", ""))
            ids = [_read(event) for event in bodies.events_of(body)]
            strictly_parsed(body)
        except Exception as error:  # noqa: BLE001 - told at the end
            self.wrong.append(f"{type(error).__name__}: {error}"[:300])
        with self._lock:
            self.arrived.update(ids)
        results = json.dumps({"results": {key: {"result": "ok"} for key in ids}})
        return Response(200, {}, results.encode())

    def close(self) -> None:
        """Nothing is open."""


def strictly_parsed(data: bytes) -> Any:
    """
    As RFC 8259 has it: UTF-8, no NaN, no name twice in one object.

    Raises:
        ValueError: It is not; UnicodeDecodeError is one.
    """
    return json.loads(data.decode(), parse_constant=_refuse, object_pairs_hook=_unique)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _read(event: dict[str, Any]) -> str:
    """The id of an event that is neither too long nor too deep, in the form all formats have."""
    size = len(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MOST_BYTES or depth(event) > MOST_DEPTH:
        raise ValueError(f"{size} bytes, {depth(event)} levels")
    return event_uuid(bodies.id_of(event))


def depth(value: Any) -> int:
    """Containers inside each other."""
    children: Iterable[Any] = ()
    if isinstance(value, dict):
        children = value.values()
    elif isinstance(value, list):
        children = value
    else:
        return 0
    return 1 + max(map(depth, children), default=0)


class Court:
    """
    One client, called again and again.

    Args:
        destinations: Where its events go, by name in the reader.
        journal: Its directory.
    """

    def __init__(self, destinations: tuple[Destination, ...], journal: Path) -> None:
        self.reader = Reader()
        self.accepted: set[str] = set()
        self.dead: dict[str, str] = {}
        #: Since the last call that was heard began.
        self.reports: list[Coercion] = []
        self._told: Counter[str] = Counter()
        self._destinations = len(destinations)
        self.client = Client(
            *destinations,
            config=Config(transport=self.reader, journal=journal, callback=self, interval=0.05),
        )

    # -- what the client tells

    def success(self, message: dict[str, Any]) -> None:
        """A delivery; the reader knows of it."""

    def failure(self, message: dict[str, Any], error: DeliveryError) -> None:
        """A death."""
        self.dead[message["messageId"]] = error.reason

    def coerced(self, coercion: Coercion) -> None:
        """A change."""
        self.reports.append(coercion)
        self._told[coercion.reason] += 1

    # -- the trial

    def hear(self, call: Call, values: list[Made]) -> None:
        """
        Make *call*, which carries *values*.

        Raises:
            Illegal: It did what the laws forbid.
        """
        self.reports.clear()
        began = time.thread_time()
        identity = self._answer(call, values)
        took = time.thread_time() - began
        if took > MOST_CPU_S and not any(made.slow for made in values):
            raise Illegal(f"{took:.1f} s for {_names(values)}")
        if identity is not None:
            self.accepted.add(identity)
            if call.once and identity not in self.dead:
                self._compare(values)

    def _answer(self, call: Call, values: list[Made]) -> str | None:
        """The message id; None where a misuse was told, or the program was to end."""
        try:
            identity = call.make(self.client)
        except FieldError as error:
            if error.field in call.fields:
                return None
            raise Illegal(f"{error} for {_names(values)}") from error
        except PenstockError as error:
            raise Illegal(f"{error!r} for {_names(values)}") from error
        except (KeyboardInterrupt, SystemExit) as error:
            if any(made.stops for made in values):
                return None
            raise Illegal(f"{error!r} for {_names(values)}") from error
        except BaseException as error:
            raise Illegal(f"{type(error).__name__} left a call: {_names(values)}") from error
        if type(identity) is not str or not identity:
            raise Illegal(f"{type(identity)} as an id for {_names(values)}")
        return identity

    def _compare(self, values: list[Made]) -> None:
        """Each coercion was told once, where it is known how many there are."""
        if all(made.told is not None for made in values):
            expected = Counter(reason for made in values for reason in made.told or ())
            found = Counter(report.reason for report in self.reports)
            if found != expected:
                raise Illegal(f"told {dict(found)}, not {dict(expected)} for {_names(values)}")

    def verdict(self) -> None:
        """
        Close the client, and hold the sums to the laws.

        Raises:
            Illegal: An event is missing, a request was not JSON, or a count is wrong.
        """
        ledger = self.client.close(timeout=60)
        if self.reader.wrong:
            raise Illegal(f"{len(self.reader.wrong)} requests: {self.reader.wrong[:3]}")
        if lost := self.lost():
            raise Illegal(f"{len(lost)} lost: {sorted(lost)[:3]}")
        if dict(self._told) != ledger.coerced:
            raise Illegal(f"the ledger has {ledger.coerced}, told were {dict(self._told)}")
        if not ledger.balanced or ledger.pending:
            raise Illegal(f"{ledger}")

    def lost(self) -> set[str]:
        """Accepted, and neither arrived at every destination nor dead for a reason."""
        arrived = self.reader.arrived
        there = {i for i in self.accepted if arrived[event_uuid(i)] >= self._destinations}
        return self.accepted - there - set(self.dead)


def _names(values: list[Made]) -> str:
    """What kinds of values they are, without running any of their code."""
    return ", ".join(type.__dict__["__name__"].__get__(type(made.value)) for made in values)
