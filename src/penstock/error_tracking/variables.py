"""
Local variables as text: what they are, never what their own code would say.

No ``repr``, ``len``, ``bool`` or attribute of an unknown type is asked for: a query set would go
to its database. What is not on the list here is shown as ``<module.Type>``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from math import isfinite
from pathlib import PurePath
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from penstock.error_tracking.scrubbing import REDACTED, TOO_LONG
from penstock.error_tracking.text import Failed, class_module, class_name, clean, contained, is_a

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.error_tracking.scrubbing import Masker

#: Characters of one value.
MAX_VALUE: Final = 1024
#: Bytes of names and values in one event.
MAX_TOTAL: Final = 10 * 1024
#: Containers inside each other; items of one; values in one variable.
MAX_DEPTH: Final = 12
MAX_ITEMS: Final = 50
MAX_NODES: Final = 100
#: Text longer than this is not looked at.
MAX_TEXT: Final = 2048

#: A number of so many bits is no double any more.
_DOUBLE_BITS = 1024
_SCALARS = (str, int, float, bool, type(None))
_missing = object()


@dataclass
class Budget:
    """How many bytes of variables an event may still have; the crash's are first to be told."""

    left: int = MAX_TOTAL

    def take(self, name: str, value: Any) -> bool:
        """Whether there is room for one more."""
        size = len(name.encode()) + (len(value.encode()) if isinstance(value, str) else 8) + 6
        if size > self.left:
            return False
        self.left -= size
        return True


def variables_of(
    values: Mapping[str, Any], masker: Masker | None, budget: Budget
) -> dict[str, Any]:
    """
    What PostHog shows beside a frame: ``{name: text or finite number}``.

    Args:
        values: The frame's; ``__names__`` are left out, scalars come first.
        masker: Withholds secrets; None for nothing.
        budget: What is left of the event's.
    """
    names = sorted(name for name in values if type(name) is str and not name.startswith("__"))
    names.sort(key=lambda name: type(values[name]) not in _SCALARS)
    told: dict[str, Any] = {}
    for name in names:
        value = contained(shown, name, values[name], masker)
        if isinstance(value, Failed):  # another thread changes it, or the stack is used up
            value = type_name(type(values[name]))
        if budget.take(name, value):
            told[clean(name, MAX_VALUE)] = value
    return told


def shown(name: str, value: object, masker: Masker | None) -> str | int | float:
    """One variable."""
    if masker is not None and masker.hides_name(name):
        return REDACTED
    plain = _Plain(masker).of(value, MAX_DEPTH)
    if isinstance(plain, str):
        return clean(plain, MAX_VALUE)
    if plain is None or isinstance(plain, bool):
        return str(plain)
    if isinstance(plain, list | dict):
        return clean(json.dumps(plain, ensure_ascii=False), MAX_VALUE)
    number: int | float = plain
    return number if abs(number) < 1 << 53 else str(number)


def plain_of(name: str, value: object, masker: Masker | None) -> Any:
    """A log record's field as JSON values, by the same rules."""
    if masker is not None and masker.hides_name(name):
        return REDACTED
    plain = contained(_Plain(masker).of, value, MAX_DEPTH)
    if isinstance(plain, Failed):
        return type_name(type(value))
    return clean(plain, MAX_VALUE) if isinstance(plain, str) else plain


class _Plain:
    """One walk over one variable."""

    def __init__(self, masker: Masker | None) -> None:
        self._masker = masker
        self._nodes = 0

    def of(self, value: object, room: int) -> Any:
        """*value* as JSON values, as far as it is known and there is room."""
        self._nodes += 1
        kind = type(value)
        if issubclass(kind, str):
            return self._text(str.__str__(value))
        scalar = _scalar(value, kind)
        if scalar is not _missing:
            return scalar
        return "..." if room <= 0 or self._nodes > MAX_NODES else self._container(value, room)

    def _container(self, value: object, room: int) -> Any:
        kind = type(value)
        pairs = _pairs(value, kind)
        if pairs is not None:
            return self._object(pairs, room)
        items = _items(value, kind)
        if items is not None:
            return [self.of(item, room - 1) for item in items]
        return type_name(kind)

    def _text(self, text: str) -> str:
        if len(text) > MAX_TEXT:
            return TOO_LONG
        return REDACTED if self._masker is not None and self._masker.hides_text(text) else text

    def _object(self, pairs: list[tuple[Any, Any]], room: int) -> dict[str, Any]:
        told = {}
        for key, value in pairs:
            name = key if type(key) is str else self.of(key, 0)
            name = clean(str(name), MAX_VALUE)
            hidden = self._masker is not None and self._masker.hides_name(name)
            told[name] = REDACTED if hidden else self.of(value, room - 1)
        return told


def type_name(kind: type) -> str:
    """As in ``<shop.models.Cart>``."""
    module = class_module(kind)
    return f"<{module}.{class_name(kind)}>" if module else f"<{class_name(kind)}>"


def _scalar(value: Any, kind: type) -> Any:
    """A number, or a text that the standard library makes; `_missing` for what is neither."""
    if value is None or kind is bool:
        return value
    for base, read in _READERS:
        if issubclass(kind, base):
            text = contained(read, value)
            return type_name(kind) if isinstance(text, Failed) else text
    return _missing


def _enum(value: Any) -> str:
    return f"{class_name(type(value))}.{str.__str__(value._name_)}"


def _int(value: int) -> int | str:
    number = int.__int__(value)
    return number if number.bit_length() < _DOUBLE_BITS else "<int>"


def _float(value: float) -> float | str:
    number = float.__float__(value)
    return number if isfinite(number) else float.__repr__(number)


#: ``{class: how to read it}``, the first that fits.
_READERS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (Enum, _enum),
    (int, _int),
    (float, _float),
    (bytes, lambda value: f"<{bytes.__len__(value)} bytes>"),
    (bytearray, lambda value: f"<{bytearray.__len__(value)} bytes>"),
    (datetime, datetime.isoformat),
    (date, date.isoformat),
    (time, time.isoformat),
    (timedelta, timedelta.__str__),
    (Decimal, Decimal.__str__),
    (UUID, UUID.__str__),
    (PurePath, PurePath.__str__),
)


def _pairs(value: Any, kind: type) -> list[tuple[Any, Any]] | None:
    """Keys and values of what has them in itself; None for anything else."""
    if issubclass(kind, dict):
        found = contained(lambda: list(islice(dict.items(value), MAX_ITEMS)))
        return [] if isinstance(found, Failed) else found
    if issubclass(kind, tuple) and is_a(_own(kind, "_fields"), tuple):
        fields = _own(kind, "_fields")
        return list(zip(fields, tuple.__iter__(value), strict=False))[:MAX_ITEMS]
    fields = _own(kind, "__dataclass_fields__")
    if is_a(fields, dict):
        return [(name, _stored(value, kind, name)) for name in list(fields)[:MAX_ITEMS]]
    return None


def _items(value: Any, kind: type) -> list[Any] | None:
    for base in (list, tuple, set, frozenset):
        if issubclass(kind, base):
            return list(islice(base.__iter__(value), MAX_ITEMS))
    return None


def _own(kind: type, name: str) -> Any:
    """A class's attribute, without its metaclass."""
    for base in type.__dict__["__mro__"].__get__(kind):
        members = type.__dict__["__dict__"].__get__(base)
        if name in members:
            return members[name]
    return None


def _stored(value: Any, kind: type, name: str) -> Any:
    """A dataclass's field where it is stored, in a slot or in its dictionary; no code is run."""
    slot = _own(kind, name)
    if is_a(slot, MemberDescriptorType):
        found = contained(slot.__get__, value)
    else:
        found = contained(lambda: object.__getattribute__(value, "__dict__")[name])
    return "..." if isinstance(found, Failed) else found
