"""
The types of documented fields, for the type checker and for the check at run time at once.

An alias is the annotation a user's editor sees; its `Rule` is what a value is held against.
Only the obviously wrong is refused ("abc" as a revenue): what is merely odd is the data's own
affair. None always means unset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, NamedTuple, TypeAlias
from uuid import UUID


class Rule(NamedTuple):
    """What a field accepts."""

    accepts: Callable[[object], bool]
    #: For the error: "expected <this>".
    expected: str


def _is_text(value: object) -> bool:
    return isinstance(value, str | Enum | UUID)


def _is_identifier(value: object) -> bool:
    return _is_text(value) or _is_number(value)


def _is_number(value: object) -> bool:
    """Numbers of other libraries are known by their conversions, which text has not."""
    kind = type(value)
    return kind is not bool and (hasattr(kind, "__float__") or hasattr(kind, "__index__"))


def _is_flag(value: object) -> bool:
    return isinstance(value, bool) or type(value).__module__ == "numpy"


def _is_moment(value: object) -> bool:
    return isinstance(value, datetime | date | str)


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_list(value: object) -> bool:
    """Anything with items, so a tuple, a set or an array; but not one text or one object."""
    return hasattr(type(value), "__iter__") and not isinstance(value, str | bytes | Mapping)


Text: TypeAlias = Annotated[str | UUID | Enum | None, Rule(_is_text, "text")]
Identifier: TypeAlias = Annotated[
    str | int | UUID | Enum | None, Rule(_is_identifier, "text or a number")
]
Number: TypeAlias = Annotated[float | int | Decimal | None, Rule(_is_number, "a number")]
Integer: TypeAlias = Annotated[int | None, Rule(_is_number, "a number")]
Flag: TypeAlias = Annotated[bool | None, Rule(_is_flag, "True or False")]
Moment: TypeAlias = Annotated[
    datetime | date | str | None, Rule(_is_moment, "a datetime, a date or RFC 3339 text")
]
Object: TypeAlias = Annotated[Mapping[str, Any] | None, Rule(_is_object, "a mapping")]
TextOrObject: TypeAlias = Annotated[
    str | Mapping[str, Any] | None,
    Rule(lambda value: _is_text(value) or _is_object(value), "text or a mapping"),
]
TextOrList: TypeAlias = Annotated[
    str | Sequence[str] | None,
    Rule(lambda value: _is_text(value) or _is_list(value), "text or a list of texts"),
]
TextOrNumber: TypeAlias = Annotated[
    str | float | int | Decimal | None,
    Rule(lambda value: _is_text(value) or _is_number(value), "text or a number"),
]
Objects: TypeAlias = Annotated[Sequence[Mapping[str, Any]] | None, Rule(_is_list, "a list")]
Anything: TypeAlias = Annotated[Any, Rule(lambda _: True, "anything")]
