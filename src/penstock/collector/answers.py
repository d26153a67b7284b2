"""
What each vendor's server says, so that its own SDK understands ours.

Success and every `Reason` are one row of a table per vendor. Two things differ from the vendors
on purpose: a full collector says 503 with ``Retry-After`` and never 429 (PostHog V1 clients drop
data on 429), and one bad event never refuses its batch.

Sources: rudder-server gateway, PostHog rust/capture, segment-docs; see docs/collector.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import orjson

from penstock.collector.refusal import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Headers = Sequence[tuple[bytes, bytes]]

_JSON = (b"content-type", b"application/json")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
#: Seconds a client should wait when it hears 503, and when its body came too slowly.
RETRY_AFTER = 1
_RETRY = (b"retry-after", str(RETRY_AFTER).encode())


class Answer(NamedTuple):
    """One HTTP answer, without ``content-length``."""

    status: int
    headers: Headers
    body: bytes


class Answers(NamedTuple):
    """One vendor's answers."""

    #: The request is on disk.
    accepted: Answer
    #: The request is refused.
    refused: Callable[[Refusal], Answer]


def json_answer(status: int, body: object, *headers: tuple[bytes, bytes]) -> Answer:
    """Any object as an answer."""
    return Answer(status, (_JSON, *headers), orjson.dumps(body))


def _hint(status: int) -> Headers:
    return (_RETRY,) if status in {408, 503} else ()


# -- Segment and Dreamdata: JSON with a code -------------------------------------------------

#: ``{reason: (status, code, message)}``
_SEGMENT: Mapping[Reason, tuple[int, str, str]] = {
    Reason.MALFORMED: (400, "invalid_request", "malformed JSON"),
    Reason.EMPTY_BODY: (400, "invalid_request", "malformed JSON"),
    Reason.BAD_COMPRESSION: (400, "invalid_request", "the body cannot be decompressed"),
    Reason.TOO_LARGE: (400, "payload_too_large", "the request is too large"),
    Reason.TOO_MANY: (400, "too_many_events", "the batch holds too many events"),
    Reason.MISSING_KEY: (401, "unauthorized", "invalid write key"),
    Reason.BAD_KEY: (401, "unauthorized", "invalid write key"),
    Reason.CONTENT_TYPE: (415, "unsupported_media_type", "send application/json"),
    Reason.ENCODING: (415, "unsupported_encoding", "send gzip, deflate or no encoding"),
    Reason.SLOW: (408, "timeout", "the body did not arrive in time"),
    Reason.OVERLOADED: (503, "overloaded", "try again shortly"),
}


def _segment_refused(refusal: Refusal) -> Answer:
    status, code, message = _SEGMENT[refusal.reason]
    body = {"success": False, "message": message, "code": code}
    return json_answer(status, body, *_hint(status))


# -- RudderStack: plain text with a newline --------------------------------------------------

#: ``{reason: (status, text)}``
_RUDDERSTACK: Mapping[Reason, tuple[int, str]] = {
    Reason.MALFORMED: (400, "invalid json"),
    Reason.EMPTY_BODY: (400, "request body is nil"),
    Reason.EMPTY_BATCH: (400, "empty batch payload"),
    Reason.BAD_COMPRESSION: (400, "failed to read body from request"),
    Reason.TOO_LARGE: (413, "request size exceeds max limit"),
    Reason.TOO_MANY: (413, "request size exceeds max limit"),
    Reason.MISSING_KEY: (401, "failed to read writekey from header"),
    Reason.BAD_KEY: (401, "invalid write key"),
    Reason.CONTENT_TYPE: (415, "unsupported content type"),
    Reason.ENCODING: (415, "unsupported content encoding"),
    Reason.SLOW: (408, "request timeout"),
    Reason.OVERLOADED: (503, "Service Unavailable"),
}


def _rudderstack_refused(refusal: Refusal) -> Answer:
    status, text = _RUDDERSTACK[refusal.reason]
    return Answer(status, (_TEXT, *_hint(status)), f"{text}\n".encode())


# -- PostHog legacy: plain text --------------------------------------------------------------

#: ``{reason: (status, text)}``
_POSTHOG: Mapping[Reason, tuple[int, str]] = {
    Reason.MALFORMED: (400, "failed to parse request: invalid JSON"),
    Reason.EMPTY_BODY: (400, "failed to decode request: empty body"),
    Reason.EMPTY_BATCH: (400, "request holds no event"),
    Reason.BAD_COMPRESSION: (400, "failed to decode request: invalid compression"),
    Reason.TOO_LARGE: (413, "maximum event size exceeded"),
    Reason.TOO_MANY: (413, "maximum event size exceeded"),
    Reason.MISSING_KEY: (401, "event submitted without an api_key"),
    Reason.BAD_KEY: (401, "API key is not valid: unknown"),
    Reason.CONTENT_TYPE: (415, "unsupported content type"),
    Reason.ENCODING: (415, "unsupported content encoding"),
    Reason.SLOW: (408, "request timeout"),
    Reason.OVERLOADED: (503, "transient error, please retry"),
}


def _posthog_refused(refusal: Refusal) -> Answer:
    status, text = _POSTHOG[refusal.reason]
    return Answer(status, (_TEXT, *_hint(status)), text.encode())


# -- PostHog V1: JSON with an error code -----------------------------------------------------

_V1_STATUS: Mapping[Reason, int] = {
    Reason.TOO_LARGE: 413,
    Reason.TOO_MANY: 413,
    Reason.MISSING_KEY: 401,
    Reason.BAD_KEY: 401,
    Reason.CONTENT_TYPE: 415,
    Reason.ENCODING: 415,
    Reason.SLOW: 408,
    Reason.OVERLOADED: 503,
}
_V1_ACCEPTS = ((b"accept", b"application/json"), (b"accept-encoding", b"gzip, deflate"))


def _posthog_v1_refused(refusal: Refusal) -> Answer:
    status = _V1_STATUS.get(refusal.reason, 400)
    code = Reason.TOO_LARGE if refusal.reason is Reason.TOO_MANY else refusal.reason
    body = {"error": code.value, "error_description": str(refusal)}
    return json_answer(status, body, *_V1_ACCEPTS, *_hint(status))


def posthog_v1_accepted(results: Mapping[str, tuple[str, str]], request_id: str) -> Answer:
    """
    V1's success: a verdict per event.

    Args:
        results: ``{uuid: (result, details)}`` in the batch's order; details may be empty.
        request_id: The request's own id, sent back.
    """
    shown = {
        uuid: {"result": result, "details": details} if details else {"result": result}
        for uuid, (result, details) in results.items()
    }
    return json_answer(200, {"results": shown}, (b"posthog-request-id", request_id.encode()))


SEGMENT = Answers(json_answer(200, {"success": True}), _segment_refused)
RUDDERSTACK = Answers(Answer(200, (_TEXT,), b"ok"), _rudderstack_refused)
POSTHOG = Answers(json_answer(200, {"status": 1}), _posthog_refused)
POSTHOG_V1 = Answers(json_answer(200, {"results": {}}), _posthog_v1_refused)

HEALTHY = json_answer(200, {"status": "ok"})
UNHEALTHY = json_answer(503, {"status": "the log cannot be written"}, _RETRY)
ONE_NODE = json_answer(200, {"nodeCount": 1})
NOT_FOUND = json_answer(404, {"error": "not found"})


def wrong_method(allowed: str) -> Answer:
    """Say which method the route has."""
    return json_answer(405, {"error": "method not allowed"}, (b"allow", allowed.encode()))
