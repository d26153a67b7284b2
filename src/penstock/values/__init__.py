"""
Any Python value as JSON. Data never raises: what JSON cannot carry is changed and reported.

How values are carried without a loss:

    str, int, finite float, bool, None    as they are
    UUID, time, date, path                text; a date is ``2026-03-01``
    aware datetime                        text in UTC, ``2026-03-01T10:20:30.123Z``
    timedelta                             seconds
    Decimal                               the number with the same digits; text where a double
                                          cannot keep them
    Enum                                  its value
    bytes                                 text, where it is UTF-8
    list, tuple, set, deque, range, ...   array; a set is sorted where its items can be compared
    dict and other mappings               object; of a dict subclass, what it stores
    dataclass, attrs, pydantic, msgspec   object
    named tuple                           object
    numpy scalar or array                 number or array

Everything else is a `Coercion`: a path and one of the reasons in `Reason`.
"""

from penstock.values._coercion import Coercion, Reason, TooMuch
from penstock.values._conversion import (
    CYCLE,
    MAX_DEPTH,
    TOO_DEEP,
    Json,
    to_json,
)
from penstock.values._encode import encode, encode_strict
from penstock.values._shapes import MAX_LAZY_ITEMS, MAX_TEXT
from penstock.values._weight import MOST

__all__ = [
    "CYCLE",
    "MAX_DEPTH",
    "MAX_LAZY_ITEMS",
    "MAX_TEXT",
    "MOST",
    "TOO_DEEP",
    "Coercion",
    "Json",
    "Reason",
    "TooMuch",
    "encode",
    "encode_strict",
    "to_json",
]
