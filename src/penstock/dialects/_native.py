"""
PostHog's own calls as Segment-family messages.

``capture``, ``group_identify`` and ``create_alias`` have no counterpart at Segment or RudderStack.
They are read as what they would be on PostHog's wire, by the table that also serves a collector:
an event named ``$pageview`` becomes a page, ``$identify`` an identify, any other a track, and
what PostHog keeps in ``$``-properties moves to where the family has it, mostly the context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from penstock.dialects._receiving import Refused
from penstock.dialects._types import Unencodable
from penstock.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Callable


class _Call(msgspec.Struct, rename="camel"):
    """A neutral message of PostHog's own kinds."""

    message_id: str
    timestamp: Raw | UnsetType = UNSET
    user_id: str = ""
    anonymous_id: str = ""
    event: str = ""
    properties: dict[str, Any] = {}
    context: dict[str, Any] = {}
    integrations: Raw | UnsetType = UNSET
    group_type: str = ""
    group_id: str = ""
    traits: dict[str, Any] = {}
    distinct_id: str = ""
    alias: str = ""


_decode = msgspec.json.Decoder(_Call).decode
_encode = msgspec.json.Encoder().encode


def segment_message(kind: int, payload: bytes) -> bytes:
    """
    A PostHog-native neutral message in Segment's JSON.

    Raises:
        Unencodable: It is not neutral JSON, or lacks an id the other vendor needs.
    """
    from penstock.dialects._posthog_reverse import receive

    try:
        call = _decode(payload)
        message = receive(_EVENTS[Kind(kind)](call), group_type="")
    except (msgspec.MsgspecError, KeyError, ValueError) as error:
        reason = f"{type(error).__name__} in a record of kind {kind}"
        raise Unencodable("malformed", reason) from None
    except Refused as refused:
        raise Unencodable("rejected", str(refused)) from None
    message["context"] = _beneath(message.get("context", {}), call.context)
    stamps = {"type": "", "messageId": call.message_id, "timestamp": call.timestamp}
    message = {**stamps, **message, "integrations": call.integrations}
    return _encode({name: value for name, value in message.items() if value not in (UNSET, {})})


# Each call as an event of PostHog's wire.


def _capture(call: _Call) -> dict[str, Any]:
    if call.user_id and call.anonymous_id:
        call.properties.setdefault("$anon_distinct_id", call.anonymous_id)
    elif call.anonymous_id:
        call.properties["$is_identified"] = False
    distinct_id = call.user_id or call.anonymous_id
    return {"event": call.event, "distinct_id": distinct_id, "properties": call.properties}


def _group_identify(call: _Call) -> dict[str, Any]:
    properties = {
        "$group_type": call.group_type,
        "$group_key": call.group_id,
        "$group_set": call.traits,
    }
    synthetic = f"${call.group_type}_{call.group_id}"
    distinct_id = call.user_id or call.anonymous_id or synthetic
    return {"event": "$groupidentify", "distinct_id": distinct_id, "properties": properties}


def _create_alias(call: _Call) -> dict[str, Any]:
    """PostHog merges the person of ``alias`` into that of ``distinct_id``, whoever came first."""
    properties = {"alias": call.alias}
    return {"event": "$create_alias", "distinct_id": call.distinct_id, "properties": properties}


_EVENTS: dict[Kind, Callable[[_Call], dict[str, Any]]] = {
    Kind.CAPTURE: _capture,
    Kind.GROUP_IDENTIFY: _group_identify,
    Kind.CREATE_ALIAS: _create_alias,
}


def _beneath(lifted: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """The context from the properties, with the caller's over it; the library is the sender's."""
    merged = {**lifted, **own}
    for name in lifted.keys() & own.keys():
        if isinstance(lifted[name], dict) and isinstance(own[name], dict):
            merged[name] = {**lifted[name], **own[name]}
    merged.pop("library", None)
    return merged
