"""
The bodies clients send, decoded just as far as ingest and pipeline both need.

Events inside a batch stay undecoded slices (`msgspec.Raw`): ingest only counts them, and the
pipeline decodes each with the dialect's own rules, so that one bad event is one bad event.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from penstock.collector.decoding.surrogates import mended
from penstock.collector.refusal import Reason, Refusal

T = TypeVar("T")

#: What an absent member decodes to.
NOTHING = Raw()


class Form(StrEnum):
    """How a body is built."""

    #: ``{"batch": [...]}`` of the Segment family.
    BATCH = "batch"
    #: One message of the Segment family; the path tells its type.
    SINGLE = "single"
    #: PostHog legacy: ``{"api_key": ..., "batch": [...]}``, one event, or an array of events.
    POSTHOG = "posthog"
    #: PostHog's ``/i/v1/analytics/events``.
    POSTHOG_V1 = "posthog_v1"


class SegmentBatch(msgspec.Struct, gc=False):
    """
    The envelope of ``/v1/batch``.

    Members whose type a client may get wrong are left undecoded: only what makes the body no
    batch at all refuses it.
    """

    batch: list[Raw]
    write_key: Raw = msgspec.field(name="writeKey", default=NOTHING)
    context: Raw = NOTHING
    integrations: Raw = NOTHING
    sent_at: Raw = msgspec.field(name="sentAt", default=NOTHING)


class SegmentSingle(msgspec.Struct, gc=False):
    """What ingest reads of ``/v1/track`` and its siblings; the body itself is the message."""

    write_key: Raw = msgspec.field(name="writeKey", default=NOTHING)


class PostHogBatch(msgspec.Struct, gc=False):
    """The envelope of ``/batch/``, and the one event where there is no ``batch``."""

    batch: list[Raw] | None = None
    api_key: Raw = NOTHING
    token: Raw = NOTHING
    dollar_token: Raw = msgspec.field(name="$token", default=NOTHING)
    properties: Raw = NOTHING
    sent_at: Raw = NOTHING
    historical_migration: Raw = NOTHING


class PostHogV1Event(msgspec.Struct, gc=False):
    """One event of V1: its four strings must be there, or the whole batch is refused."""

    event: str
    uuid: str
    distinct_id: str
    timestamp: str
    properties: Raw = NOTHING
    options: Raw = NOTHING


class PostHogV1Batch(msgspec.Struct, gc=False):
    """The envelope of V1, its events checked."""

    created_at: str
    batch: list[PostHogV1Event]


class PostHogV1Items(msgspec.Struct, gc=False):
    """The envelope of V1, its events as they came."""

    batch: list[Raw]


class _Token(msgspec.Struct, gc=False):
    token: Raw = NOTHING


SEGMENT_BATCH = msgspec.json.Decoder(SegmentBatch)
SEGMENT_SINGLE = msgspec.json.Decoder(SegmentSingle)
POSTHOG_BATCH = msgspec.json.Decoder(PostHogBatch)
POSTHOG_ARRAY = msgspec.json.Decoder(list[Raw])
POSTHOG_V1_BATCH = msgspec.json.Decoder(PostHogV1Batch)
POSTHOG_V1_ITEMS = msgspec.json.Decoder(PostHogV1Items)
_TOKEN = msgspec.json.Decoder(_Token)
_TEXT = msgspec.json.Decoder(str)


def decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """
    Decode *body*, mending half characters if that is what is wrong with it.

    Raises:
        Refusal: It is not JSON, nested too deeply, or not of the decoder's shape.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Refusal(Reason.MALFORMED, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        fixed = mended(body)
        if fixed is body or fixed == body:
            raise Refusal(Reason.MALFORMED) from None
        return decoded(decoder, fixed)
    except RecursionError:
        raise Refusal(Reason.MALFORMED, "nested too deeply") from None


def text(raw: Raw) -> str:
    """The string *raw* holds, surrounding blanks removed; empty when it holds something else."""
    try:
        return _TEXT.decode(raw).strip() if raw else ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def posthog_items(body: bytes) -> tuple[PostHogBatch, list[Raw]]:
    """
    The envelope of a legacy body and its events, whichever of the three shapes it has.

    Raises:
        Refusal: See `decoded`.
    """
    if body.lstrip()[:1] == b"[":
        return PostHogBatch(), decoded(POSTHOG_ARRAY, body)
    envelope = decoded(POSTHOG_BATCH, body)
    return envelope, [Raw(body)] if envelope.batch is None else envelope.batch


def posthog_token(envelope: PostHogBatch, items: list[Raw]) -> str:
    """The project key of a legacy body: in the envelope, or in the first event."""
    named = (envelope.token, envelope.dollar_token, envelope.api_key, _nested(envelope.properties))
    found = next((key for raw in named if (key := text(raw))), "")
    return found or (posthog_token(_event(items[0]), []) if items else "")


def _event(item: Raw) -> PostHogBatch:
    try:
        return POSTHOG_BATCH.decode(item)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return PostHogBatch()


def _nested(properties: Raw) -> Raw:
    try:
        return _TOKEN.decode(properties).token if properties else NOTHING
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NOTHING


def anything(raw: Raw) -> Any:
    """Decode *raw* to plain objects; None when it is absent or no JSON."""
    try:
        return msgspec.json.decode(raw) if raw else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
