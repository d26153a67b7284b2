"""A line of the list of events, as the page and the stream show it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

if TYPE_CHECKING:
    from penstock.collector.pages.arrival import Arrival

#: Characters shown of a name or an id; the story has all of it.
_MOST = 120


class Line(msgspec.Struct, frozen=True):
    """One arrival; all texts may be hostile."""

    #: The same whether it was read off the log or from the store.
    mark: str
    #: ``12:00:01.123``, UTC.
    time: str
    verdict: str
    source: str
    type: str
    event: str
    user: str
    note: str
    #: Where its story is.
    href: str


def line_of(arrival: Arrival) -> Line:
    """Show an arrival."""
    moment = datetime.fromtimestamp(arrival.received_at / 1000, UTC)
    return Line(
        arrival.mark,
        moment.strftime("%H:%M:%S.") + f"{arrival.received_at % 1000:03d}",
        arrival.verdict,
        arrival.source,
        arrival.type,
        _short(arrival.event),
        _short(arrival.user),
        arrival.note.replace(",", ", "),
        _story_of(arrival),
    )


def _story_of(arrival: Arrival) -> str:
    if arrival.message_id:
        return "/event?" + urlencode({"id": arrival.message_id})
    return "/quarantine?" + urlencode({"source": arrival.source, "reason": arrival.note})


def _short(text: str) -> str:
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"
