"""PostHog bodies to rows, legacy and V1, through the dialect's own ``receive``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from penstock.collector.decoding.changes import ID
from penstock.collector.decoding.clock import read_time
from penstock.collector.decoding.frame import Frame, Times
from penstock.collector.decoding.surrogates import mended
from penstock.collector.decoding.wire import POSTHOG_V1_ITEMS, anything, decoded, posthog_items
from penstock.dialects._posthog_options import as_bool
from penstock.dialects._receiving import Refused
from penstock.dialects.posthog import receive, receive_v1

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from msgspec import Raw

#: Members that the neutral form has a place for, or that are about the request.
_PLACED = frozenset({
    "event", "uuid", "distinct_id", "$distinct_id", "timestamp", "properties", "options", "offset",
    "$set", "$set_once", "session_id", "window_id", "token", "$token", "api_key",
    "batch", "sent_at", "historical_migration",
})  # fmt: skip
_MILLISECOND = 1000


def decode_legacy(frame: Frame, body: bytes) -> None:
    """
    Decode ``/batch/`` into *frame*.

    Raises:
        Refusal: It is none of the shapes; ingest would have refused it.
    """
    envelope, items = posthog_items(body)
    frame.mended = mended(body) != body
    sent = read_time(anything(envelope.sent_at))
    frame.sent = frame.sent if sent is None else sent
    _decode(frame, items)


def decode_v1(frame: Frame, body: bytes) -> None:
    """
    Decode ``/i/v1/analytics/events``; what the answer called dropped is quarantined as that.

    Raises:
        Refusal: It is no V1 batch; ingest would have refused it.
    """
    frame.mended = mended(body) != body
    _decode(frame, decoded(POSTHOG_V1_ITEMS, body).batch, strict=True)


def _decode(frame: Frame, items: Sequence[Raw], *, strict: bool = False) -> None:
    receive_one = partial(_receive, frame, strict=strict)
    for position, raw in enumerate(items):
        frame.take(position, bytes(raw), receive_one, "uuid")


def _receive(
    frame: Frame, position: int, item: Any, changes: tuple[str, ...], *, strict: bool
) -> None:
    times = _times(frame, item) if isinstance(item, dict) else None
    neutral = receive_v1(item) if strict else receive(item, type=frame.head.type or None)
    if times is None:  # pragma: no cover - receive has refused it
        raise Refused("invalid_item")
    context = neutral.get("context") or {}
    if "library" not in context and frame.head.sdk:
        neutral["context"] = {**context, "library": _library(frame.head.sdk)}
    rest = {
        name: value for name, value in item.items() if name not in _PLACED and value is not None
    }
    frame.keep(position, neutral, times, rest, (*changes, *_rewritten(item, neutral)))


def _rewritten(item: dict[str, Any], neutral: dict[str, Any]) -> Iterator[str]:
    """Its distinct id was no text, had blanks around it, or was too long."""
    given = item.get("distinct_id")
    ids = (neutral.get(name) for name in ("userId", "anonymousId", "previousId"))
    if given is not None and given not in ids:
        yield ID


def _library(sdk: str) -> dict[str, str]:
    """``PostHog-Sdk-Info`` is split at its last slash."""
    name, _, version = sdk.rpartition("/")
    return {"name": name or sdk, "version": version if name else ""}


def _times(frame: Frame, item: dict[str, Any]) -> Times:
    """
    An event's times.

    ``offset`` (milliseconds before the request) wins over ``timestamp``; an event may ask not to
    be corrected.
    """
    offset = item.get("offset")
    if isinstance(offset, int) and not isinstance(offset, bool) and abs(offset) < 1 << 40:
        return frame.corrected(frame.received - offset * _MILLISECOND, None)
    original = read_time(item.get("timestamp"))
    times = frame.corrected(original, frame.sent)
    if times.sent is None or not _uncorrected(item):
        return times
    return Times(frame.corrected(original, None).timestamp, original, times.sent)


def _uncorrected(item: dict[str, Any]) -> bool:
    properties, options = item.get("properties"), item.get("options")
    asked = [
        properties.get("$ignore_sent_at") if isinstance(properties, dict) else None,
        options.get("disable_skew_correction") if isinstance(options, dict) else None,
    ]
    return any(as_bool(value) for value in asked)
