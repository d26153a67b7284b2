"""Message id to PostHog event ``uuid``: PostHog takes nothing but UUIDs."""

from __future__ import annotations

import re

_canonical = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch


def event_uuid(message_id: str) -> str:
    """
    The event's ``uuid``: the same message id always gives the same one.

    Args:
        message_id: Any text. Our own ids are lower-case UUIDs already and pass unchanged.

    Returns:
        A lower-case hyphenated UUID: *message_id* itself where it parses as one, else a UUIDv5
        of it.
    """
    if _canonical(message_id):
        return message_id
    return parsed_uuid(message_id) or _made_up(message_id)


def parsed_uuid(text: object) -> str:
    """*text* as a lower-case hyphenated UUID, whichever spelling it has; empty if it is none."""
    if not isinstance(text, str):
        return ""
    if _canonical(text):
        return text
    from uuid import UUID

    try:
        return str(UUID(text))
    except ValueError:
        return ""


def _made_up(message_id: str) -> str:
    from uuid import NAMESPACE_URL, uuid5

    return str(uuid5(NAMESPACE_URL, f"messageId:{message_id}"))
