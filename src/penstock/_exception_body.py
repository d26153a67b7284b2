"""
The fields of an `ExceptionEvent` in neutral JSON: how each is checked, and what is left out.

The message itself stands beside its kin in `penstock.messages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from penstock import _checks
from penstock.errors import FieldError

if TYPE_CHECKING:
    from penstock.messages import Data, ExceptionEvent

_NAME = "ExceptionEvent"
#: ``{field: its neutral name}`` of the texts.
_TEXTS = {
    "level": "level",
    "source": "source",
    "fingerprint": "fingerprint",
    "release_id": "releaseId",
    "trace_id": "traceId",
    "span_id": "spanId",
    "event": "event",
}
#: Properties of PostHog's that only it may write.
_POSTHOGS = frozenset({"$debug_images", "$cymbal_errors"})


def exception_body(event: ExceptionEvent) -> dict[str, Any]:
    """
    The fields of *event* in neutral JSON; unset ones are absent.

    Properties that PostHog reads as part of the error itself are left out: one of the wrong type
    would cost the event.

    Raises:
        FieldError: One is missing, empty or of the wrong type.
    """
    user = _checks.optional_id(event.user_id, _NAME, "user_id")
    anonymous = _checks.optional_id(event.anonymous_id, _NAME, "anonymous_id")
    exceptions = _told_of("exceptions", event.exceptions, "type")
    if not exceptions:
        raise FieldError(_NAME, "exceptions", None, "must not be empty")
    texts = {
        wire: _checks.optional_text(getattr(event, field), _NAME, field)
        for field, wire in _TEXTS.items()
    }
    steps = _told_of("steps", event.steps, "message")
    properties = _properties(event)
    if user is None and anonymous is None:
        properties.setdefault("$process_person_profile", False)
    neutral = {
        "type": event.kind.wire,
        "userId": user,
        "anonymousId": anonymous,
        "exceptions": exceptions,
        **texts,
        "steps": steps or None,
        "properties": properties or None,
    }
    return {name: value for name, value in neutral.items() if value is not None}


def _told_of(field: str, value: object, needed: str) -> list[Data]:
    """
    A copy of a list of objects, each with a text that it cannot do without.

    Raises:
        FieldError: It is something else.
    """
    found: list[Any] = list(value) if isinstance(value, list | tuple) else [None]
    if all(isinstance(one, Mapping) and isinstance(one.get(needed), str) for one in found):
        return found
    reason = f"must be a list of mappings with a {needed}, which is a str"
    raise FieldError(_NAME, field, value, reason)


def _properties(event: ExceptionEvent) -> dict[str, Any]:
    given = {} if event.properties is None else event.properties
    checked = dict(_checks.mapping(given, _NAME, "properties"))
    kept = {name: value for name, value in checked.items() if not _is_of_the_error(name, value)}
    if event.groups is not None:
        kept["$groups"] = _checks.mapping(event.groups, _NAME, "groups")
    return kept


def _is_of_the_error(name: object, value: object) -> bool:
    """Whether PostHog reads this property as part of an error, or overwrites it."""
    if not isinstance(name, str):
        return False
    if name == "$exception_fingerprint":
        return not isinstance(value, str)
    return name.startswith("$exception_") or name in _POSTHOGS
