"""
Values that hold no others, as text, number, bool or null.

Each function takes subclasses too and so calls the base class's methods: what a subclass makes
of ``__str__`` or ``__float__`` is its own affair, and may raise. The second argument is told
of every lossy change.
"""

from __future__ import annotations

from binascii import b2a_base64
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any
from uuid import UUID

from penstock import timestamps
from penstock.values._shapes import Failed, contained, text_of, type_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.values._coercion import Reason

    Lossy = Callable[[Reason], None]

#: An integer of more bits may be infinite as a double, and serde_json refuses the whole batch.
_DOUBLE_BITS = 1023
#: Characters of a text which nobody counts.
_SHORT = 256
#: Below this, every integer has a double of its own.
_EXACT_DOUBLE = 2**53


def is_plain(value: object) -> bool:
    """Whether *value* can stay as it is, found quickly; False may be a false alarm."""
    if type(value) is str:
        return value.isascii() and len(value) < _SHORT
    if type(value) is float:
        return isfinite(value)
    if type(value) is int:
        return -_EXACT_DOUBLE < value < _EXACT_DOUBLE
    return value is None or type(value) is bool


def encodable(text: str) -> bool:
    """Whether UTF-8 can carry *text*: it holds no surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def unreadable(value: object, lossy: Lossy) -> str:
    """The name of the type of an object whose code raised."""
    lossy("unreadable")
    return type_name(type(value))


def stringified(value: object, lossy: Lossy) -> str:
    """The text of an object of no known form."""
    text = text_of(value)
    if isinstance(text, Failed):
        return unreadable(value, lossy)
    lossy("stringified")
    return text if encodable(text) else _mended(text)


def _mended(text: str) -> str:
    """*text* with surrogate pairs joined and lone ones replaced."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _same(value: bool | None, _: Lossy) -> bool | None:
    return value


def _from_text(value: str, lossy: Lossy) -> str:
    text = str.__str__(value)
    if encodable(text):
        return text
    lossy("surrogate")
    return _mended(text)


def _from_int(value: int, lossy: Lossy) -> int | str:
    number = int.__int__(value)
    if number.bit_length() <= _DOUBLE_BITS:
        return number
    lossy("huge_integer")
    try:
        return str(number)
    except ValueError:  # above the interpreter's limit for decimal digits
        return hex(number)


def _from_float(value: float, lossy: Lossy) -> float | None:
    number = float.__float__(value)
    if isfinite(number):
        return number
    lossy("not_finite")
    return None


def _from_decimal(value: Decimal, lossy: Lossy) -> float | int | str | None:
    """The number if its shortest text as a double has the same digits: 49.99 stays 49.99."""
    if not Decimal.is_finite(value):
        lossy("not_finite")
        return None
    number = Decimal.__float__(value)
    if isfinite(number) and Decimal(repr(number)) == Decimal(value):
        return int(number) if abs(number) < _EXACT_DOUBLE and number.is_integer() else number
    return Decimal.__str__(value)


def _from_datetime(value: datetime, lossy: Lossy) -> str | None:
    if type(value) is not datetime and contained(_is_nothing, value) is True:
        lossy("not_finite")
        return None
    text = contained(timestamps.wire, value)
    if isinstance(text, Failed):  # the time zone raised
        return unreadable(value, lossy)
    if contained(datetime.utcoffset, value) is None:
        lossy("naive_datetime")
    return str(text)


def _is_nothing(value: datetime) -> bool:
    """Only pandas' NaT, a datetime by class, differs from itself."""
    return bool(value != value)  # noqa: PLR0124 - see above


def _from_date(value: date, _: Lossy) -> str:
    return date.isoformat(value)


def _from_time(value: time, lossy: Lossy) -> str:
    text = contained(time.isoformat, value)
    return unreadable(value, lossy) if isinstance(text, Failed) else str(text)


def _from_timedelta(value: timedelta, _: Lossy) -> float:
    return timedelta.total_seconds(value)


def _from_uuid(value: UUID, lossy: Lossy) -> str:
    text = contained(UUID.__str__, value)
    return unreadable(value, lossy) if isinstance(text, Failed) else str(text)


def _from_bytes(value: bytes | bytearray | memoryview, lossy: Lossy) -> str:
    data = contained(_all_bytes, value)
    if not isinstance(data, bytes):
        return unreadable(value, lossy)
    try:
        return data.decode()
    except UnicodeDecodeError:
        lossy("not_utf8")
        return b2a_base64(data, newline=False).decode()


def _all_bytes(value: bytes | bytearray | memoryview) -> bytes:
    return memoryview(value).tobytes()


def _from_failure(_value: Failed, lossy: Lossy) -> None:
    lossy("unreadable")


#: ``{type: conversion}``. A subclass is looked for in this order: a datetime is also a date.
SCALARS: dict[type, Callable[[Any, Lossy], Any]] = {
    str: _from_text,
    int: _from_int,
    float: _from_float,
    datetime: _from_datetime,
    date: _from_date,
    time: _from_time,
    timedelta: _from_timedelta,
    Decimal: _from_decimal,
    UUID: _from_uuid,
    bytes: _from_bytes,
    bytearray: _from_bytes,
    memoryview: _from_bytes,
    bool: _same,
    type(None): _same,
    Failed: _from_failure,
}
