"""
Segment, RudderStack and Dreamdata bodies to rows.

Two ways lead to a row. The *plain* way (`penstock.collector.decoding.plain_rows`) is for messages
as their SDKs send them: one typed decode of the whole batch, nested JSON kept as the bytes it is. A
message with anything unusual (an unknown member, a number for an id, blanks around one, a member
that is not its type's) takes the *careful* way through the dialect's own ``receive``, which also
finds what is to be quarantined. Both give the same row to a message that could take either; a test
holds them to it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from penstock.collector.decoding import plain
from penstock.collector.decoding.changes import rewritten
from penstock.collector.decoding.clock import read_time
from penstock.collector.decoding.frame import Frame, Times
from penstock.collector.decoding.plain_rows import PlainRows, rudderstack_times, segment_times
from penstock.collector.decoding.shared import Shared
from penstock.collector.decoding.surrogates import REPLACEMENT, mended
from penstock.collector.decoding.wire import SEGMENT_BATCH, SegmentBatch, anything, decoded
from penstock.dialects import dreamdata, rudderstack, segment
from penstock.dialects._receiving import with_envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Receive = Callable[..., dict[str, Any]]

T = TypeVar("T")

_RECEIVE: Mapping[str, Receive] = {
    "segment": segment.receive,
    "dreamdata": dreamdata.receive,
    "rudderstack": rudderstack.receive,
}
#: Members a row has a column for, whatever the type; the last two are ours to say.
_PLACED = frozenset({
    "type", "messageId", "timestamp", "originalTimestamp", "sentAt", "writeKey", "receivedAt",
    "request_ip",
})  # fmt: skip


def decode_batch(frame: Frame, body: bytes) -> None:
    """
    Decode ``/v1/batch`` into *frame*.

    Raises:
        Refusal: It is no batch; ingest would have refused it.
    """
    batch = None if frame.head.refused else _plainly(plain.BATCH, body)
    rows = None if batch is None else _within(frame, batch).of(batch.batch)
    if rows is None:
        _one_by_one(frame, body)
    else:
        frame.decoded.events.extend(rows)


def decode_single(frame: Frame, body: bytes) -> None:
    """Decode ``/v1/track`` and its siblings into *frame*."""
    way = PlainRows(frame, Shared())
    decoder = plain.BY_TYPE.get(frame.head.type)
    if decoder is None:
        _careful(frame, way.shared, 0, body)
    else:
        _decode_item(way, decoder, 0, body)


def _one_by_one(frame: Frame, body: bytes) -> None:
    """Some messages are not plain: each takes its own way."""
    envelope = decoded(SEGMENT_BATCH, body)
    way = _within(frame, envelope)
    frame.mended = mended(body) != body
    for position, raw in enumerate(envelope.batch):
        _decode_item(way, plain.ITEM, position, bytes(raw))


def _within(frame: Frame, envelope: SegmentBatch | plain.Batch) -> PlainRows:
    return PlainRows(frame, envelope_of(frame, envelope))


def envelope_of(frame: Frame, envelope: SegmentBatch | plain.Batch) -> Shared:
    """What the envelope says: when the request left, into *frame*, and what its messages share."""
    sent = read_time(anything(envelope.sent_at))
    frame.sent = frame.sent if sent is None else sent
    return Shared(envelope.context, envelope.integrations)


def _decode_item(
    way: PlainRows, decoder: msgspec.json.Decoder[plain.Message], position: int, raw: bytes
) -> None:
    odd = bool(way.frame.head.refused) or (way.frame.mended and REPLACEMENT in raw)
    message = None if odd else _plainly(decoder, raw)
    row = None if message is None else way.row(position, message)
    if row is None:
        _careful(way.frame, way.shared, position, raw)
    else:
        way.frame.decoded.events.append(row)


def _plainly(decoder: msgspec.json.Decoder[T], body: bytes) -> T | None:
    try:
        return decoder.decode(body) if plain.is_plain_text(body) else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _careful(frame: Frame, shared: Shared, position: int, raw: bytes) -> None:
    frame.take(position, raw, partial(_receive, frame, shared), "messageId")


def _receive(
    frame: Frame, shared: Shared, position: int, item: Any, changes: tuple[str, ...]
) -> None:
    dialect = frame.head.dialect
    whole = with_envelope(item, shared.objects) if isinstance(item, dict) else item
    neutral = _RECEIVE[dialect](whole, type=frame.head.type or None)
    read = rudderstack_times if dialect == "rudderstack" else segment_times
    told = (item.get(name) for name in ("timestamp", "originalTimestamp", "sentAt"))
    rest = {
        name: value
        for name, value in item.items()
        if value is not None and name not in neutral and name not in _PLACED
    }
    changes = (*changes, *rewritten(item, neutral))
    frame.keep(position, neutral, Times(*read(frame, *told)), rest, changes)
