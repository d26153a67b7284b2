"""What counts as a number in a comparison."""

from __future__ import annotations

import re
from decimal import Decimal
from math import isfinite
from typing import Any

#: Integers up to here are themselves as doubles.
EXACT = 2**53
_KINDS = (int, float, Decimal)
_TEXT = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def number_of(value: Any) -> float | None:
    """
    *value* as a double; None when it is no finite number.

    Text must be a decimal number and nothing else: no blanks, no ``0x10``, no ``inf``. Booleans
    are not numbers.
    """
    if isinstance(value, str):
        return _finite(value) if _TEXT.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, _KINDS):
        return None
    return _finite(value)


def _finite(value: str | float | Decimal) -> float | None:
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None
