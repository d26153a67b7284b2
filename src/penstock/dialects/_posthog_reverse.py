"""
PostHog event to neutral message.

Source: the protocol reference, 3.4 and 7.4; what the way back does not restore is listed in
`penstock.dialects.posthog`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from penstock.dialects._posthog_context import DERIVED, PLACES, drop_derived, lift, url_parts
from penstock.dialects._posthog_identity import MAX_DISTINCT_ID, synthetic_id
from penstock.dialects._posthog_ids import event_uuid, parsed_uuid
from penstock.dialects._posthog_mapping import (
    DEFAULT_GROUP_TYPE,
    PAGE_NAMES,
    AliasDirection,
)
from penstock.dialects._posthog_options import OPTIONS, TOP_LEVEL, as_bool
from penstock.dialects._receiving import Refused, id_text, scalar_text, utc_ms

if TYPE_CHECKING:
    from collections.abc import Callable

Properties = dict[str, Any]

#: Properties that are about the sender or its identity, not about the event.
_DROPPED = ("$geoip_disable", "$is_server")

#: Properties that do not come back as properties: they become context, ids, or nothing.
LIFTED = frozenset(
    {*PLACES, *DERIVED, *_DROPPED, "$set", "$anon_distinct_id", "$is_identified", "$message_id"}
)

#: Event names by the path's type, where events may come without one (``/engage``).
_EVENT_OF_TYPE = {"identify": "$identify"}

#: Numbers above this are milliseconds since 1970, below seconds: it is the year 5138 in seconds.
_FIRST_MS = 1e11


class _Event(NamedTuple):
    """A wire event, read; *properties* and *context* are ours to change."""

    name: str
    distinct_id: str
    properties: Properties
    context: dict[str, Any]
    group_type: str
    merge_safe: bool


def receive(
    item: dict[str, Any],
    *,
    type: str | None = None,  # noqa: A002 - the wire's word
    group_type: str = DEFAULT_GROUP_TYPE,
    alias_direction: AliasDirection = "merge_safe",
) -> dict[str, Any]:
    """
    One PostHog event in neutral form, from either capture protocol.

    Args:
        item: The parsed event; not changed. What V1 keeps in ``options``, ``session_id`` and
            ``window_id`` is read as if it were in ``properties``.
        type: What the path says; ``identify`` names events that come without a name.
        group_type: The type that needs no mention: it gives no ``traits.groupType``.
        alias_direction: How the sender meant ``$create_alias``, see `penstock.dialects.posthog`.

    Returns:
        Neutral JSON. ``messageId`` and ``timestamp`` are absent when the event has none;
        ``context.library`` says which SDK sent it.

    Raises:
        Refused: ``invalid_item``, ``missing_event_name``, ``missing_distinct_id``,
            ``malformed_event_properties``, ``invalid_event_uuid``, ``no_group_id`` or
            ``no_previous_id``.
    """
    if not isinstance(item, dict):
        raise Refused("invalid_item", "not a JSON object")
    name = _event_name(item, type)
    properties = _properties(item)
    distinct_id = _distinct_id(item, properties)
    message: dict[str, Any] = {"type": "track", **_stamps(item, properties)}
    event = _Event(
        name, distinct_id, properties, {}, group_type, merge_safe=alias_direction == "merge_safe"
    )
    drop_derived(properties)
    message |= _identity(event)
    message |= _SHAPES.get(name, _track)(event)
    _lift_person_and_group(event)
    context = lift(properties) | event.context
    message |= {"properties": properties} if properties else {}
    message |= {"context": context} if context else {}
    return message


# -- the parts of an item


def _event_name(item: dict[str, Any], type_: str | None) -> str:
    name = item.get("event")
    if name is None:
        name = _EVENT_OF_TYPE.get(type_ or "")
    if not isinstance(name, str) or not name.strip():
        raise Refused("missing_event_name", "the event has no name")
    return name


def _properties(item: dict[str, Any]) -> Properties:
    found = item.get("properties")
    if not isinstance(found, dict | None):
        raise Refused("malformed_event_properties", "properties is not a JSON object")
    properties = dict(found or {})
    for name in ("$set", "$set_once"):
        _add_top_level(properties, name, item.get(name))
    options = item.get("options")
    if isinstance(options, dict):
        _add_named(properties, options, {name: option for name, (option, _) in OPTIONS.items()})
    _add_named(properties, item, TOP_LEVEL)
    token = properties.get("token")
    if isinstance(token, str) and token.startswith("phc_"):  # a project's key, not a fact
        del properties["token"]
    return properties


def _add_top_level(properties: Properties, name: str, value: object) -> None:
    """Legacy SDKs write ``$set`` beside properties, too; what is in properties wins."""
    own = properties.get(name)
    if isinstance(value, dict) and isinstance(own, dict):
        properties[name] = {**value, **own}
    elif value is not None and own is None:
        properties[name] = value


def _add_named(properties: Properties, source: dict[str, Any], names: dict[str, str]) -> None:
    for name, field in names.items():
        if source.get(field) is not None:
            properties[name] = source[field]


def _distinct_id(item: dict[str, Any], properties: Properties) -> str:
    value = item.get("distinct_id")
    if value is None:
        value = item.get("$distinct_id")
    if value is None:
        value = properties.pop("distinct_id", None)
    distinct_id = _any_text(value)[:MAX_DISTINCT_ID]
    if not distinct_id.strip():
        raise Refused("missing_distinct_id", "the event has no distinct_id")
    return distinct_id


def _any_text(value: object) -> str:
    """PostHog takes any JSON value as an id."""
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    return id_text(value)


def _stamps(item: dict[str, Any], properties: Properties) -> dict[str, str]:
    stamps = {"messageId": _message_id(item, properties), "timestamp": _time(item.get("timestamp"))}
    return {name: value for name, value in stamps.items() if value}


def _message_id(item: dict[str, Any], properties: Properties) -> str:
    given = item.get("uuid")
    if given is None or given == "":
        return ""
    uuid = parsed_uuid(given)
    if not uuid:
        raise Refused("invalid_event_uuid", "uuid is not a UUID")
    original = properties.get("$message_id")
    if isinstance(original, str) and event_uuid(original) == uuid:
        del properties["$message_id"]
        return original
    return uuid


def _time(value: object) -> str:
    """As `utc_ms`; PostHog also takes seconds or milliseconds since 1970."""
    if isinstance(value, str) and value[4:5] == "-":  # a date, as nearly always
        return utc_ms(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return ""
    try:
        number = float(value)
        seconds = number / 1000 if abs(number) >= _FIRST_MS else number
        return utc_ms(datetime.fromtimestamp(seconds, UTC).isoformat())
    except (ValueError, OverflowError, OSError):
        return utc_ms(value)


# -- identity


def _identity(event: _Event) -> dict[str, str]:
    """Which neutral id the ``distinct_id`` is."""
    anonymous = _any_text(event.properties.pop("$anon_distinct_id", None))
    identified = event.properties.pop("$is_identified", None)
    if anonymous.strip():
        return {"userId": event.distinct_id, "anonymousId": anonymous}
    known = identified is True or not (identified is False or _looks_anonymous(event))
    return {"userId" if known else "anonymousId": event.distinct_id}


def _looks_anonymous(event: _Event) -> bool:
    properties = event.properties
    if as_bool(properties.get("$process_person_profile")) is False:
        return True
    if event.name == "$groupidentify":
        type_, key = properties.get("$group_type"), properties.get("$group_key")
        if event.distinct_id == id_text(synthetic_id(scalar_text(type_), scalar_text(key))):
            return True
    return event.distinct_id == properties.get("$device_id")


# -- one shape per neutral type


def _track(event: _Event) -> dict[str, Any]:
    return {"event": event.name}


def _page(event: _Event) -> dict[str, Any]:
    properties = event.properties
    if "url" in properties and "path" not in properties:
        _, path = url_parts(properties["url"])
        if path and properties.get("$pathname") == path:
            del properties["$pathname"]
    for name, theirs in PAGE_NAMES.items():
        if theirs in properties and properties.get(name, properties[theirs]) == properties[theirs]:
            properties[name] = properties.pop(theirs)
    name = _take_text(properties, "name") or _text(properties.get("title"))
    return _titled("page", name, _take_text(properties, "category"))


def _screen(event: _Event) -> dict[str, Any]:
    properties = event.properties
    name = _take_text(properties, "$screen_name")
    if not name or properties.get("name") == name:
        name = _take_text(properties, "name") or name
    return _titled("screen", name, _take_text(properties, "category"))


def _titled(type_: str, name: str, category: str) -> dict[str, Any]:
    fields = {"type": type_, "name": name, "category": category}
    return {field: text for field, text in fields.items() if text}


def _identify(event: _Event) -> dict[str, Any]:
    overwriting = _take_object(event.properties, "$set")
    once = _take_object(event.properties, "$set_once")
    if once and not overwriting:
        event.context["setOnce"] = True
    traits = {**once, **overwriting}
    return {"type": "identify", "traits": traits} if traits else {"type": "identify"}


def _group(event: _Event) -> dict[str, Any]:
    properties = event.properties
    key = scalar_text(properties.pop("$group_key", None))
    if not key.strip():
        raise Refused("no_group_id", "$groupidentify without $group_key")
    type_ = scalar_text(properties.pop("$group_type", None))
    traits = _take_object(properties, "$group_set")
    if type_ and type_ != event.group_type:
        traits = {**traits, "groupType": type_}
    if properties.get("$groups") == {type_: key}:
        del properties["$groups"]
    group = {"type": "group", "groupId": id_text(key)}
    return {**group, "traits": traits} if traits else group


def _alias(event: _Event) -> dict[str, Any]:
    alias = _any_text(event.properties.pop("alias", None))
    if not alias.strip():
        raise Refused("no_previous_id", "$create_alias without alias")
    event.properties.pop("distinct_id", None)
    user, previous = event.distinct_id, alias
    if not event.merge_safe:
        user, previous = previous, user
    return {"type": "alias", "userId": user, "previousId": previous}


def _exception(event: _Event) -> dict[str, Any]:
    entries = event.properties.get("$exception_list")
    first = entries[0] if isinstance(entries, list) and entries else None
    if isinstance(first, dict):
        for ours, theirs in (("exception_type", "type"), ("exception_message", "value")):
            if theirs in first:
                event.properties.setdefault(ours, first[theirs])
    return _track(event)


_SHAPES: dict[str, Callable[[_Event], dict[str, Any]]] = {
    "$pageview": _page,
    "$screen": _screen,
    "$identify": _identify,
    "$set": _identify,
    "$set_once": _identify,
    "$groupidentify": _group,
    "$create_alias": _alias,
    "$exception": _exception,
}


def _lift_person_and_group(event: _Event) -> None:
    """``$set`` becomes ``context.traits``, the only group ``context.groupId``."""
    properties, context = event.properties, event.context
    for name in _DROPPED:
        properties.pop(name, None)
    if traits := _take_object(properties, "$set"):
        context["traits"] = traits
    groups = properties.get("$groups")
    if not isinstance(groups, dict) or len(groups) != 1:
        return
    ((type_, key),) = groups.items()
    if not (text := id_text(key)):
        return
    context["groupId"] = text
    if type_ == event.group_type and isinstance(key, str):
        del properties["$groups"]  # the context says it all


def _take_object(properties: Properties, name: str) -> dict[str, Any]:
    """Remove an object property; anything else stays where it is."""
    return properties.pop(name) if isinstance(properties.get(name), dict) else {}


def _take_text(properties: Properties, name: str) -> str:
    """Remove a text property; anything else stays where it is."""
    return properties.pop(name) if _text(properties.get(name)) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
