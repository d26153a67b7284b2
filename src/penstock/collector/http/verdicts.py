"""
PostHog V1's verdict on each event, and the checks that refuse a whole V1 batch.

Ingest answers with these; what gets ``drop`` is quarantined under the same code, so the answer
and the store never disagree.

Source: PostHog rust/capture, src/v1 (analytics/types.rs, constants.rs, response.rs, error.rs).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from uuid_utils import UUID

from penstock.collector.decoding.wire import anything
from penstock.collector.refusal import Reason, Refusal
from penstock.dialects._posthog_options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import Raw

    from penstock.collector.decoding.wire import PostHogV1Event

_MOST_CHARACTERS = 200
#: Ids that stand for nobody: stored, but worth a warning.
_NOBODY = frozenset({
    "0", "00000000-0000-0000-0000-000000000000", "[object object]", "anonymous", "anonymous-user",
    "backend", "distinct_id", "distinctid", "email", "false", "guest", "id", "nan", "none",
    "not_authenticated", "null", "system", "true", "undefined", "user",
})  # fmt: skip

OK = ("ok", "")
_UNPROCESSED = ("warning", "person_processing_disabled")
_NO_OPTIONS = {b"", b"null", b"{}"}


def judge(created_at: str, events: Sequence[PostHogV1Event]) -> dict[str, tuple[str, str]]:
    """
    A verdict per event.

    Returns:
        ``{uuid: (result, details)}`` in the batch's order; *result* is ``ok``, ``warning`` or
        ``drop``, and details may be empty.

    Raises:
        Refusal: The batch is empty or its date unreadable, or an event has no uuid, a bad one,
            or one that another has too: no verdict could be told apart.
    """
    if not events:
        raise Refusal(Reason.EMPTY_BATCH)
    if not _has_offset(created_at):
        raise Refusal(Reason.BAD_BATCH, "created_at is not an RFC 3339 time")
    verdicts = {_uuid(event): _verdict(event) for event in events}
    if len(verdicts) != len(events):
        raise Refusal(Reason.REPEATED_UUID)
    return verdicts


def _uuid(event: PostHogV1Event) -> str:
    text = event.uuid.strip()
    if not text:
        raise Refusal(Reason.MISSING_UUID)
    try:
        UUID(text)
    except ValueError:
        raise Refusal(Reason.BAD_UUID) from None
    return text


def _verdict(event: PostHogV1Event) -> tuple[str, str]:
    fault = _fault(event)
    if fault:
        return "drop", fault
    return _UNPROCESSED if event.distinct_id.strip().lower() in _NOBODY else OK


def _fault(event: PostHogV1Event) -> str:
    """The first thing wrong with an event; empty when nothing is."""
    return (
        _text_fault(event.event, "missing_event_name", "event_name_too_long")
        or _text_fault(event.distinct_id.strip(), "missing_distinct_id", "distinct_id_too_large")
        or ("" if _has_offset(event.timestamp) else "invalid_event_timestamp")
        or ("" if bytes(event.properties).startswith(b"{") else "malformed_event_properties")
        or ("" if _are_options(event.options) else "invalid_options")
    )


def _text_fault(text: str, missing: str, too_long: str) -> str:
    if not text or text.isspace():
        return missing
    return too_long if len(text) > _MOST_CHARACTERS else ""


def _are_options(raw: Raw) -> bool:
    """Whether *raw* is absent, null, or an object whose known members can be read."""
    if bytes(raw) in _NO_OPTIONS:
        return True
    options = anything(raw)
    if not isinstance(options, dict):
        return False
    known = ((options.get(name), read) for name, read in OPTIONS.values())
    return all(value is None or read(value) is not None for value, read in known)


def _has_offset(text: str) -> bool:
    """Whether *text* is RFC 3339 with an offset; V1 takes no other time."""
    try:
        return "T" in text.upper() and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
