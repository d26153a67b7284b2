"""
Validation of what a call is given, as values: used by the client's methods and by messages.

Misuse raises `FieldError`, naming type, field and what was found; the first field that is wrong,
in the order of the vendors' own SDKs. Whitespace counts as empty.

Nothing here trusts what it is given: types are asked for by ``type``, since ``isinstance`` asks the
object, and methods are those of the base class, since a subclass may have made them raise.
"""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, UUID, uuid5

from penstock import timestamps
from penstock._nobody import is_nobodys
from penstock.errors import FieldError
from penstock.values._scalars import encodable
from penstock.values._shapes import contained

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
    kind = type(value)
    if value is None or issubclass(kind, str):
        return _filled(value)
    text = None
    if issubclass(kind, UUID):
        text = contained(UUID.__str__, value)
    elif issubclass(kind, int) and kind is not bool:
        text = contained(int.__repr__, value)  # fails for thousands of digits
    if type(text) is not str:
        raise FieldError(type_name, field, value, "must be a str, an int or a UUID")
    return text


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


def somebodys_id(value: object, type_name: str, field: str) -> str:
    """
    An id that may be merged into another.

    Raises:
        FieldError: It is missing, blank, of the wrong type, or stands for nobody in particular.
    """
    found = required_id(value, type_name, field)
    if is_nobodys(found):
        raise FieldError(type_name, field, value, "stands for nobody: it cannot be merged")
    return found


def optional_text(value: object, type_name: str, field: str) -> str | None:
    """
    A text; None when it is missing or blank.

    Raises:
        FieldError: It is something else.
    """
    if value is not None and not issubclass(type(value), str):
        raise FieldError(type_name, field, value, "must be a str")
    return _filled(value)


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
    kind = type(value)
    if issubclass(kind, dict) or contained(_is_like_a_dict, kind) is True:
        return value  # type: ignore[return-value]
    raise FieldError(type_name, field, value, "must be a mapping, such as a dict")


def wire_timestamp(value: object, type_name: str) -> str:
    """
    A moment as the wire has it: UTC, milliseconds, ``Z``.

    Raises:
        FieldError: It is neither a datetime nor RFC 3339 text. Numbers are refused because
            nothing tells seconds from milliseconds.
    """
    kind = type(value)
    if issubclass(kind, datetime):
        text = contained(_moment, value)
        reason = "is no moment, or its time zone does not work"
    elif issubclass(kind, date):
        text = contained(_midnight, value)
        reason = "is no day"
    elif issubclass(kind, str):
        text = contained(_parsed, value)
        reason = "is not RFC 3339"
    else:
        text = None
        reason = "must be a datetime or RFC 3339 text; a number may be seconds or milliseconds"
    if type(text) is not str:
        raise FieldError(type_name, "timestamp", value, reason)
    return text


def chosen_id(message_id: object, idempotency_key: object, type_name: str) -> str:
    """
    The message id a caller chose, directly or by an idempotency key.

    Raises:
        FieldError: Both are given, or one is blank, too long, of the wrong type, or holds half a
            character: two such would become one, and one of their events a repetition.
    """
    if message_id is None:
        key = required_text(idempotency_key, type_name, "idempotency_key")
        if not encodable(key):
            raise FieldError(type_name, "idempotency_key", key, "holds a lone surrogate")
        return str(uuid5(IDEMPOTENCY_NAMESPACE, key))
    if idempotency_key is not None:
        raise FieldError(type_name, "idempotency_key", idempotency_key, "message_id is given too")
    chosen = required_id(message_id, type_name, "message_id")
    if len(chosen) > MAX_MESSAGE_ID:
        raise FieldError(type_name, "message_id", message_id, "must be under 100 characters")
    if not encodable(chosen):
        raise FieldError(type_name, "message_id", message_id, "holds a lone surrogate")
    return chosen


def is_set(flag: object) -> bool:
    """Whether a flag of any type is true."""
    return contained(bool, flag) is True


def _filled(text: Any) -> str | None:
    """A text as a plain str; None when it is missing or blank."""
    plain: str | None = text if text is None or type(text) is str else str.__str__(text)
    return plain if plain and not plain.isspace() else None


def _is_like_a_dict(kind: type) -> bool:
    return hasattr(kind, "keys") and hasattr(kind, "__getitem__")


def _moment(value: datetime) -> str | None:
    """None for pandas' NaT, which is a datetime by class and differs from itself."""
    odd = type(value) is not datetime and value != value  # noqa: PLR0124 - see above
    return None if odd else timestamps.wire(value)


def _midnight(value: date) -> str:
    return timestamps.wire(datetime.combine(value, time.min))


def _parsed(value: str) -> str:
    return timestamps.wire(timestamps.parse(str.__str__(value)))
