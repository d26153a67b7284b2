"""
Events in the address of a picture, for mails and pages that cannot do more.

Both vendors spell a message as parameters, with dots for what is nested:
``?writeKey=k&userId=u&properties.subject=Hello``. Segment's may also be base64 of the message.

Source: segment-docs, pixel-tracking-api; rudder-server, gateway/handle_http_pixel.go.
"""

from __future__ import annotations

import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from penstock.collector.refusal import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Objects within objects that a name may ask for.
_DEEPEST = 16


def segment_message(query: Mapping[str, str]) -> bytes:
    """
    The message of ``/v1/pixel/TYPE``.

    Raises:
        Refusal: ``data`` is no base64.
    """
    data = query.get("data")
    return orjson.dumps(nested(query)) if data is None else from_base64(data.encode())


def rudderstack_message(query: Mapping[str, str], type_: str, now: float) -> bytes:
    """
    The message of ``/pixel/v1/TYPE``.

    Args:
        query: Its parameters.
        type_: ``track`` or ``page``.
        now: Seconds since 1970.

    Raises:
        Refusal: A track without an event, which the vendor drops.
    """
    sent = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
    message: dict[str, Any] = {
        "channel": "web",
        "integrations": {"All": True},
        "originalTimestamp": sent,
        "sentAt": sent,
        **nested(query),
    }
    anonymous = message.get("anonymousId")
    if isinstance(anonymous, str) and anonymous[:1] == anonymous[-1:] == '"':
        message["anonymousId"] = anonymous[1:-1]
    if type_ == "page" and not message.get("name"):
        message["name"] = "Unknown Page"
    if type_ == "track" and not message.get("event"):
        raise Refusal(Reason.EMPTY_BATCH)
    return orjson.dumps(message)


def nested(query: Mapping[str, str]) -> dict[str, Any]:
    """Parameters as an object; a dot in a name goes one level down."""
    whole: dict[str, Any] = {}
    for name, value in query.items():
        *path, last = name.split(".", _DEEPEST)
        place = whole
        for step in path:
            below = place.setdefault(step, {})
            if not isinstance(below, dict):
                below = place[step] = {}
            place = below
        place[last] = value
    return whole


def from_base64(data: bytes) -> bytes:
    """
    Undo base64, in its usual and its URL-safe alphabet, padded or not.

    Raises:
        Refusal: It is none.
    """
    tidy = data.translate(_ALPHABET, b"\r\n\t").rstrip(b"=")
    try:
        return binascii.a2b_base64(tidy + b"=" * (-len(tidy) % 4), strict_mode=True)
    except binascii.Error:
        raise Refusal(Reason.BAD_COMPRESSION, "not base64") from None


#: URL-safe letters to usual ones; a blank was a plus before somebody undid a form's escapes.
_ALPHABET = bytes.maketrans(b"-_ ", b"+/+")
