"""Why a whole request is refused; `penstock.collector.http.answers` has the vendors' words."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """A refusal, in our words; the values are PostHog V1's where it has one."""

    MALFORMED = "request_parsing_error"
    EMPTY_BODY = "empty_body"
    EMPTY_BATCH = "empty_batch"
    BAD_COMPRESSION = "request_decoding_error"
    TOO_LARGE = "payload_too_large"
    TOO_MANY = "too_many_events"
    MISSING_KEY = "missing_authorization"
    BAD_KEY = "invalid_api_token"
    #: The key is known, and its source is switched off.
    DISABLED = "source_disabled"
    ORIGIN = "origin_not_allowed"
    CONTENT_TYPE = "unsupported_content_type"
    ENCODING = "unsupported_encoding"
    SLOW = "body_read_timeout"
    #: This key sends too much.
    RATE = "rate_limited"
    #: All of them together do, or the disk is full.
    OVERLOADED = "overloaded"
    # The following are only ever found by the checks of PostHog V1.
    MISSING_HEADERS = "missing_required_headers"
    BAD_HEADER = "invalid_header_value"
    BAD_BATCH = "invalid_batch"
    MISSING_UUID = "missing_event_uuid"
    BAD_UUID = "invalid_event_uuid"
    REPEATED_UUID = "duplicate_event_uuid"


#: What has nothing to do with the request itself: sent again, it may be accepted.
PASSING = frozenset({Reason.SLOW, Reason.RATE, Reason.OVERLOADED})


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the program
    """
    The request gets an error and nothing of it is kept.

    Args:
        reason: Why.
        detail: More, for a person; never holds a key or a payload.
        retry_after: Seconds after which to try again, where that makes sense.
    """

    def __init__(self, reason: Reason, detail: str = "", retry_after: int = 1) -> None:
        super().__init__(detail or reason.value)
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after
