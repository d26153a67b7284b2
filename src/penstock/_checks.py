"""
Validation of what a call is given, as values: used by the client's methods and by messages.

Misuse raises `FieldError`, naming type, field and what was found; the first field that is wrong,
in the order of the vendors' own SDKs. Whitespace counts as empty.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, UUID, uuid5

from penstock import timestamps
from penstock.errors import FieldError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Segment refuses longer message ids.
MAX_MESSAGE_ID = 99
#: What message ids made from an ``idempotency_key`` are derived from.
IDEMPOTENCY_NAMESPACE = uuid5(NAMESPACE_URL, "penstock:idempotency-key")


def optional_id(value: object, type_name: str, field: str) -> str | None:
    """
    An id as text; None when it is missing or blank.

    Raises:
        FieldError: It is neither text, nor a whole number, nor a UUID.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return value if value and not value.isspace() else None
    if isinstance(value, UUID) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise FieldError(type_name, field, value, "must be a str, an int or a UUID")


def required_id(value: object, type_name: str, field: str) -> str:
    """
    An id as text.

    Raises:
        FieldError: It is missing, blank or of the wrong type.
    """
    found = optional_id(value, type_name, field)
    if found is None:
        raise FieldError(type_name, field, value, "must not be empty")
    return found


def optional_text(value: object, type_name: str, field: str) -> str | None:
    """
    A text; None when it is missing or blank.

    Raises:
        FieldError: It is something else.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise FieldError(type_name, field, value, "must be a str")
    return value if value and not value.isspace() else None


def required_text(value: object, type_name: str, field: str) -> str:
    """
    A text that is not blank.

    Raises:
        FieldError: It is missing, blank or something else.
    """
    found = optional_text(value, type_name, field)
    if found is None:
        raise FieldError(type_name, field, value, "must not be empty")
    return found


def one_of_ids(
    user_id: object, anonymous_id: object, type_name: str
) -> tuple[str | None, str | None]:
    """
    Both ids, at least one of them there.

    Raises:
        FieldError: Both are missing, or one is of the wrong type.
    """
    user = optional_id(user_id, type_name, "user_id")
    anonymous = optional_id(anonymous_id, type_name, "anonymous_id")
    if user is None and anonymous is None:
        raise FieldError(type_name, "user_id", user_id, "user_id or anonymous_id must be given")
    return user, anonymous


def mapping(value: object, type_name: str, field: str) -> Mapping[str, Any]:
    """
    A mapping, as it is.

    Raises:
        FieldError: It is none.
    """
    if isinstance(value, dict) or (hasattr(value, "keys") and hasattr(value, "__getitem__")):
        return value  # type: ignore[return-value]
    raise FieldError(type_name, field, value, "must be a mapping, such as a dict")


def wire_timestamp(value: object, type_name: str) -> str:
    """
    A moment as the wire has it: UTC, milliseconds, ``Z``.

    Raises:
        FieldError: It is neither a datetime nor RFC 3339 text. Numbers are refused because
            nothing tells seconds from milliseconds.
    """
    if isinstance(value, datetime):
        return timestamps.wire(value)
    if isinstance(value, date):
        return timestamps.wire(datetime(value.year, value.month, value.day))  # noqa: DTZ001 - naive is UTC
    if isinstance(value, str):
        try:
            return timestamps.wire(timestamps.parse(value))
        except ValueError:
            raise FieldError(type_name, "timestamp", value, "is not RFC 3339") from None
    reason = "must be a datetime or RFC 3339 text; a number may be seconds or milliseconds"
    raise FieldError(type_name, "timestamp", value, reason)


def chosen_id(message_id: object, idempotency_key: object, type_name: str) -> str:
    """
    The message id a caller chose, directly or by an idempotency key.

    Raises:
        FieldError: Both are given, or one is blank, too long or of the wrong type.
    """
    if message_id is None:
        key = required_text(idempotency_key, type_name, "idempotency_key")
        return str(uuid5(IDEMPOTENCY_NAMESPACE, key))
    if idempotency_key is not None:
        raise FieldError(type_name, "idempotency_key", idempotency_key, "message_id is given too")
    chosen = required_id(message_id, type_name, "message_id")
    if len(chosen) > MAX_MESSAGE_ID:
        raise FieldError(type_name, "message_id", message_id, "must be under 100 characters")
    return chosen
