"""
The plain way from a message of the Segment family to its row.

This is the collector's hottest code (every event passes here once), so it is written for speed:
rows are made as bare tuples of `Event`, and nothing is decoded that is stored as text anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from penstock.collector.decoding.changes import changes_of
from penstock.collector.decoding.clock import corrected_time, read_time
from penstock.collector.decoding.rows import Event
from penstock.collector.decoding.shared import ODD, Shared, object_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.collector.decoding.frame import Frame
    from penstock.collector.decoding.plain import Message

_new = tuple.__new__


class PlainRows:
    """
    Makes rows of plain messages.

    Args:
        frame: The request.
        shared: What its envelope puts beneath each message.
    """

    def __init__(self, frame: Frame, shared: Shared) -> None:
        self.frame = frame
        self.shared = shared
        self._times = rudderstack_times if frame.head.dialect == "rudderstack" else segment_times

    def of(self, messages: Iterable[Message]) -> list[Event] | None:
        """Rows of all *messages*; None when one of them is not plain after all."""
        rows: list[Event] = []
        for position, message in enumerate(messages):
            row = self.row(position, message)
            if row is None:
                return None
            rows.append(row)
        return rows

    def row(self, position: int, m: Message) -> Event | None:
        """The row, or None when the message is less plain than its members' types."""
        if not m.is_sound():
            return None
        properties, traits = object_text(m.properties), object_text(m.traits)
        context = self.shared.context(m.context)
        integrations = self.shared.integrations(m.integrations)
        if ODD in (properties, traits, context, integrations):
            return None
        frame = self.frame
        times = self._times(frame, m.timestamp, m.original_timestamp, m.sent_at)
        values = (
            m.message_id or frame.id_at(position),
            m.kind,
            m.event,
            m.user_id,
            m.anonymous_id,
            m.group_id,
            m.previous_id,
            m.name,
            m.category,
            *times,
            frame.received,
            frame.head.dialect,
            self.shared.library(context),
            properties,
            traits,
            context,
            integrations,
            None if m.channel is None else msgspec.json.encode({"channel": m.channel}),
            frame.request,
            position,
            frame.ip,
            changes_of(m.message_id, times, frame.received),
        )
        return _new(Event, values)


def segment_times(
    frame: Frame, timestamp: object, original: object, sent_at: object
) -> tuple[int, int | None, int | None]:
    """
    An event's times: happened (corrected), happened (as told), sent; in µs since 1970.

    Segment corrects ``timestamp``, which is the client's own time; ``originalTimestamp`` stands
    in for it.
    """
    sent = frame.sent if sent_at is None else read_time(sent_at) or frame.sent
    told = read_time(timestamp)
    if told is None:
        told = read_time(original)
    return corrected_time(told, sent, frame.received), told, sent


def rudderstack_times(
    frame: Frame, timestamp: object, original: object, sent_at: object
) -> tuple[int, int | None, int | None]:
    """
    The same by RudderStack's rule.

    A readable ``timestamp`` is taken as it is; otherwise ``originalTimestamp`` is corrected.
    """
    sent = frame.sent if sent_at is None else read_time(sent_at) or frame.sent
    stated, told = read_time(timestamp), read_time(original)
    if stated is None:
        return corrected_time(told, sent, frame.received), told, sent
    happened = corrected_time(stated, None, frame.received)
    return happened, stated if told is None else told, sent
