"""
From journal records to items on their way: selection, age, encoding. Pure.

A record that does not travel has a reason: it is not for this destination, it is too old, or
the dialect cannot carry it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

import msgspec

from penstock.delivery._job import Item
from penstock.delivery._outcome import Death
from penstock.delivery._routing import selects
from penstock.dialects._types import Encoded, Unencodable
from penstock.journal.record import FLAG_SELECTIVE

if TYPE_CHECKING:
    from penstock.destinations import Destination
    from penstock.journal.record import Record


class _Selection(msgspec.Struct):
    integrations: dict[str, object] | None = None


class _Ids(msgspec.Struct, rename="camel"):
    user_id: str | None = None
    anonymous_id: str | None = None


_selection = msgspec.json.Decoder(_Selection)
_ids = msgspec.json.Decoder(_Ids)
_NOTHING = Encoded(b"")


class Sorted(NamedTuple):
    """What became of some records."""

    items: list[Item]
    #: Ordinals of records that are not for this destination.
    excluded: list[int]
    deaths: list[Death]


def sort(records: list[Record], destination: Destination, *, oldest: float, streams: int) -> Sorted:
    """
    Encode what travels, and say why the rest does not.

    Args:
        records: In the order they were captured.
        destination: Where they may go.
        oldest: Records captured before this (seconds since 1970) are ``dead(expired)``.
        streams: With an order to keep: how many streams users are spread over; 0 without.
    """
    items: list[Item] = []
    excluded: list[int] = []
    deaths: list[Death] = []
    encode = destination.dialect.encode
    for record in records:
        if record.flags & FLAG_SELECTIVE and not is_selected(record, destination):
            excluded.append(record.ordinal)
            continue
        if record.captured_at < oldest:
            deaths.append(Death("expired", "", [Item(record, _NOTHING)]))
            continue
        try:
            encoded = encode(record)
        except Unencodable as refusal:
            deaths.append(Death(refusal.reason, refusal.detail, [Item(record, _NOTHING)]))
            continue
        except Exception as error:  # noqa: BLE001 - one record must never stop the ones behind it
            detail = f"cannot be encoded ({type(error).__name__})"
            deaths.append(Death("malformed", detail, [Item(record, _NOTHING)]))
            continue
        items.append(Item(record, encoded, stream_of(record, streams) if streams else 0))
    return Sorted(items, excluded, deaths)


def is_selected(record: Record, destination: Destination) -> bool:
    """Whether the record's ``integrations`` let it go to *destination*."""
    try:
        integrations = _selection.decode(record.payload).integrations or {}
    except msgspec.MsgspecError:
        return True
    return selects(integrations, destination.name, is_cdp=destination.is_cdp)


def stream_of(record: Record, streams: int) -> int:
    """Which of *streams* the record's user belongs to."""
    try:
        ids = _ids.decode(record.payload)
    except msgspec.MsgspecError:
        return 0
    return crc32((ids.user_id or ids.anonymous_id or "").encode()) % streams
