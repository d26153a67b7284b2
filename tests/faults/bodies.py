"""Which events a request body holds, in any of the four vendors' formats."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

Event = dict[str, Any]


def inflated(body: bytes, encoding: str) -> bytes:
    """The body without its ``Content-Encoding``."""
    if encoding == "gzip" or body[:2] == b"\x1f\x8b":
        return gzip.decompress(body)
    if encoding == "deflate":
        return zlib.decompress(body)
    return body


def events_of(body: bytes) -> list[Event]:
    """
    The events of an inflated body, in order.

    Raises:
        ValueError: It is not JSON as a strict server reads it: NaN and Infinity are refused.
    """
    if not body:
        return []
    parsed = json.loads(body, parse_constant=_refused)
    if isinstance(parsed, dict) and isinstance(parsed.get("batch"), list):
        return list(parsed["batch"])
    return list(parsed) if isinstance(parsed, list) else [parsed]


def id_of(event: Event) -> str:
    """An event's own id: ``messageId`` (Segment family) or ``uuid`` (PostHog); "" without one."""
    return str(event.get("messageId") or event.get("uuid") or "")


def _refused(literal: str) -> None:
    raise ValueError(f"{literal} is not JSON")
