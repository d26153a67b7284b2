"""
The receiving half, as far as dialects share it: one parsed wire item becomes a neutral message.

An item that cannot become an event is `Refused` with the code the vendors use. Everything else
is read the way the vendors' servers read it: ids may be any JSON scalar, null is absent, and a
time that cannot be read is absent too (the collector then takes the time of arrival).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock import timestamps
from penstock.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What a Segment-family client may send, and the object that carries its facts.
FACTS = {
    Kind.IDENTIFY.wire: "traits",
    Kind.TRACK.wire: "properties",
    Kind.PAGE.wire: "properties",
    Kind.SCREEN.wire: "properties",
    Kind.GROUP.wire: "traits",
    Kind.ALIAS.wire: "",
}

#: Fields that are text of the vendor's choosing, by type.
_TEXTS = {
    Kind.TRACK.wire: ("event",),
    Kind.PAGE.wire: ("name", "category"),
    Kind.SCREEN.wire: ("name", "category"),
}

#: The field a type cannot do without, and the code when it is missing.
_NEEDED = {
    Kind.TRACK.wire: ("event", "no_event"),
    Kind.GROUP.wire: ("groupId", "no_group_id"),
    Kind.ALIAS.wire: ("previousId", "no_previous_id"),
}


class Refused(Exception):  # noqa: N818 - an outcome, not a fault of the program
    """
    The item cannot become an event.

    Args:
        code: Stable word for counters and answers: ``no_user_anon_id``, ``no_event``,
            ``no_group_id``, ``no_previous_id``, ``invalid_type``, ``invalid_item``,
            ``invalid_properties``, ``invalid_traits``, and the PostHog dialects' own.
        detail: Why, without payload.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class Rules(NamedTuple):
    """Where the vendors of the family differ."""

    #: Fields with the client's own time, the preferred one first.
    times: tuple[str, ...]
    #: Whether blanks around ids are removed.
    trims_ids: bool
    #: Whether track needs an event name, group a group, alias a previous id.
    needs_fields: bool


SEGMENT_RULES = Rules(("timestamp", "originalTimestamp"), trims_ids=False, needs_fields=True)
RUDDERSTACK_RULES = Rules(("originalTimestamp", "timestamp"), trims_ids=True, needs_fields=False)


def with_envelope(item: dict[str, Any], envelope: Mapping[str, Any]) -> dict[str, Any]:
    """*item* with the ``context`` and ``integrations`` of its batch beneath its own."""
    merged = item
    for field in ("context", "integrations"):
        shared = envelope.get(field)
        if isinstance(shared, dict) and shared:
            own = item.get(field)
            merged = {**merged, field: {**shared, **own} if isinstance(own, dict) else shared}
    return merged


def receive_family(item: dict[str, Any], type: str | None, rules: Rules) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """
    A Segment-family item in neutral form.

    Args:
        item: The parsed message.
        type: What the path says, if it does.
        rules: The vendor's differences.

    Raises:
        Refused: See `Refused`.
    """
    if not isinstance(item, dict):
        raise Refused("invalid_item", "not a JSON object")
    kind = item.get("type") if type is None else type
    if not isinstance(kind, str) or kind not in FACTS:
        raise Refused("invalid_type", "not identify, track, page, screen, group or alias")
    message: dict[str, Any] = {"type": kind}
    _put(message, "messageId", id_text(item.get("messageId")).strip())
    _put(message, "timestamp", _first_time(item, rules.times))
    _add_ids(message, item, rules)
    for field in _TEXTS.get(kind, ()):
        _put(message, field, scalar_text(item.get(field)))
    _require(message, rules)
    _add_objects(message, item, kind)
    return message


def _add_ids(message: dict[str, Any], item: dict[str, Any], rules: Rules) -> None:
    fields = ["userId", "anonymousId"]
    fields += {"group": ["groupId"], "alias": ["previousId"]}.get(message["type"], [])
    for field in fields:
        text = id_text(item.get(field))
        _put(message, field, text.strip() if rules.trims_ids else text)


def _require(message: dict[str, Any], rules: Rules) -> None:
    """Go's order: the field of the type first, then the ids; alias looks at its user first."""
    kind = message["type"]
    field, code = _NEEDED.get(kind, ("", ""))
    if field and field not in message:
        if not rules.needs_fields:
            message[field] = ""
        elif kind != Kind.ALIAS.wire or "userId" in message:
            raise Refused(code, f"{kind} without {field}")
    wanted = ("userId",) if kind == Kind.ALIAS.wire else ("userId", "anonymousId")
    if not any(name in message for name in wanted):
        raise Refused("no_user_anon_id", f"{kind} without {' and '.join(wanted)}")


def _add_objects(message: dict[str, Any], item: dict[str, Any], kind: str) -> None:
    facts = FACTS[kind]
    if facts and item.get(facts) is not None:
        if not isinstance(item[facts], dict):
            raise Refused(f"invalid_{facts}", "not a JSON object")
        message[facts] = item[facts]
    for field in ("context", "integrations"):
        if isinstance(item.get(field), dict):
            message[field] = item[field]
    if "all" in message.get("integrations", ()):
        message["integrations"] = _capital_all(message["integrations"])


def _capital_all(integrations: dict[str, Any]) -> dict[str, Any]:
    """Old Go clients write ``all``, which no server looks at; they mean ``All``."""
    rest = {name: choice for name, choice in integrations.items() if name != "all"}
    return {"All": integrations["all"], **rest}


def _put(message: dict[str, Any], field: str, text: str) -> None:
    if text and not text.isspace():
        message[field] = text


def _first_time(item: dict[str, Any], fields: tuple[str, ...]) -> str:
    return next(filter(None, (utc_ms(item.get(field)) for field in fields)), "")


def scalar_text(value: object) -> str:
    """A JSON scalar as text, 12.0 as ``12``; empty for null, objects and arrays."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float) else ""


def id_text(value: object) -> str:
    """An id as text; NUL, which no store takes, becomes U+FFFD."""
    return scalar_text(value).replace("\0", "\ufffd")


def utc_ms(value: object) -> str:
    """
    An RFC 3339 time as neutral JSON writes it: ``2026-03-01T10:20:30.123Z``.

    Digits below a millisecond are cut off. A time without a zone is UTC.

    Returns:
        Empty when *value* is not such a time.
    """
    if not isinstance(value, str):
        return ""
    try:
        text = timestamps.wire(datetime.fromisoformat(value.strip().upper()))
    except ValueError:
        return ""
    return text if text.endswith("Z") else ""  # UTC cannot express the first hours of the year 1
