"""
Reading other people's objects: what they hold, without trusting any of their code.

`shape_of` decides by type alone, since an instance may answer anything (a Mock says yes to
every attribute). Whatever runs code of a foreign class is called through `contained`.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, MappingView, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

#: Items taken of a collection that makes them on demand, such as a range.
MAX_LAZY_ITEMS: Final = 10_000
#: Characters kept of an arbitrary object's text.
MAX_TEXT: Final = 1_000

#: A mapping that another thread is changing is read anew this often.
_TRIES = 3
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class Failed:
    """What stands for the result of code that raised."""


FAILED: Final = Failed()


class Shape(NamedTuple):
    """
    How to read one kind of object.

    Args:
        read: The object's content: pairs of key and value, items, or what it wraps.
        content: Which of these.
        lazy: Whether the object makes its content on demand, maybe without end. Then `read`
            stops one item after `MAX_LAZY_ITEMS`.
    """

    read: Callable[[Any], Any]
    content: Literal["pairs", "items", "unordered", "wrapped"]
    lazy: bool = False


def contained(function: Callable[..., Any], *arguments: object) -> Any:
    """The result, or `FAILED`: foreign code may raise anything from anywhere."""
    try:
        return function(*arguments)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - see above; this is the one place
        return FAILED


def shape_of(kind: type) -> Shape | Failed | None:
    """How to read an instance of *kind*; None when it is not known to hold anything."""
    if kind is dict:
        return _DICT
    if kind is list:
        return _LIST
    return contained(_shape_of, kind)  # type: ignore[no-any-return]


def content_of(value: object, shape: Shape) -> Any:
    """What *value* holds, in a list of its own; or `FAILED`."""
    for _ in range(_TRIES):
        content = contained(shape.read, value)
        if content is not FAILED:
            return content
    return FAILED


def table_of(mapping: object) -> dict[Any, Any]:
    """
    What a mapping holds, in a dict of its own.

    One that cannot be read as a whole is put under the name of its type instead, where its
    conversion will tell what is wrong with it.
    """
    shape = shape_of(type(mapping))
    if isinstance(shape, Shape) and shape.content == "pairs":
        content = content_of(mapping, shape)
        whole = content is not FAILED and not (shape.lazy and len(content) > MAX_LAZY_ITEMS)
        table = contained(dict, content) if whole else FAILED
        if isinstance(table, dict):
            return table
    return {type_name(type(mapping)): mapping}


def text_of(value: object) -> str | Failed:
    """The text of an arbitrary object, shortened and without its address in memory."""
    return contained(_text_of, value)  # type: ignore[no-any-return]


def type_name(kind: type) -> str:
    """As in ``<app.models.Cart>``, without asking the class or its metaclass."""
    name = type.__dict__["__name__"].__get__(kind)
    module = contained(type.__dict__["__module__"].__get__, kind)
    return f"<{module}.{name}>" if type(module) is str and module.isascii() else f"<{name}>"


def _text_of(value: object) -> str:
    kind = type(value)
    if kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
        return type_name(kind)
    return _ADDRESS.sub("", str.__str__(str(value))[:MAX_TEXT])


# How to read


def _fields(value: object, names: Any) -> list[tuple[str, Any]]:
    """Attributes by name; one that raises does not hide the others."""
    return [(name, contained(getattr, value, name)) for name in names]


def _named_tuple_pairs(value: Any) -> list[tuple[str, Any]]:
    return list(zip(type(value)._fields, tuple.__iter__(value), strict=True))


def _dataclass_pairs(value: Any) -> list[tuple[str, Any]]:
    from dataclasses import fields

    return _fields(value, [field.name for field in fields(type(value))])


def _attrs_pairs(value: Any) -> list[tuple[str, Any]]:
    return _fields(value, [field.name for field in type(value).__attrs_attrs__])


def _struct_pairs(value: Any) -> list[tuple[str, Any]]:
    kind = type(value)
    values = [pair[1] for pair in _fields(value, kind.__struct_fields__)]
    pairs = zip(kind.__struct_encode_fields__, values, strict=True)
    return [(name, child) for name, child in pairs if child is not msgspec.UNSET]


def _numpy_value(value: Any) -> Any:
    plain = value.tolist()
    return float(plain) if _is_numpy(type(plain)) else plain  # a long double stays one


def _mapping_pairs(value: Any) -> list[tuple[Any, Any]]:
    return [(key, child) for key, child in islice(value.items(), MAX_LAZY_ITEMS + 1)]


def _keyed_pairs(value: Any) -> list[tuple[Any, Any]]:
    return [(key, value[key]) for key in islice(value.keys(), MAX_LAZY_ITEMS + 1)]


def _items(value: Any) -> list[Any]:
    return list(islice(value, MAX_LAZY_ITEMS + 1))


_DICT = Shape(lambda value: list(dict.items(value)), "pairs")
_LIST = Shape(list.copy, "items")
_NAMED_TUPLE = Shape(_named_tuple_pairs, "pairs")
_MAPPING = Shape(_mapping_pairs, "pairs", lazy=True)
#: Mappings by behaviour only, such as a row of sqlite3. Tables of numbers have ``keys`` as well.
_KEYED = Shape(_keyed_pairs, "pairs", lazy=True)
_NUMPY = Shape(_numpy_value, "wrapped")

#: Of these, what the base class stores counts, whatever a subclass makes of it.
_BUILT_IN: tuple[tuple[type, Shape], ...] = (
    (Enum, Shape(lambda value: value.value, "wrapped")),
    (dict, _DICT),
    (list, _LIST),
    (tuple, Shape(lambda value: list(tuple.__iter__(value)), "items")),
    (set, Shape(lambda value: list(set.__iter__(value)), "unordered")),
    (frozenset, Shape(lambda value: list(frozenset.__iter__(value)), "unordered")),
    (deque, Shape(lambda value: list(deque.__iter__(value)), "items")),
)
#: Libraries are known by a mark on the class, so that none has to be imported.
_MARKED: tuple[tuple[str, Shape], ...] = (
    ("__dataclass_fields__", Shape(_dataclass_pairs, "pairs")),
    ("__attrs_attrs__", Shape(_attrs_pairs, "pairs")),
    ("__struct_encode_fields__", Shape(_struct_pairs, "pairs")),
    ("__pydantic_validator__", Shape(lambda value: value.model_dump(), "wrapped")),
    ("__fspath__", Shape(lambda value: value.__fspath__(), "wrapped")),
)
_COLLECTIONS: tuple[tuple[type, Shape], ...] = (
    (Sequence, Shape(_items, "items", lazy=True)),
    (MappingView, Shape(_items, "items", lazy=True)),
    (AbstractSet, Shape(_items, "unordered", lazy=True)),
)


def _is_numpy(kind: type) -> bool:
    module = contained(type.__dict__["__module__"].__get__, kind)
    return type(module) is str and module.partition(".")[0] == "numpy"


def _shape_of(kind: type) -> Shape | None:
    for base, shape in _BUILT_IN:
        if issubclass(kind, base):
            return _NAMED_TUPLE if base is tuple and hasattr(kind, "_fields") else shape
    if _is_numpy(kind) and hasattr(kind, "tolist"):
        return _NUMPY
    for mark, shape in _MARKED:
        if hasattr(kind, mark):
            return shape
    if issubclass(kind, Mapping):
        return _MAPPING
    if hasattr(kind, "keys") and hasattr(kind, "__getitem__") and not hasattr(kind, "__array__"):
        return _KEYED
    return next((shape for base, shape in _COLLECTIONS if issubclass(kind, base)), None)
