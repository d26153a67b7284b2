"""
The one home of hypothesis strategies that more than one test file may need.

`json_values` are what JSON carries unchanged; `anything` is what a program may hand us.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import re
import uuid
from collections import UserDict, UserList, deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import MagicMock, Mock

import msgspec
from hypothesis import strategies as st

#: Text that UTF-8 can carry.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
#: Any text a Python string can hold, surrogates included.
any_texts = st.text(st.characters() | st.characters(categories=["Cs"]), max_size=20)
json_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
#: Plain JSON values: they must come out as they went in, and nothing is to report.
json_values = st.recursive(
    json_scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
json_objects = st.dictionaries(texts, json_values, max_size=6)


class Trouble(BaseException):
    """What no ``except Exception`` stops."""


RAISED = (ValueError, KeyError, RuntimeError, RecursionError, StopIteration, MemoryError, Trouble)
METHODS = re.findall(
    r"\w+",
    """
    __str__ __repr__ __format__ __iter__ __next__ __len__ __bool__ __eq__ __ne__ __lt__ __hash__
    __int__ __float__ __index__ __bytes__ __contains__ __getitem__ __getattr__ __getattribute__
    __fspath__ __call__ __reduce_ex__ __array__ __enter__ keys items values get copy tolist item
    model_dump isoformat utcoffset as_tuple hex encode
    """,
)
PROPERTIES = ("__class__", "__dict__", "__module__", "value", "name", "_fields", "tzinfo")
CLASS_MARKS = ("__dataclass_fields__", "__attrs_attrs__", "__struct_encode_fields__", "_fields")
BASES: tuple[tuple[type, tuple[Any, ...]], ...] = (
    (object, ()),
    (str, ("text",)),
    (int, (7,)),
    (float, (0.5,)),
    (bytes, (b"\xff",)),
    (bytearray, (b"ab",)),
    (list, ([1, 2],)),
    (tuple, ((1, 2),)),
    (set, ({1, 2},)),
    (frozenset, ({1, 2},)),
    (dict, ({"a": 1},)),
    (collections.OrderedDict, ({"a": 1},)),
    (collections.Counter, ("aab",)),
    (deque, ([1, 2],)),
    (UserDict, ({"a": 1},)),
    (UserList, ([1, 2],)),
    (datetime, (2026, 3, 1)),
    (date, (2026, 3, 1)),
    (timedelta, (1,)),
    (Decimal, ("1.5",)),
    (Fraction, (1, 3)),
    (Exception, ("message",)),
    (SimpleNamespace, ()),
)


class HostileMeta(type):
    """
    A class of which nothing can be asked.

    No strategy draws an instance: hypothesis itself asks.
    """

    def __hash__(cls) -> int:
        raise Trouble

    def __eq__(cls, other: object) -> bool:
        raise Trouble

    def __getattribute__(cls, name: str) -> Any:
        raise Trouble(name)

    def __instancecheck__(cls, instance: object) -> bool:
        raise Trouble

    def __subclasscheck__(cls, subclass: type) -> bool:
        raise Trouble


class GenerousMeta(type):
    """A class that has every attribute one may ask for."""

    def __getattr__(cls, name: str) -> Any:
        return lambda *_: cls


def _raiser(error: type[BaseException]) -> Any:
    def method(*_: object, **__: object) -> Any:
        raise error("hostile")

    return method


@st.composite
def hostile(draw: st.DrawFn) -> object:
    """An instance of a class whose methods and properties raise."""
    base, arguments = draw(st.sampled_from(BASES))
    error = _raiser(draw(st.sampled_from(RAISED)))
    body = dict.fromkeys(draw(st.sets(st.sampled_from(METHODS))), error)
    body |= {name: property(error) for name in draw(st.sets(st.sampled_from(PROPERTIES)))}
    body |= {name: draw(json_values) for name in draw(st.sets(st.sampled_from(CLASS_MARKS)))}
    kind: type = draw(st.sampled_from([type, GenerousMeta])) if base is object else type(base)
    made = kind("Hostile", (base,), body)
    try:
        return made(*arguments)
    except BaseException:  # noqa: BLE001 - its constructor needs what raises
        return made.__new__(made, *arguments)


class LyingMapping(Mapping[Any, Any]):
    """A mapping with keys twice over, or that changes while it is read, or never ends."""

    def __init__(self, lie: str) -> None:
        self.lie = lie
        self.reads = 0

    def __getitem__(self, key: object) -> object:
        return key

    def __len__(self) -> int:
        return -1 if self.lie == "length" else 2

    def __iter__(self) -> Iterator[Any]:
        self.reads += 1
        yield "a"
        if self.lie == "twice":
            yield "a"
        if self.lie == "changes" and self.reads < 3:
            raise RuntimeError("dictionary changed size during iteration")
        if self.lie == "always changes":
            raise RuntimeError("dictionary changed size during iteration")
        number = 0
        while self.lie == "endless":
            number += 1
            yield number


class EndlessSequence(Sequence[int]):
    """A list that goes on for ever, whatever its length says."""

    def __getitem__(self, index: Any) -> Any:
        return 7

    def __len__(self) -> int:
        return 2


class HostileZone(tzinfo):
    """A time zone whose code raises, or answers nonsense."""

    def __init__(self, answer: object = None) -> None:
        self.answer = answer

    def utcoffset(self, _: datetime | None, /) -> Any:
        if self.answer is None:
            raise Trouble
        return self.answer

    def dst(self, _: datetime | None, /) -> None:
        raise Trouble

    def tzname(self, _: datetime | None, /) -> str:
        raise Trouble


class Colour(enum.Enum):
    RED = "red"
    HALF = 0.5
    NOT_A_NUMBER = float("nan")
    NESTED = {"deep": [float("inf")]}  # noqa: RUF012 - an odd value is the point
    OBJECT = object()
    SURROGATE = "\ud800"
    BIG = 2**70


class Level(enum.IntEnum):
    LOW = 1


class Mode(enum.StrEnum):
    FAST = "fast"


class Point(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass
class Card:
    number: Any
    owner: Any = None


class Struct(msgspec.Struct):
    first_name: Any
    left_out: Any = msgspec.UNSET


class Namespace:
    def __init__(self, value: object) -> None:
        self.value = value


def cyclic(kind: str) -> object:
    """A value that contains itself."""
    items: list[Any] = [1]
    table: dict[str, Any] = {"a": 1}
    card = Card(1)
    items.append(items)
    table["self"] = table
    card.owner = [card]
    return {"list": items, "dict": table, "object": card, "both": {"l": [table, items]}}[kind]


def nested(depth: int, kind: str) -> object:
    """*depth* containers inside each other."""
    value: Any = "bottom"
    for level in range(depth):
        as_dict = kind == "dict" or (kind == "both" and level % 2)
        value = {"down": value, "beside": level} if as_dict else [value]
    return value


zones = st.sampled_from([UTC, None, timezone(timedelta(hours=-7)), HostileZone(), HostileZone(3)])
odd_scalars = st.one_of(
    st.sampled_from([float("nan"), float("inf"), float("-inf"), -0.0, 1e308, 5e-324]),
    st.sampled_from([63, 64, 65, 1022, 1023, 1024, 4_000, 40_000]).map(lambda bits: -1 << bits),
    any_texts,
    st.binary(max_size=8),
    st.binary(max_size=8).map(bytearray),
    st.binary(max_size=8).map(memoryview),
    st.builds(lambda moment, zone: [moment.replace(tzinfo=zone)], st.datetimes(), zones),
    st.dates(),
    st.times(timezones=st.none() | st.just(UTC)),
    st.builds(lambda: [time(1, 2, tzinfo=HostileZone())]),
    st.timedeltas(),
    st.decimals() | st.sampled_from([Decimal("sNaN"), Decimal("1e999999"), Decimal("-0")]),
    st.fractions(),
    st.complex_numbers(),
    st.uuids(),
    st.sampled_from([*Colour, *Level, *Mode, re.IGNORECASE | re.MULTILINE]),
    st.just(PurePosixPath("/tmp/x")),
    st.sampled_from([object(), object, len, ..., NotImplemented, Ellipsis, enum, Card, Colour]),
    st.builds(Mock) | st.builds(MagicMock),
    st.builds(lambda: (n for n in [1, 2])),
    st.just(range(5)) | st.just(range(10**12)),
    st.sampled_from(["twice", "changes", "always changes", "endless", "length"]).map(LyingMapping),
    st.builds(EndlessSequence),
    st.sampled_from(["list", "dict", "object", "both"]).map(cyclic),
    st.builds(nested, st.sampled_from([31, 33, 60, 300, 2_000]), st.sampled_from(["dict", "list"])),
    st.builds(Trouble, any_texts),
    hostile(),
)
odd_keys = st.one_of(
    any_texts,
    st.integers() | st.sampled_from([2**70, 10**400]),
    st.floats(),
    st.booleans() | st.none(),
    st.binary(max_size=4),
    st.uuids() | st.dates() | st.datetimes() | st.decimals(allow_nan=False),
    st.sampled_from([*Level, *Mode, Colour.RED, Colour.OBJECT]),
    st.tuples(any_texts, st.integers()),
    st.frozensets(st.integers(), max_size=2),
    st.sampled_from([object, object(), len]),
)
#: Any Python object: good ones, odd ones, hostile ones, and all of these inside each other.
anything: st.SearchStrategy[Any] = st.recursive(
    json_scalars | odd_scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(odd_keys, inner, max_size=4),
        st.dictionaries(texts, inner, max_size=4).map(MappingProxyType),
        st.dictionaries(texts, inner, max_size=4).map(lambda d: d.values()),
        st.sets(odd_keys, max_size=4),
        st.builds(Point, inner, inner),
        st.builds(Card, inner, inner),
        st.builds(Struct, inner),
        st.builds(Namespace, inner),
        st.lists(inner, max_size=4).map(deque),
    ),
    max_leaves=10,
)
message_ids = st.uuids().map(str)
ids = st.one_of(texts.filter(lambda t: bool(t.strip())), st.integers(), st.builds(uuid.uuid4))
