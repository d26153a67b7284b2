"""Why a whole request is refused; vendors' words for it are in `penstock.collector.answers`."""

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
    CONTENT_TYPE = "unsupported_content_type"
    ENCODING = "unsupported_encoding"
    SLOW = "body_read_timeout"
    OVERLOADED = "overloaded"
    # The following are only ever found by the checks of PostHog V1.
    MISSING_HEADERS = "missing_required_headers"
    BAD_HEADER = "invalid_header_value"
    BAD_BATCH = "invalid_batch"
    MISSING_UUID = "missing_event_uuid"
    BAD_UUID = "invalid_event_uuid"
    REPEATED_UUID = "duplicate_event_uuid"


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the program
    """
    The request gets an error and nothing of it is kept.

    Args:
        reason: Why.
        detail: More, for a person; never holds a key or a payload.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(detail or reason.value)
        self.reason = reason
        self.detail = detail
