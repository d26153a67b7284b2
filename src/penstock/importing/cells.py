"""
Turning a cell into a JSON value of a wanted type.

The rule of ``auto`` for CSV text: only what every reader takes for a number is a number. A
leading zero (``00001``, a postcode), a plus sign (a phone number), an exponent (``12E5``, an
article number) and more than fifteen digits (JavaScript would round them) stay text. ``true``
and ``false`` in any case are booleans; ``yes``, ``1`` and ``t`` are not.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.importing.rows import BadValue
from penstock.importing.timestamps import parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,15}")
_DIGITS = re.compile(r"[-+]?[0-9]{1,300}")
_BOOLEANS = {"true": True, "false": False}
_WORDS = {**_BOOLEANS, "yes": True, "no": False, "y": True, "n": False, "t": True, "f": False}
_WORDS |= {"1": True, "0": False}
#: Longest ``true`` or ``false``.
_WORD_LENGTH = 5


def automatic(cell: Any) -> Any:
    """CSV text as a number or boolean where that is beyond doubt; anything else unchanged."""
    if not isinstance(cell, str) or not cell:
        return cell
    if cell[-1] in "0123456789":
        if _INTEGER.fullmatch(cell):
            return int(cell)
        return float(cell) if _DECIMAL.fullmatch(cell) else cell
    return _BOOLEANS.get(cell.lower(), cell) if len(cell) <= _WORD_LENGTH else cell


def text(cell: Any) -> str:
    """The cell as text; a JSON value that is none becomes its JSON."""
    return cell if isinstance(cell, str) else msgspec.json.encode(cell).decode()


def integer(cell: Any) -> int:
    """A whole number; ``12.0`` is one, ``12.5`` is not."""
    if isinstance(cell, int) and not isinstance(cell, bool):
        return cell
    if isinstance(cell, str) and _DIGITS.fullmatch(cell.strip()):
        return int(cell)
    try:
        value = number(cell)
    except BadValue:
        raise BadValue("not an integer") from None
    if not value.is_integer():
        raise BadValue("not an integer")
    return int(value)


def number(cell: Any) -> float:
    """A finite number; exponents are read, thousands separators are not."""
    if isinstance(cell, bool):
        raise BadValue("a boolean is not a number")
    try:
        value = float(cell)
    except (ValueError, TypeError, OverflowError):
        raise BadValue("not a number") from None
    if not math.isfinite(value) or (isinstance(cell, str) and "_" in cell):
        raise BadValue("not a number")
    return value


def boolean(cell: Any) -> bool:
    """``true yes y t 1`` and ``false no n f 0``, in any case."""
    value = cell if isinstance(cell, bool) else _WORDS.get(text(cell).strip().lower())
    if value is None:
        raise BadValue("not a boolean")
    return value


def nested(cell: Any) -> Any:
    """JSON inside the cell; a value that is no text is taken as it is."""
    if not isinstance(cell, str):
        return cell
    try:
        return msgspec.json.decode(cell)
    except (msgspec.DecodeError, RecursionError):
        raise BadValue("not JSON") from None


def instant(cell: Any) -> str:
    """RFC 3339 or ISO 8601 text as RFC 3339 in UTC; without a zone it is UTC."""
    return parse_instant(cell)


def identifier(cell: Any) -> str:
    """An id: text unchanged, a whole number as its digits; nothing else is an id."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)
    raise BadValue(f"a {type(cell).__name__} is not an id")


#: ``{type name on the command line: converter}``
TYPES: dict[str, Callable[[Any], Any]] = {
    "auto": automatic,
    "string": text,
    "integer": integer,
    "number": number,
    "boolean": boolean,
    "json": nested,
    "timestamp": instant,
}
