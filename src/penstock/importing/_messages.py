"""JSON rows that are messages already: neutral ones, or an export of Segment's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.importing.cells import identifier
from penstock.importing.rows import BadValue

if TYPE_CHECKING:
    from collections.abc import Callable

_PERSON = {"userId": "user_id", "anonymousId": "anonymous_id"}
#: ``{type: {field on the wire: argument of the client's call}}``
_FIELDS: dict[str, dict[str, str]] = {
    "identify": {**_PERSON, "traits": "traits"},
    "track": {**_PERSON, "event": "event", "properties": "properties"},
    "page": {**_PERSON, "name": "name", "category": "category", "properties": "properties"},
    "screen": {**_PERSON, "name": "name", "category": "category", "properties": "properties"},
    "group": {**_PERSON, "groupId": "group_id", "traits": "traits"},
    "alias": {"userId": "user_id", "previousId": "previous_id"},
    "capture": {
        "anonymousId": "distinct_id",  # of a personless event, which says so in its properties
        "userId": "distinct_id",
        "event": "event",
        "properties": "properties",
    },
    "group_identify": {
        "userId": "distinct_id",
        "groupType": "group_type",
        "groupId": "group_id",
        "traits": "properties",
    },
    "create_alias": {"distinctId": "distinct_id", "alias": "alias"},
}
_COMMON = {"messageId": "message_id", "context": "context", "integrations": "integrations"}
_OBJECTS = frozenset({"properties", "traits", "context", "integrations"})
_METHODS = {"create_alias": "alias"}
WHOLE_TYPES = frozenset(_FIELDS)


def whole_message(
    message: dict[str, Any], moment: Callable[[Any], str]
) -> tuple[str, dict[str, Any]]:
    """
    The client's method and arguments for a message in neutral JSON.

    Fields that belong to a journey (``sentAt``, ``receivedAt``, ``writeKey``, ``context.library``,
    ...) are left out, since the next one makes its own.

    Args:
        message: With one of `WHOLE_TYPES` as its ``type``.
        moment: Reads a timestamp.

    Raises:
        BadValue: A field has the wrong type; the reason names it.
    """
    kind = message["type"]
    arguments: dict[str, Any] = {}
    for wire, name in {**_FIELDS[kind], **_COMMON}.items():
        value = message.get(wire)
        if value is not None:
            arguments[name] = _checked(wire, value)
    if "library" in arguments.get("context", ()):
        context = {key: value for key, value in arguments["context"].items() if key != "library"}
        arguments["context"] = context or None
    when = message.get("timestamp") or message.get("originalTimestamp")
    if when is not None:
        arguments["timestamp"] = _timestamp(when, moment)
    return _METHODS.get(kind, kind), arguments


def _checked(wire: str, value: Any) -> Any:
    if wire in _OBJECTS:
        if not isinstance(value, dict):
            raise BadValue(f"{wire}: not an object")
        return value
    try:
        return identifier(value)
    except BadValue as error:
        raise BadValue(f"{wire}: {error}") from None


def _timestamp(value: Any, moment: Callable[[Any], str]) -> str:
    try:
        return moment(value)
    except BadValue as error:
        raise BadValue(f"timestamp: {error}") from None
