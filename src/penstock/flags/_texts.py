"""Any property value as the text that operators compare: JSON without blanks, keys in order."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

#: What a lower-case conversion of A to Z alone does; for text that is not ASCII.
_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
#: Smaller exponents are written out: 0.00001, but 1e-6.
_LEAST_PLAIN_EXPONENT = -5


def text_of(value: Any) -> str | None:
    """The text of *value*: a string as it is, anything else as JSON; None when it has none."""
    return value if isinstance(value, str) else _json(value)


def lowered(value: Any) -> str | None:
    """Its text in lower case, by Unicode's rules (which fold no letter into two)."""
    text = text_of(value)
    return None if text is None else text.lower()


def ascii_lowered(text: str) -> str:
    """*text* with A to Z in lower case, and nothing else changed."""
    return text.lower() if text.isascii() else text.translate(_ASCII_LOWER)


def _json(value: Any) -> str | None:
    for kind, text in _TEXTS:
        if isinstance(value, kind):
            return text(value)
    return None


def _integer(value: int) -> str | None:
    try:
        return int.__repr__(value)
    except ValueError:  # thousands of digits: Python refuses to write them
        return None


def _float(value: float) -> str | None:
    if not isfinite(value):
        return None
    shortest = float.__repr__(value)
    mantissa, separator, exponent = shortest.partition("e")
    if not separator:
        return shortest
    power = int(exponent)
    if _LEAST_PLAIN_EXPONENT <= power < 0:
        return format(Decimal(shortest), "f")
    return f"{mantissa}e{power:+d}"


def _list(value: list[Any]) -> str | None:
    items = [_json(item) for item in value]
    return None if None in items else f"[{','.join(items)}]"  # type: ignore[arg-type] # no None


def _object(value: dict[Any, Any]) -> str | None:
    if not all(isinstance(key, str) for key in value):
        return None
    items = []
    for key in sorted(value):
        item = _json(value[key])
        if item is None:
            return None
        items.append(f"{json.dumps(key, ensure_ascii=False)}:{item}")
    return "{" + ",".join(items) + "}"


#: In this order: booleans are integers to Python.
_TEXTS: tuple[tuple[type, Callable[[Any], str | None]], ...] = (
    (str, partial(json.dumps, ensure_ascii=False)),
    (bool, lambda value: "true" if value else "false"),
    (int, _integer),
    (float, _float),
    (list, _list),
    (dict, _object),
    (type(None), lambda _value: "null"),
)
