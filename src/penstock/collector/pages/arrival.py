"""One event, or one item that is none, as it is seen arriving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from penstock.collector.decoding.requests import decode_entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from penstock.collector.decoding.rows import Event, Quarantined

#: In the log, and not looked at by the pipeline yet.
RECEIVED = "received"
STORED = "stored"
#: Stored, and something of it is not as it came.
CHANGED = "changed"
QUARANTINED = "quarantined"
DUPLICATE = "duplicate"
#: Characters of a name or an id: thousands of arrivals are held, and a name may have a million.
MOST_TEXT = 256
VERDICTS = (STORED, CHANGED, QUARANTINED, DUPLICATE)
_US = 1000

#: Id, request, position and time (microseconds since 1970), as a row of the store has them.
Place = tuple[str, int, int, int]


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A line of the live stream."""

    #: ``lane:request:position``, its place in the log.
    key: str
    #: Milliseconds since 1970.
    received_at: int
    source: str
    dialect: str
    type: str
    #: The event's name, or that of the page or screen.
    event: str
    user: str
    message_id: str
    verdict: str
    #: Words for what was changed, or the reason for quarantine.
    note: str = ""

    @property
    def place(self) -> Place:
        """Where its row came from."""
        _lane, request, position = self.key.rsplit(":", 2)
        return self.message_id, int(request), int(position), self.received_at * _US

    @property
    def mark(self) -> str:
        """The same whether it was read off the log or from the store; no lane is in it."""
        _lane, request, position = self.key.rsplit(":", 2)
        return f"{self.received_at}.{request}.{position}.{self.message_id}"

    @property
    def lane(self) -> str:
        """The lane of the log it lies in."""
        return self.key.rsplit(":", 2)[0]

    @property
    def request(self) -> int:
        """Its request's ordinal there."""
        return int(self.key.rsplit(":", 2)[1])


class Wanted(NamedTuple):
    """Which arrivals; empty is any."""

    source: str = ""
    type: str = ""
    event: str = ""
    user: str = ""
    verdict: str = ""
    #: In the event's name, the user, the id, or the note; upper case or lower.
    text: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Wanted:
        """Read the fields of the form; ``q`` is the text."""
        named = {name: query.get(name, "").strip() for name in cls._fields if name != "text"}
        return cls(**named, text=query.get("q", "").strip().lower())

    @property
    def is_anything(self) -> bool:
        """Whether nothing is asked."""
        return not any(self)

    def takes(self, arrival: Arrival) -> bool:
        """Whether *arrival* is one of them."""
        same = (
            self.source in ("", arrival.source)
            and self.type in ("", arrival.type)
            and self.event in ("", arrival.event)
            and self.user in ("", arrival.user)
            and self.verdict in ("", arrival.verdict)
        )
        return same and (not self.text or self.text in _haystack(arrival))


def _haystack(arrival: Arrival) -> str:
    words = (arrival.event, arrival.user, arrival.message_id, arrival.note, arrival.source)
    return "\0".join(words).lower()


def arrivals_of(payload: bytes, lane: str, request: int) -> Iterator[Arrival]:
    """
    What one log entry brings.

    Raises:
        ValueError: The payload is no log entry.
    """
    decoded = decode_entry(payload, lane, request)
    for event in decoded.events:
        yield _of_event(event, f"{lane}:{request}:{event.position}", decoded.source)
    for item in decoded.quarantined:
        yield _of_item(item, f"{lane}:{request}:{item.position}", decoded.source)


def _short(text: str | None) -> str:
    return (text or "")[:MOST_TEXT]


def _id(text: str | None) -> str:
    """The id of an item that is no event, where it can be one."""
    return text if text and len(text) <= MOST_TEXT else ""


def _of_event(event: Event, key: str, source: str) -> Arrival:
    return Arrival(
        key,
        event.received_at // _US,
        source,
        event.dialect,
        event.type,
        _short(event.event or event.name or event.group_id),
        _short(event.user_id or event.anonymous_id),
        event.message_id,
        RECEIVED,
        event.changes or "",
    )


def _of_item(item: Quarantined, key: str, source: str) -> Arrival:
    return Arrival(
        key, item.received_at // _US, source, item.dialect, "", "", "", _id(item.message_id),
        QUARANTINED, item.reason,
    )  # fmt: skip


def of_row(row: Mapping[str, Any]) -> Arrival:
    """A row of ``events``."""
    changes = row["changes"] or ""
    return Arrival(
        f":{row['request']}:{row['position']}",
        int(row["received_at"].timestamp() * _US),
        row["source"],
        row["dialect"],
        row["type"],
        _short(row["event"] or row["name"] or row["group_id"]),
        _short(row["user_id"] or row["anonymous_id"]),
        row["message_id"],
        CHANGED if changes else STORED,
        changes,
    )


def of_quarantined(row: Mapping[str, Any]) -> Arrival:
    """A row of ``quarantine``."""
    return Arrival(
        f":{row['request']}:{row['position']}",
        int(row["received_at"].timestamp() * _US),
        row["source"],
        row["dialect"],
        "",
        "",
        "",
        _id(row["message_id"]),
        QUARANTINED,
        row["reason"],
    )
