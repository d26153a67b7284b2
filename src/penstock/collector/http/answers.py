"""
What each vendor's server says, so that its own SDK understands ours.

Success and every `Reason` are one row of a table per vendor; that a source is switched off is only
said by RudderStack, the others answer as ever and keep nothing. Two things differ from the vendors
on purpose: a full collector says 503 with ``Retry-After``, and one bad event never refuses its
batch. 429 is for a key that sends more than it may, and never said to PostHog V1, whose clients
throw data away when they hear it.

Sources: rudder-server gateway, PostHog rust/capture, segment-docs; see docs/collector.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import orjson

from penstock._version import __version__
from penstock.collector.refusal import PASSING, Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Headers = Sequence[tuple[bytes, bytes]]

_JSON = (b"content-type", b"application/json")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_GIF_TYPE = (b"content-type", b"image/gif")
#: The smallest GIF there is: one transparent pixel.
_GIF = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)


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


def _hint(refusal: Refusal) -> Headers:
    """When to come back, where that helps."""
    passing = refusal.reason in PASSING
    return ((b"retry-after", str(refusal.retry_after).encode()),) if passing else ()


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
    Reason.ORIGIN: (403, "forbidden", "this origin may not send events"),
    Reason.CONTENT_TYPE: (415, "unsupported_media_type", "send application/json"),
    Reason.ENCODING: (415, "unsupported_encoding", "send gzip, deflate or no encoding"),
    Reason.SLOW: (408, "timeout", "the body did not arrive in time"),
    Reason.RATE: (429, "rate_limited", "this write key sends too much"),
    Reason.OVERLOADED: (503, "overloaded", "try again shortly"),
}


def _segment_refused(refusal: Refusal) -> Answer:
    status, code, message = _SEGMENT[refusal.reason]
    body = {"success": False, "message": message, "code": code}
    reset = (b"x-ratelimit-reset", str(refusal.retry_after).encode())
    limited = (reset,) if refusal.reason is Reason.RATE else ()
    return json_answer(status, body, *_hint(refusal), *limited)


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
    Reason.DISABLED: (404, "source is disabled"),
    Reason.ORIGIN: (403, "origin is not allowed"),
    Reason.CONTENT_TYPE: (415, "unsupported content type"),
    Reason.ENCODING: (415, "unsupported content encoding"),
    Reason.SLOW: (408, "request timeout"),
    Reason.RATE: (429, "max requests limit reached"),
    Reason.OVERLOADED: (503, "Service Unavailable"),
}


def _rudderstack_refused(refusal: Refusal) -> Answer:
    status, text = _RUDDERSTACK[refusal.reason]
    return Answer(status, (_TEXT, *_hint(refusal)), f"{text}\n".encode())


def _beacon_refused(refusal: Refusal) -> Answer:
    """A beacon cannot send headers: its key is in the query."""
    answer = _rudderstack_refused(refusal)
    if refusal.reason is not Reason.MISSING_KEY:
        return answer
    return answer._replace(body=b"failed to read writekey from query params\n")


# -- pixels: always a picture ----------------------------------------------------------------


def _pixel_refused(refusal: Refusal) -> Answer:
    """
    A browser shows nothing but pictures, so errors look like success.

    Not when it is only us who cannot take it now: the vendors say 200 then, too, and have lost it.
    """
    status = 503 if refusal.reason in PASSING else 200
    return Answer(status, (_GIF_TYPE, *_hint(refusal)), _GIF)


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
    Reason.ORIGIN: (403, "origin is not allowed"),
    Reason.CONTENT_TYPE: (415, "unsupported content type"),
    Reason.ENCODING: (415, "unsupported content encoding"),
    Reason.SLOW: (408, "request timeout"),
    Reason.RATE: (429, "rate limited"),
    Reason.OVERLOADED: (503, "transient error, please retry"),
}


def _posthog_refused(refusal: Refusal) -> Answer:
    status, text = _POSTHOG[refusal.reason]
    return Answer(status, (_TEXT, *_hint(refusal)), text.encode())


# -- PostHog V1: JSON with an error code -----------------------------------------------------

_V1_STATUS: Mapping[Reason, int] = {
    Reason.TOO_LARGE: 413,
    Reason.TOO_MANY: 413,
    Reason.MISSING_KEY: 401,
    Reason.BAD_KEY: 401,
    Reason.ORIGIN: 403,
    Reason.CONTENT_TYPE: 415,
    Reason.ENCODING: 415,
    Reason.SLOW: 408,
    Reason.RATE: 503,  # 429 is final for these clients: they would drop the events
    Reason.OVERLOADED: 503,
}
_V1_ACCEPTS = (
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip, deflate, zstd, br"),
)


def _posthog_v1_refused(refusal: Refusal) -> Answer:
    status = _V1_STATUS.get(refusal.reason, 400)
    code = Reason.TOO_LARGE if refusal.reason is Reason.TOO_MANY else refusal.reason
    body = {"error": code.value, "error_description": str(refusal)}
    return json_answer(status, body, *_V1_ACCEPTS, *_hint(refusal))


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
BEACON = Answers(Answer(200, (_TEXT,), b"ok"), _beacon_refused)
PIXEL = Answers(Answer(200, (_GIF_TYPE, (b"cache-control", b"no-store")), _GIF), _pixel_refused)
POSTHOG = Answers(json_answer(200, {"status": 1}), _posthog_refused)
POSTHOG_V1 = Answers(json_answer(200, {"results": {}}), _posthog_v1_refused)

HEALTHY = json_answer(200, {"status": "ok"})
VERSION = json_answer(200, {"Version": __version__, "server": "penstock"})
#: Nothing here is for search engines.
ROBOTS = Answer(200, (_TEXT,), b"User-agent: *\nDisallow: /\n")
#: To a beacon of PostHog's, which wants no body.
NO_CONTENT = Answer(204, (), b"")
ONE_NODE = json_answer(200, {"nodeCount": 1})
NOT_FOUND = json_answer(404, {"error": "not found"})


def not_ready(why: str) -> Answer:
    """Say that requests should go elsewhere for now."""
    return json_answer(503, {"status": why}, (b"retry-after", b"1"))


def wrong_method(allowed: str) -> Answer:
    """Say which method the route has."""
    return json_answer(405, {"error": "method not allowed"}, (b"allow", allowed.encode()))
