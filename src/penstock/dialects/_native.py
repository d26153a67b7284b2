"""
PostHog's own calls as Segment-family messages.

``capture``, ``group_identify`` and ``create_alias`` have no counterpart at Segment or RudderStack.
They are read as what they would be on PostHog's wire, by the table that also serves a collector:
an event named ``$pageview`` becomes a page, ``$identify`` an identify, any other a track, and
what PostHog keeps in ``$``-properties moves to where the family has it, mostly the context.
An exception event has no counterpart there either, and is no event of the family's size: it
becomes a track call with its essentials.
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


#: What an exception event is called as a track call that names none.
DEFAULT_EXCEPTION_EVENT = "Exception Captured"
#: What of a frame goes into such a call.
_FRAME = ("filename", "function", "module", "lineno")


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
    exceptions: list[dict[str, Any]] = []
    level: str = ""


_decode = msgspec.json.Decoder(_Call).decode
_encode = msgspec.json.Encoder().encode


def segment_message(kind: int, payload: bytes, *, whole_exceptions: bool = False) -> bytes:
    """
    A PostHog-native neutral message in Segment's JSON.

    Args:
        kind: One of PostHog's own, or an exception event.
        payload: Neutral JSON.
        whole_exceptions: Send all of an exception event, as PostHog's SDKs would; it becomes a
            track call with the essentials otherwise.

    Raises:
        Unencodable: It is not neutral JSON, or lacks an id the other vendor needs.
    """
    from penstock.dialects._posthog_reverse import receive

    try:
        call = _decode(payload)
        if whole_exceptions and kind == Kind.EXCEPTION_EVENT:
            event = _whole_exception(call, payload)
        else:
            event = _EVENTS[Kind(kind)](call)
        message = receive(event, group_type="")
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


def _exception(call: _Call) -> dict[str, Any]:
    """The essentials; the innermost frame of the application stands for the stacks."""
    first = call.exceptions[0] if call.exceptions else {}
    told = {
        "exception_type": first.get("type"),
        "exception_message": first.get("value"),
        "exception_level": call.level or None,
        "exception_handled": _member(first.get("mechanism"), "handled"),
        "exception_frame": _top_frame(call.exceptions),
    }
    call.properties |= {name: value for name, value in told.items() if value is not None}
    call.event = call.event or DEFAULT_EXCEPTION_EVENT
    return _capture(call)


def _whole_exception(call: _Call, payload: bytes) -> dict[str, Any]:
    from penstock.dialects._posthog_exception import read_told

    call.properties |= {**read_told(payload).posthog(), "$exception_list": call.exceptions}
    call.event = "$exception"
    return _capture(call)


def _top_frame(exceptions: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Where the error is, in the application's own code if it was there at all."""
    for entry in exceptions:
        frames = _member(entry.get("stacktrace"), "frames") or []
        for frame in reversed(frames):
            if _member(frame, "in_app") is True:
                return {name: frame[name] for name in _FRAME if frame.get(name) is not None}
    return None


def _member(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


_EVENTS: dict[Kind, Callable[[_Call], dict[str, Any]]] = {
    Kind.CAPTURE: _capture,
    Kind.GROUP_IDENTIFY: _group_identify,
    Kind.CREATE_ALIAS: _create_alias,
    Kind.EXCEPTION_EVENT: _exception,
}


def _beneath(lifted: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """The context from the properties, with the caller's over it; the library is the sender's."""
    merged = {**lifted, **own}
    for name in lifted.keys() & own.keys():
        if isinstance(lifted[name], dict) and isinstance(own[name], dict):
            merged[name] = {**lifted[name], **own[name]}
    merged.pop("library", None)
    return merged
