"""What the collector's words mean, for people who meet them on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.collector.decoding import changes

if TYPE_CHECKING:
    from collections.abc import Mapping

#: ``{verdict, change or reason: what it means}``
MEANINGS: Mapping[str, str] = {
    "received": "The disk has it; the pipeline has not looked at it yet.",
    "stored": "Stored as it came.",
    "changed": "Stored, and something of it is not as it came.",
    "quarantined": "It is no event, so it was kept apart; the rest of its batch was taken.",
    "duplicate": "The source has sent this message id before, so it was not stored again.",
    "gone": "It was stored, and is not any more: it was deleted, or has expired.",
    changes.CLOCK: "The timestamp was moved by how wrong the sender's clock is.",
    changes.FUTURE: "It was dated too far ahead: the timestamp is when it arrived.",
    changes.NO_TIME: "It had no time that can be read: the timestamp is when it arrived.",
    changes.NO_ID: "It had no message id, so it got one.",
    changes.ID: "An id was a number, had blanks around it, or was too long.",
    changes.TEXT: "Half a character, as JavaScript makes when it cuts an emoji, was replaced.",
    changes.IGNORED: "Its context or integrations was no object.",
    "invalid_item": "It is no object.",
    "invalid_json": "It is not UTF-8, or not JSON.",
    "too_deep": "It is nested too deeply.",
    "invalid_type": "It has no type, or none that is known.",
    "no_user_anon_id": "It says of nobody: it has no user id and no anonymous id.",
    "missing_distinct_id": "It says of nobody: it has no distinct id.",
    "no_event": "It is a track without a name.",
    "missing_event_name": "It has no name.",
    "no_group_id": "It is a group without a group id.",
    "no_previous_id": "It is an alias without the other id.",
    "invalid_properties": "Its properties are no object.",
    "malformed_event_properties": "Its properties are no object.",
    "invalid_traits": "Its traits are no object.",
    "event_too_big": "It is larger than one event may be.",
    "undecodable": "It met a fault of the collector; please report it.",
    "delivered": "The destination has said that it has it.",
    "pending": "It waits in the outbox, or is on its way.",
    "dead": "It will not be sent again, unless it is replayed.",
    "elsewhere": "The outbox has no record of it: it was delivered a while ago, or is not for it.",
}
