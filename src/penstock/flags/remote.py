"""
Asking the provider: ``POST /flags/``, with a deadline for the whole call.

Nothing here raises: what goes wrong is an `Answer` with a failure. After several timeouts in a
row the provider is left alone for a moment, so that a slow one does not hold up every caller.

Source: the feature flags reference, 1.1, 1.2 and 6.
"""

from __future__ import annotations

import os
import time
from errno import ECONNREFUSED
from threading import Lock
from typing import TYPE_CHECKING, Any

from penstock.dialects._sender import USER_AGENT
from penstock.flags.answer import UNKNOWN, Answer, failed, read_answer
from penstock.flags.carrier import deadline_of, within
from penstock.timestamps import from_epoch_ms
from penstock.transport import Request, TransportError
from penstock.values import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.config import FlagSettings
    from penstock.flags.carrier import Carrier
    from penstock.flags.question import Question
    from penstock.flags.source import Provider
    from penstock.transport import Response

TIMEOUT = "timeout"
UNREACHABLE = "connection_error"
#: The wait before the first repetition, in seconds; it doubles. PostHog's own clients' value.
RETRY_BASE_S = 0.3
#: A gateway that got no answer: the only statuses that are worth another try within a call.
RETRIED = frozenset({502, 504})
_OK = 200
#: So many timeouts in a row, and nobody asks for `PAUSE_TIMEOUTS` times as long as the last one
#: lasted, `MAX_PAUSE_S` at most; then one caller tries.
TRIP_AFTER = 5
PAUSE_TIMEOUTS = 2
MAX_PAUSE_S = 10.0


class Breaker:
    """Whether to ask at all; thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._timeouts = 0
        self._closed_until = 0.0

    def admits(self, now: float) -> bool:
        """Whether a request may be made at *now* (monotonic seconds)."""
        if not self._closed_until:
            return True
        with self._lock:
            if now < self._closed_until:
                return False
            # One caller tries, and the others go on without until it knows.
            self._closed_until = now + MAX_PAUSE_S
            return True

    def note(self, now: float, *, timed_out: bool, lasted: float) -> None:
        """Take in how a request ended at *now*, after *lasted* seconds."""
        with self._lock:
            self._timeouts = self._timeouts + 1 if timed_out else 0
            tripped = self._timeouts >= TRIP_AFTER
            pause = min(MAX_PAUSE_S, PAUSE_TIMEOUTS * lasted)
            self._closed_until = now + pause if tripped else 0.0


class Remote:
    """
    The provider's evaluation.

    Args:
        provider: Where it is.
        settings: How to ask.
        carrier: Carries the requests.
    """

    def __init__(self, provider: Provider, settings: FlagSettings, carrier: Carrier) -> None:
        self._provider = provider
        self._settings = settings
        self._carrier = carrier
        self._breaker = Breaker()

    def restart(self) -> None:
        """In a forked child: another thread of the parent may have held the lock."""
        self._breaker = Breaker()

    def ask(self, question: Question, keys: Sequence[str] | None, timeout: float) -> Answer:
        """
        What the provider says of all flags, or of *keys*.

        Returns:
            Its answer, or a failure, *timeout* seconds later at the latest.
        """
        started = time.monotonic()
        if not self._breaker.admits(started):
            return failed(TIMEOUT)
        request = self._request(question, keys)
        if request is None:
            return failed(UNKNOWN)
        deadline = deadline_of(timeout)
        answer = within(timeout, lambda: self._insist(request, deadline))
        answer = failed(TIMEOUT) if answer is None else answer
        ended = time.monotonic()
        self._breaker.note(ended, timed_out=answer.failure == TIMEOUT, lasted=ended - started)
        return answer

    def _request(self, question: Question, keys: Sequence[str] | None) -> Request | None:
        """The request; None when the properties cannot be encoded at all."""
        try:
            body = encode(self._body(question, keys))
        except Exception:  # noqa: BLE001 - the host's objects, asked for their values
            return None
        return Request(
            "POST",
            f"{self._provider.endpoint}/flags/?v={self._settings.api_version}",
            {"Content-Type": "application/json", "User-Agent": USER_AGENT},
            body,
        )

    def _body(self, question: Question, keys: Sequence[str] | None) -> dict[str, Any]:
        person, settings = question.person, self._settings
        geoip = question.disable_geoip
        body: dict[str, Any] = {
            "api_key": self._provider.project_key,
            "distinct_id": person.distinct_id,
            "groups": person.groups,
            "person_properties": person.properties,
            "group_properties": {
                kind: {"$group_key": key, **person.group_properties.get(kind, {})}
                for kind, key in person.groups.items()
            },
            "geoip_disable": settings.disable_geoip if geoip is None else geoip,
            "evaluation_runtime": "server",
            "sent_at": from_epoch_ms(time.time_ns() // 1_000_000),
        }
        if person.device_id is not None:
            body["device_id"] = person.device_id
        if keys is not None:
            body["flag_keys_to_evaluate"] = list(keys)
        if settings.evaluation_contexts:
            body["evaluation_contexts"] = list(settings.evaluation_contexts)
        return body

    def _insist(self, request: Request, deadline: float) -> Answer:
        """Ask, and ask again where that can help and time is left."""
        for attempt in range(self._settings.retries + 1):
            answer, again = self._try(request, deadline)
            pause = RETRY_BASE_S * 2**attempt
            if not again or time.monotonic() + pause >= deadline:
                break
            if attempt < self._settings.retries:
                time.sleep(pause)
        return answer

    def _try(self, request: Request, deadline: float) -> tuple[Answer, bool]:
        """One attempt: its answer, and whether another could do better."""
        left = deadline - time.monotonic()
        if left <= 0:
            return failed(TIMEOUT), False
        try:
            response = self._carrier.send(request, left)
        except TransportError as error:
            return _no_answer(error)
        except Exception:  # noqa: BLE001 - nothing may be raised into a read
            return failed(UNKNOWN), False
        return _answer(response)


def _no_answer(error: TransportError) -> tuple[Answer, bool]:
    """A refused connection will be refused again, and so will what a test forbids."""
    if error.kind == TIMEOUT:
        return failed(TIMEOUT), True
    refused = error.kind == "connect" and error.detail == os.strerror(ECONNREFUSED)
    return failed(UNREACHABLE), not refused and error.kind != "denied"


def _answer(response: Response) -> tuple[Answer, bool]:
    if response.status == _OK:
        return read_answer(response.body), False
    return failed(f"api_error_{response.status}"), response.status in RETRIED
