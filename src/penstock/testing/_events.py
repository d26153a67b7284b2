"""Captured events, as a test reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import orjson

if TYPE_CHECKING:
    from penstock.testing._expectation import Event


class CapturedEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """
    One captured event; a field that was not set is None, or an empty dict.

    Attributes:
        type: ``track``, ``identify``, ``page``, ...
        timestamp: As it is sent: RFC 3339 in UTC with milliseconds.
        raw: Its neutral JSON as a dict: what the journal of a real client would hold.
    """

    type: str
    message_id: str
    timestamp: str
    user_id: str | None = None
    anonymous_id: str | None = None
    event: str | None = None
    name: str | None = None
    category: str | None = None
    group_id: str | None = None
    group_type: str | None = None
    previous_id: str | None = None
    distinct_id: str | None = None
    alias: str | None = None
    properties: dict[str, Any] = {}
    traits: dict[str, Any] = {}
    context: dict[str, Any] = {}
    integrations: dict[str, Any] = {}
    raw: dict[str, Any]

    def __repr__(self) -> str:
        """Type, name and whose it is."""
        return f"<{describe(self.raw)}>"


def captured(payload: bytes) -> CapturedEvent:
    """Read a journal record's payload."""
    raw = orjson.loads(payload)
    return msgspec.convert({**raw, "raw": raw}, CapturedEvent)


def describe(event: Event) -> str:
    """A captured event in few words: ``track 'Signed Up' of 'u1'``."""
    name = event.get("event") or event.get("name") or event.get("groupId")
    who = event.get("userId") or event.get("anonymousId") or event.get("distinctId")
    words = [event["type"], repr(name) if name else "", f"of {who!r}" if who else ""]
    return " ".join(word for word in words if word)
