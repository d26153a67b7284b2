"""Values that hold others: every container there is, shared, nested, odd keys, without end."""

from __future__ import annotations

import collections
from collections import deque
from collections.abc import Mapping, Sequence
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from hostile.made import Made, around
from hostile.scalars import text
from strategies import Card, EndlessSequence, LyingMapping, Point, Struct, cyclic, nested

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    Child = Callable[[], Made]
    Maker = Callable[[Random, Child], Made]


class _Field:
    def __init__(self, name: str) -> None:
        self.name = name


class Attrs:
    """What attrs leaves on a class."""

    __attrs_attrs__ = (_Field("size"), _Field("colour"))

    def __init__(self, size: object, colour: object) -> None:
        self.size = size
        self.colour = colour


class Model:
    """What pydantic leaves on a class."""

    __pydantic_validator__ = object()

    def __init__(self, **fields: object) -> None:
        self._fields = fields

    def model_dump(self) -> dict[str, Any]:
        return self._fields


class Table(Mapping[Any, Any]):
    """A mapping by class and no dict."""

    def __init__(self, data: dict[Any, Any]) -> None:
        self._data = data

    def __getitem__(self, key: object) -> Any:
        return self._data[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)


class Fractal(Sequence[Any]):
    """Holds others of its kind, each a new one, without end."""

    def __getitem__(self, index: Any) -> Any:
        return Fractal()

    def __len__(self) -> int:
        return 1


class OwnDict(dict[str, Any]):
    """As Django's QueryDict: a dict by class."""


class OwnList(list[Any]):
    """A list by class."""


def _parts(child: Child, random: Random, most: int = 4) -> list[Made]:
    return [child() for _ in range(random.randrange(most))]


def _table(child: Child, random: Random) -> Made:
    parts = _parts(child, random)
    return around({f"{text(random)}{n}": part.value for n, part in enumerate(parts)}, parts)


def _list(random: Random, child: Child) -> Made:
    parts = _parts(child, random)
    kind = random.choice((list, list, tuple, deque, OwnList, collections.UserList))
    return around(kind(part.value for part in parts), parts)


def _dict(random: Random, child: Child) -> Made:
    made = _table(child, random)
    kinds = (dict, dict, dict, OwnDict, collections.OrderedDict, MappingProxyType, Table)
    others = (collections.UserDict, collections.ChainMap)
    return made._replace(value=random.choice(kinds + others)(made.value))


def _defaults(random: Random, child: Child) -> Made:
    made = _table(child, random)
    return made._replace(value=collections.defaultdict(list, made.value))


def _views(random: Random, child: Child) -> Made:
    made = _table(child, random)
    return made._replace(value=random.choice((made.value.values(), made.value.items())))


def _record(random: Random, child: Child) -> Made:
    one, other = child(), child()
    kind = random.choice((Point, Card, Attrs))
    return around(kind(one.value, other.value), (one, other))


def _struct(random: Random, child: Child) -> Made:
    one = child()
    return around(Struct(one.value) if random.random() < 0.5 else Model(it=one.value), (one,))


def _namespace(_: Random, child: Child) -> Made:
    """An object of no known form: its text shows what it holds, whatever that takes."""
    part = child()
    return Made(SimpleNamespace(it=part.value), None, part.stops, part.slow)


def _shared(random: Random, child: Child) -> Made:
    """One object in several places is no cycle."""
    part = child()
    count = random.randrange(5)
    return around([part.value] * count, (part,) * count)


def _odd_keys(random: Random, child: Child) -> Made:
    """Keys of any kind; some are the same text."""
    table: dict[Any, Any] = {}
    parts = _parts(child, random, 6)
    for part in parts:
        key = child()
        try:
            table[key.value] = part.value
        except Exception:  # noqa: BLE001 - not every value can be a key
            table[text(random)] = part.value
        except BaseException:  # noqa: BLE001 - as above, by the hostile
            table[1] = part.value
        parts = [*parts, key]
    return around(table, parts, known=False)


def _set(random: Random, child: Child) -> Made:
    items: set[Any] = set()
    parts = _parts(child, random, 6)
    for part in parts:
        try:
            items.add(part.value)
        except BaseException:  # noqa: BLE001 - not every value can be an item
            continue
    return around(random.choice((set, frozenset))(items), parts, known=False)


def _cyclic(random: Random, _: Child) -> Made:
    return Made(cyclic(random.choice(("list", "dict", "object"))), ("cycle",))


def _deep(random: Random, _: Child) -> Made:
    """Deeper than any place it can be put in allows."""
    depth = random.choice((33, 60, 254, 256, 900, 5_000))
    return Made(nested(depth, random.choice(("dict", "list", "both"))), ("too_deep",))


def _records_inside_each_other(random: Random, _: Child) -> Made:
    card = Card(1)
    for _ in range(random.choice((40, 300))):
        card = Card(1, [card])
    return Made(card, ("too_deep",))


def _endless(random: Random, _: Child) -> Made:
    lies = ("twice", "changes", "always changes", "length")
    if random.random() < 0.9:
        return Made(LyingMapping(random.choice(lies)), None)
    return Made(random.choice((EndlessSequence(), LyingMapping("endless"), range(10**12))), None)


def _explosion(random: Random, _: Child) -> Made:
    """Small in memory, and longer than the universe is old when it is written out."""
    value: Any = random.choice(("x", "x" * 100_000, 1, None))
    wide = random.choice((2, 2, 9, 1_000))
    for _ in range(random.choice((3, 30))):
        kinds: tuple[Callable[[Any], Any], ...] = (
            lambda it: [it] * wide,
            lambda it: (it,) * wide,
            lambda it: {"a": it, "b": [it] * wide},
            lambda it: Card([it] * wide, it),
            lambda it: deque([it] * wide),
            lambda it: Point(it, [it] * wide),
        )
        value = random.choice(kinds)(value)
    return Made(Fractal() if random.random() < 0.1 else value, None)


#: All of them; the first are the more frequent.
MAKERS: tuple[Maker, ...] = (
    *(_list, _dict) * 3,
    _defaults,
    _views,
    _record,
    _struct,
    _namespace,
    _shared,
    _odd_keys,
    _set,
)
#: The ends of what a walk can bear; dear, so that one in some hundred is enough.
ENDS: tuple[Maker, ...] = (_cyclic, _deep, _records_inside_each_other, _endless, _explosion)
