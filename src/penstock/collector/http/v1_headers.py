"""
The header checks of PostHog V1, in the vendor's order.

Source: PostHog rust/capture, src/v1/context.rs.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from uuid_utils import UUID

from penstock.collector.http.auth import credentials, well_formed
from penstock.collector.refusal import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

_READABLE = frozenset({
    b"", b"application/json", b"text/plain", b"application/octet-stream", b"application/gzip",
    b"application/x-gzip",
})  # fmt: skip
_REQUIRED = {
    b"content-type": "Content-Type",
    b"user-agent": "User-Agent",
    b"posthog-sdk-info": "PostHog-Sdk-Info",
    b"posthog-attempt": "PostHog-Attempt",
    b"posthog-request-id": "PostHog-Request-Id",
    b"posthog-request-timestamp": "PostHog-Request-Timestamp",
}


def check_v1_headers(headers: Mapping[bytes, bytes]) -> None:
    """
    Look at everything V1 wants before it reads a body.

    Args:
        headers: Names in lower case.

    Raises:
        Refusal: With V1's own code for what is wrong.
    """
    authorization = headers.get(b"authorization", b"")
    if not authorization:
        raise Refusal(Reason.MISSING_KEY)
    missing = [shown for name, shown in _REQUIRED.items() if not headers.get(name)]
    if missing:
        raise Refusal(Reason.MISSING_HEADERS, f"missing: {', '.join(missing)}")
    given = credentials(authorization)
    if given.scheme != "bearer":
        raise Refusal(Reason.BAD_HEADER, "Authorization: use Bearer")
    if not well_formed(given.key):
        raise Refusal(Reason.BAD_KEY)
    _check_values(headers)


def _check_values(headers: Mapping[bytes, bytes]) -> None:
    if not is_json(headers[b"content-type"]):
        raise Refusal(Reason.CONTENT_TYPE)
    try:
        UUID(_text(headers, b"posthog-request-id"))
    except ValueError:
        raise Refusal(Reason.BAD_HEADER, "PostHog-Request-Id: not a UUID") from None
    attempt = _text(headers, b"posthog-attempt")
    if not (attempt.isascii() and attempt.isdigit() and int(attempt[:9]) >= 1):
        raise Refusal(Reason.BAD_HEADER, "PostHog-Attempt: not a number from 1")
    if not _is_time(_text(headers, b"posthog-request-timestamp")):
        raise Refusal(Reason.BAD_HEADER, "PostHog-Request-Timestamp: not RFC 3339")


def is_json(content_type: bytes) -> bool:
    """Whether a ``Content-Type`` is JSON; parameters do not matter."""
    return content_type.partition(b";")[0].strip().lower() == b"application/json"


def is_readable(content_type: bytes) -> bool:
    """Whether a ``Content-Type`` may be JSON: browsers send text to be spared a preflight."""
    return content_type.partition(b";")[0].strip().lower() in _READABLE


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str:
    return headers[name].decode("latin-1").strip()


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
