"""Payloads: JSON text in a definition, any value for the caller."""

from __future__ import annotations

import copy
import json
from typing import Any, NoReturn


def payload_name(value: bool | str) -> str:
    """Under which name the payloads of a definition have the one for *value*."""
    return value if isinstance(value, str) else str(value).lower()


def decoded(source: Any) -> Any:
    """
    What *source* stands for, as an object of its own each time.

    Text is JSON; text that is not gives None (so do ``NaN`` and ``Infinity``, which are none).
    Anything else is taken as it is.
    """
    if not isinstance(source, str):
        return copy.deepcopy(source)
    try:
        return _DECODER.decode(source)
    except (ValueError, RecursionError):
        return None


def _refused(constant: str) -> NoReturn:
    raise ValueError(constant)


_DECODER = json.JSONDecoder(parse_constant=_refused)
