"""
PostHog's capture V1: ``POST /i/v1/analytics/events``, one verdict per event.

The server refuses a whole batch in which two events share a ``uuid``, so a request carries each
uuid once. Of several equal events one is sent and its verdict is everybody's: they are one
event. Different events under one uuid (a message id used twice) go out one request after the
other: those held back get the verdict ``retry`` and are first in line next time.

Source: the protocol reference, 1.5, 1.7, 2.6, 6.5 and 7.5.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.dialects._answers import (
    classify_status,
    is_success,
    retry_after_s,
    server_words,
)
from penstock.dialects._posthog_draft import properties_json
from penstock.dialects._posthog_options import OPTIONS, TOP_LEVEL, as_text
from penstock.dialects._sender import USER_AGENT
from penstock.dialects._types import (
    Accepted,
    Encoded,
    Malformed,
    Mixed,
    Rejected,
    RetryLater,
    Verdict,
)
from penstock.transport import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.dialects._posthog_defaults import Defaults
    from penstock.dialects._posthog_draft import Draft
    from penstock.dialects._types import Attempt, Outcome
    from penstock.transport import Response

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode
#: Length of ``2026-03-01T10:20:30.123Z``.
_TIME_BYTES = 24
_HISTORICAL = b'"historical_migration":true,'
_RATE_LIMITED = 429

#: 400s about the request itself: cutting the batch would only repeat them.
_ENVELOPE_CODES = frozenset(
    {
        "missing_required_headers",
        "invalid_header_value",
        "empty_body",
        "empty_batch",
        "invalid_batch",
    }
)

_DELIVERED = Verdict("delivered")
_HELD_BACK = Verdict("retry", "another event of the batch has the same uuid")


class _Event(msgspec.Struct, omit_defaults=True):
    """The wire's own names; ``options`` is always there."""

    event: str
    uuid: str
    distinct_id: str
    timestamp: str
    options: dict[str, Any]
    properties: msgspec.Raw
    session_id: str | None = None
    window_id: str | None = None


class V1Form:
    """
    Drafts to events, events to requests, answers to outcomes.

    Args:
        endpoint: Base URL without a trailing slash.
        api_key: The project's key; travels in a header.
        defaults: Properties of every event; the library is not among them.
    """

    name = "posthog_v1"

    def __init__(self, endpoint: str, api_key: str, defaults: Defaults) -> None:
        self._url = f"{endpoint}/i/v1/analytics/events"
        self._defaults = defaults
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "PostHog-Sdk-Info": USER_AGENT,
        }

    def encoded(self, draft: Draft, route: int) -> Encoded:
        """The event's JSON; its key is its uuid."""
        options, outer = _lifted(draft)
        properties = properties_json(draft, self._defaults.tail(draft))
        event = _Event(
            draft.event,
            draft.uuid,
            draft.distinct_id,
            draft.timestamp,
            options,
            properties,
            **outer,
        )
        return Encoded(_encode(event), route, draft.uuid)

    def body_bytes(self, count: int, wire_bytes: int) -> int:
        """The most it can be: events with an equal uuid are left out, live batches say less."""
        envelope = len(b'{"created_at":"",' + _HISTORICAL + b'"batch":[]}') + _TIME_BYTES
        return envelope + wire_bytes + max(count - 1, 0)

    def request(self, messages: Sequence[Encoded], attempt: Attempt) -> Request:
        """``POST /i/v1/analytics/events``; what changes per attempt is in the headers."""
        historical = _HISTORICAL if messages and messages[0].route else b""
        body = b"".join(
            (
                b'{"created_at":"',
                attempt.created_at.encode(),
                b'",',
                historical,
                b'"batch":[',
                b",".join(_sent(messages).values()),
                b"]}",
            )
        )
        headers = {
            **self._headers,
            "PostHog-Attempt": str(attempt.number),
            "PostHog-Request-Id": attempt.request_id,
            "PostHog-Request-Timestamp": attempt.sent_at,
        }
        return Request("POST", self._url, MappingProxyType(headers), body)

    def classify(self, response: Response, messages: Sequence[Encoded]) -> Outcome:
        """
        A verdict per event after a 2xx, else by status.

        429 is retried only where the server says when: its own answer to overload is 503.
        """
        if is_success(response.status):
            return _verdicts(response, messages)
        outcome = classify_status(response)
        if isinstance(outcome, RetryLater) and outcome.after_s is None:
            final = response.status == _RATE_LIMITED
            return Rejected(outcome.detail) if final else outcome
        if isinstance(outcome, Malformed) and _error_code(response) in _ENVELOPE_CODES:
            return Rejected(outcome.detail)
        return outcome


#: What has its place outside of the properties.
_OUTSIDE = frozenset({*OPTIONS, *TOP_LEVEL})


def _lifted(draft: Draft) -> tuple[dict[str, Any], dict[str, Any]]:
    """Take options and top-level fields out of the properties; what is no such value is dropped."""
    ambient = {} if draft.context is None else draft.context.properties
    if draft.fields is None and _OUTSIDE.isdisjoint(draft.added) and _OUTSIDE.isdisjoint(ambient):
        return {}, {}
    options = {target: _take(draft, name, read) for name, (target, read) in OPTIONS.items()}
    outer = {target: _take(draft, name, as_text) for name, target in TOP_LEVEL.items()}
    return _without_none(options), _without_none(outer)


def _take(draft: Draft, name: str, read: Callable[[Any], bool | str | None]) -> bool | str | None:
    if not draft.has(name):
        return None
    value = read(draft.own(name))
    draft.discard(name)
    return value


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _sent(messages: Sequence[Encoded]) -> dict[str, bytes]:
    """``{uuid: event}``: of those with one uuid, the first."""
    sent: dict[str, bytes] = {}
    for message in messages:
        sent.setdefault(message.key, message.wire)
    return sent


def _verdicts(response: Response, messages: Sequence[Encoded]) -> Outcome:
    try:
        answer = _decode(response.body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        return Rejected(f"HTTP {response.status}, but the body is not a JSON object")
    results = answer.get("results")
    results = results if isinstance(results, dict) else {}
    sent = _sent(messages)
    verdicts = tuple(
        _verdict(results.get(message.key)) if sent[message.key] == message.wire else _HELD_BACK
        for message in messages
    )
    if all(verdict.fate == "delivered" for verdict in verdicts):
        return Accepted()
    return Mixed(verdicts, retry_after_s(response.headers))


def _verdict(result: object) -> Verdict:
    """Absent and unknown words mean delivered: a newer server may have more of them."""
    if not isinstance(result, dict):
        return _DELIVERED
    details = result.get("details")
    detail = details if isinstance(details, str) else ""
    match result.get("result"):
        case "drop":
            return Verdict("dead", detail)
        case "retry":
            return Verdict("retry", detail)
        case _:
            return _DELIVERED


def _error_code(response: Response) -> str:
    return server_words(response).partition(":")[0]
