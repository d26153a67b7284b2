"""The walk that turns any value into plain JSON values."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from penstock.values._coercion import Coercion, TooMuch
from penstock.values._quick import plain_json
from penstock.values._scalars import SCALARS, encodable, is_plain, stringified, unreadable
from penstock.values._shapes import (
    FAILED,
    MAX_LAZY_ITEMS,
    Failed,
    Shape,
    content_of,
    shape_of,
)
from penstock.values._weight import MOST, TEXT_WEIGHT, VALUE_WEIGHT, weigh

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.values._coercion import Reason

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
"""What every JSON encoder takes: floats are finite, text is valid UTF-8."""

#: Containers inside each other, the root (``properties``) being the first.
MAX_DEPTH: Final = 32
TOO_DEEP: Final = "[too deep]"
CYCLE: Final = "[cycle]"

#: An object takes as long as several scalars, and may be as short as ``[]``.
_OBJECT_WEIGHT = 6
#: Containers inside each other in the key of a mapping.
_KEY_DEPTH = 4


def to_json(
    value: object,
    path: str = "properties",
    *,
    on_coercion: Callable[[Coercion], None] | None = None,
    max_depth: int = MAX_DEPTH,
    most: int = MOST,
) -> Json:
    """
    *value* as plain JSON values.

    Args:
        value: Anything at all. It is not changed, and later changes to it have no effect.
        path: What the paths of coercions start with.
        on_coercion: Called once for each lossy change. Only what it raises leaves here.
        max_depth: Containers inside each other, *value* being the first.
        most: About the bytes of JSON it may come to. What is in it twice counts twice, so that
            neither a small knot of references nor an endless one takes for ever.

    Raises:
        TooMuch: It comes to more.
    """
    converted: Json = _Conversion(on_coercion, path, most).guarded(value, max_depth)
    return converted


class _Conversion:
    """
    One walk over one value.

    ``room`` is how many containers may still be opened. ``_trail`` holds the keys and indices
    from the root to the current value, ``_open`` the ids of the containers on that way, ``_left``
    is about how many more bytes there may be, ``_looks`` how many more may be looked at to find
    plain containers: what is not plain is looked at again at each level above it.
    """

    __slots__ = ("_left", "_looks", "_most", "_open", "_report", "_root", "_trail")

    def __init__(self, report: Callable[[Coercion], None] | None, root: str, most: int) -> None:
        self._report = report
        self._root = root
        self._left = self._looks = self._most = most
        self._trail: list[str | int] = []
        self._open: set[int] = set()

    def guarded(self, value: object, room: int) -> Any:
        """`value`, also where the caller's own stack leaves us less than the walk takes."""
        try:
            return self.value(value, room)
        except RecursionError:
            self.lossy("too_deep")
            return TOO_DEEP

    def value(self, value: object, room: int) -> Any:
        """*value* as plain JSON values."""
        kind = type(value)
        # Only a class of a class of its own may have its own ``__hash__``, and none of ours does.
        convert = SCALARS.get(kind) if type(kind) is type else None
        if convert is not None:
            return self._counted(convert(value, self.lossy))
        if (
            kind is not dict
            and kind is not list
            and kind is not tuple
            and not issubclass(kind, Enum)
        ):
            for base, convert in SCALARS.items():
                if issubclass(kind, base):
                    return self._counted(convert(value, self.lossy))
        return self._structure(value, room)

    def _counted(self, scalar: Any) -> Any:
        if type(scalar) is str:
            self._spend(len(scalar))
        return scalar

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise TooMuch(self._most)

    def lossy(self, reason: Reason) -> None:
        """Report a change at the current place."""
        if self._report is not None:
            steps = (f"[{step}]" if type(step) is int else f".{step}" for step in self._trail)
            path = (self._root + "".join(steps)).removeprefix(".")
            self._report(Coercion(path, reason))

    def _structure(self, value: object, room: int) -> Any:
        """What *value* holds, where its shape is known; otherwise its text."""
        self._spend(_OBJECT_WEIGHT)
        shape = shape_of(type(value))
        if shape is None:
            return self._counted(stringified(value, self.lossy))
        if isinstance(shape, Failed):
            return unreadable(value, self.lossy)
        identity = id(value)
        if identity in self._open:
            self.lossy("cycle")
            return CYCLE
        if room <= 0 and shape.content != "wrapped":
            self.lossy("too_deep")
            return TOO_DEEP
        content = content_of(value, shape)
        if content is FAILED:
            return unreadable(value, self.lossy)
        if shape.lazy and len(content) > MAX_LAZY_ITEMS:
            self.lossy("too_many")
            del content[MAX_LAZY_ITEMS:]
        self._open.add(identity)
        try:
            return self._built(shape, content, room)
        finally:
            self._open.discard(identity)

    def _built(self, shape: Shape, content: Any, room: int) -> Any:
        if shape.content == "pairs":
            return self._object(content, room - 1)
        if shape.content == "wrapped":
            return self.value(content, room)
        self._spend(len(content) * VALUE_WEIGHT)
        array = [
            item if is_plain(item) else self._child(index, item, room - 1)
            for index, item in enumerate(content)
        ]
        return _in_order(array) if shape.content == "unordered" else array

    def _object(self, pairs: list[tuple[Any, Any]], room: int) -> dict[str, Any]:
        self._spend(len(pairs) * (VALUE_WEIGHT + TEXT_WEIGHT))
        if not _have_plain_keys(pairs):
            names = self._names([key for key, _ in pairs])
            self._spend(sum(map(len, names)))
            pairs = [(name, child) for name, (_, child) in zip(names, pairs, strict=True)]
        return {
            name: child if is_plain(child) else self._child(name, child, room)
            for name, child in pairs
        }

    def _child(self, step: str | int, child: object, room: int) -> Any:
        if type(child) is dict or type(child) is list:  # often one bad value is all there is
            weight = weigh(child, room, min(self._left, self._looks))
            data = plain_json(child) if weight > 0 else None
            if data is not None:
                self._spend(weight)
                return orjson.loads(data)
            self._looks -= abs(weight)
        self._trail.append(step)
        try:
            return self.guarded(child, room)
        finally:
            self._trail.pop()

    def _names(self, keys: list[Any]) -> list[str]:
        """A text for each key, all different; a key that is text keeps its name."""
        plain = {key for key in keys if type(key) is str and encodable(key)}
        taken, kept, names = set(plain), set(), []
        numbers: dict[str, int] = {}
        for key in keys:
            if type(key) is str and key in plain and key not in kept:
                kept.add(key)
                names.append(key)
            else:
                names.append(self._new_name(key, taken, numbers))
                taken.add(names[-1])
        return names

    def _new_name(self, key: object, taken: set[str], numbers: dict[str, int]) -> str:
        """The text of *key*; numbered on, from where *numbers* stands, when it is taken."""
        text = self.value(key, _KEY_DEPTH)
        if not isinstance(text, str):
            text = json.dumps(text, ensure_ascii=False)
        if text not in taken:
            return text
        number = numbers.get(text, 2)
        while f"{text}#{number}" in taken:
            number += 1
        numbers[text] = number + 1
        self._trail.append(f"{text}#{number}")
        self.lossy("duplicate_key")
        self._trail.pop()
        return f"{text}#{number}"


def _have_plain_keys(pairs: list[tuple[Any, Any]]) -> bool:
    """Whether all keys can stay as they are, found quickly; False may be a false alarm."""
    for key, _ in pairs:
        if type(key) is not str or not is_plain(key):
            return False
    return len(dict(pairs)) == len(pairs)


def _in_order(array: list[Any]) -> list[Any]:
    """A set's items sorted, so that equal sets give equal JSON; as they came if they cannot be."""
    try:
        return sorted(array)
    except TypeError:
        return array
