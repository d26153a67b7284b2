"""
How much a value comes to before it is handed to orjson, which cannot be stopped once it began.

orjson walks plain containers holding the GIL, and writes one that is in a message many times as
often: thirty lists that each hold the next one twice are a gigabyte.
"""

from __future__ import annotations

from gc import get_referents
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from penstock.native import NATIVE
from penstock.values._shapes import contained

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

#: About the bytes of JSON one value may come to, unless told otherwise: up to a second of work.
MOST: Final = 1_000_000
#: Itself and a comma; for a container, its brackets.
VALUE_WEIGHT: Final = 2
#: Quotes and a comma or colon, beside the characters.
TEXT_WEIGHT: Final = 3
#: How far `is_light` looks. Levels with more objects, or more levels, are weighed.
LIGHT_LEVELS: Final = 5
_LIGHT_WIDTH = 64
_TEXT_MORE = TEXT_WEIGHT - VALUE_WEIGHT


def is_light(value: object) -> bool:
    """
    Whether *value* surely is small and plain, but for the floats in it; 0.4 µs. Not native.

    The garbage collector's traversal, in C and without any foreign code, tells level by level
    what containers and instances hold. Scalars hold nothing, so a level of them alone is the
    last one. An instance holds its class, and then there is no end here.
    """
    level = get_referents(value)
    for _ in range(LIGHT_LEVELS):
        if not level:
            return True
        if len(level) > _LIGHT_WIDTH:
            return False
        level = get_referents(*level)
    return not level


def _weigh(value: object, levels: int, most: int) -> int:
    """`weigh` without the native part."""
    left = [most]
    plain = contained(_take, (value,), levels, left) is True and left[0] >= 0
    weight = most - max(left[0], 0)
    return weight if plain else -weight


def _take(values: Collection[Any], levels: int, left: list[int]) -> bool:
    """Whether *values* are plain, as far as was looked: no further than what is *left*."""
    weight = len(values) * VALUE_WEIGHT
    for value in values:
        kind = type(value)
        if kind is str:
            weight += len(value) + _TEXT_MORE
        elif kind is float:
            if not isfinite(value):
                return False
        elif kind is not int and value is not None and kind is not bool:
            left[0] -= weight
            weight = 0
            if left[0] < 0 or levels <= 0 or not _take_container(value, kind, levels - 1, left):
                return False
    left[0] -= weight
    return True


def _take_container(value: Any, kind: type, levels: int, left: list[int]) -> bool:
    if kind is list or kind is tuple:
        return _take(value, levels, left)
    if not issubclass(kind, dict):
        return False
    keys = dict.keys(value)
    for key in keys:
        if type(key) is not str:
            return False
    return _take(keys, levels, left) and _take(dict.values(value), levels, left)


#: ``weigh(value, levels, most) -> int``: about the bytes of JSON *value* comes to, at most
#: *most*. Negative when it is not plain (str, int, finite float, bool, None, and lists, tuples
#: and dicts of them, at most *levels* inside each other), or is more: then so much was looked at.
weigh: Callable[[object, int, int], int] = _weigh if NATIVE is None else NATIVE.weigh
