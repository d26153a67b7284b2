"""What one event becomes in the store: a row of `Event`, or of `Quarantined` with the reason."""

from __future__ import annotations

import hashlib
from typing import NamedTuple
from uuid import UUID

#: JSON text, UTF-8, as it came where that was possible.
Json = bytes | None


class Event(NamedTuple):
    """
    A row of ``events``; the fields are its columns, in order.

    Times are microseconds since 1970. The source is not here: it is the partition.
    """

    message_id: str
    #: ``identify``, ``track``, ``page``, ``screen``, ``group`` or ``alias``.
    type: str
    event: str | None
    user_id: str | None
    anonymous_id: str | None
    group_id: str | None
    previous_id: str | None
    name: str | None
    category: str | None
    #: When it happened, by our clock: see `penstock.collector.decoding.clock.corrected_time`.
    timestamp: int
    #: When it happened, by the sender's clock; None when it did not say, or nothing readable.
    original_timestamp: int | None
    sent_at: int | None
    received_at: int
    dialect: str
    #: The client's library as ``name/version``.
    library: str | None
    properties: Json
    traits: Json
    context: Json
    integrations: Json
    #: Members of the message that are in no other column, as one object.
    rest: Json
    #: The request in the log, and the event's place in it: a stable order, and a way back.
    request: int
    position: int
    #: The client's address, by our own sight; never what the event says of itself.
    ip: str | None = None
    #: What is not as it came, as words of `penstock.collector.decoding.changes`; None: nothing.
    changes: str | None = None


class Quarantined(NamedTuple):
    """A row of ``quarantine``: an item that could not become an event, and why."""

    #: Stable word: ``no_user_anon_id``, ``invalid_type``, ``missing_distinct_id``, ...
    reason: str
    detail: str
    message_id: str | None
    received_at: int
    dialect: str
    #: The item as it came; bytes that are no UTF-8 are shown as ``\\xNN``.
    raw: str
    request: int
    position: int


class Decoded(NamedTuple):
    """What a request became."""

    source: str
    received_at: int
    events: list[Event]
    quarantined: list[Quarantined]


def made_up_id(lane: str, request: int, position: int) -> str:
    """
    The message id of an event that came without one.

    It follows from the event's place in the log, so that reading the log twice gives the same.
    """
    place = f"{lane}:{request}:{position}".encode()
    return str(UUID(bytes=hashlib.blake2b(place, digest_size=16).digest(), version=5))
