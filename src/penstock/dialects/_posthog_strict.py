"""
What capture V1 refuses and the older protocol lets pass.

Source: the protocol reference, 7.5.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from penstock.dialects._posthog_identity import MAX_DISTINCT_ID
from penstock.dialects._posthog_mapping import DEFAULT_GROUP_TYPE, AliasDirection
from penstock.dialects._posthog_options import OPTIONS
from penstock.dialects._posthog_reverse import receive
from penstock.dialects._receiving import Refused

#: Characters.
MAX_EVENT_NAME = 200


def receive_v1(
    item: dict[str, Any],
    *,
    type: str | None = None,  # noqa: A002 - the wire's word
    group_type: str = DEFAULT_GROUP_TYPE,
    alias_direction: AliasDirection = "merge_safe",
) -> dict[str, Any]:
    """
    One V1 event in neutral form; arguments and result as those of `receive`.

    Raises:
        Refused: As `receive`; also ``missing_event_uuid``, ``event_name_too_long``,
            ``distinct_id_too_large``, ``invalid_event_timestamp`` and ``invalid_options``. Codes
            that begin with ``malformed_`` or ``missing_`` and the like are the wire's own
            ``details``.
    """
    if not isinstance(item, dict):
        raise Refused("invalid_item", "not a JSON object")
    item = {**item, "uuid": _trimmed(item, "uuid"), "distinct_id": _trimmed(item, "distinct_id")}
    if not item["uuid"]:
        raise Refused("missing_event_uuid", "the event has no uuid")
    _check_lengths(item)
    if not _has_offset(item.get("timestamp")):
        raise Refused("invalid_event_timestamp", "timestamp is not RFC 3339 with an offset")
    if not isinstance(item.get("properties"), dict):
        raise Refused("malformed_event_properties", "properties is not a JSON object")
    _check_options(item.get("options"))
    return receive(item, type=type, group_type=group_type, alias_direction=alias_direction)


def _trimmed(item: dict[str, Any], field: str) -> str:
    value = item.get(field)
    return value.strip() if isinstance(value, str) else ""


def _check_lengths(item: dict[str, Any]) -> None:
    name = item.get("event")
    if isinstance(name, str) and len(name) > MAX_EVENT_NAME:
        raise Refused("event_name_too_long", f"more than {MAX_EVENT_NAME} characters")
    if len(item["distinct_id"]) > MAX_DISTINCT_ID:
        raise Refused("distinct_id_too_large", f"more than {MAX_DISTINCT_ID} characters")
    if not item["distinct_id"]:
        raise Refused("missing_distinct_id", "the event has no distinct_id")


def _has_offset(timestamp: object) -> bool:
    if not isinstance(timestamp, str):
        return False
    try:
        return datetime.fromisoformat(timestamp).tzinfo is not None
    except ValueError:
        return False


def _check_options(options: object) -> None:
    if not isinstance(options, dict | None):
        raise Refused("invalid_options", "options is not a JSON object")
    for option, read in OPTIONS.values():
        value = (options or {}).get(option)
        if value is not None and read(value) is None:
            raise Refused("invalid_options", f"options.{option} has the wrong type")
