"""An evaluation as the type a caller asks for: OpenFeature's types over PostHog's values. Pure."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from penstock.flags.answer import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flags.result import Evaluation

#: What can be asked for.
Kind: TypeAlias = Literal["boolean", "string", "integer", "float", "object"]

_integer = re.compile(r"\s*([+-]?)(0[xX][0-9a-fA-F]+|[0-9]+)\s*").fullmatch
_decimal = re.compile(r"\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*").fullmatch


class Misfit(Exception):  # noqa: N818 - a caller's default is taken; nothing went wrong
    """The value has no form of the type asked for."""


def fitted(kind: Kind, evaluation: Evaluation, default: Any) -> Any:
    """
    The value of an evaluation that has one.

    Args:
        kind: The type asked for.
        evaluation: What was found.
        default: The caller's: the value of a disabled flag, except for a boolean.

    Raises:
        Misfit: The flag is enabled, and has no value of that type.
    """
    if kind == "boolean":
        return evaluation.enabled
    if not evaluation.enabled:
        return default
    return _FORMS[kind](evaluation)


def _string(evaluation: Evaluation) -> str:
    if evaluation.variant is None:
        raise Misfit("it has no variant")
    return evaluation.variant


def _whole(evaluation: Evaluation) -> int:
    typed = _typed(evaluation)
    if isinstance(typed, int | float):
        if not float(typed).is_integer():
            raise Misfit("it is no whole number")
        return int(typed)
    found = _integer(evaluation.variant or "")
    if found is None:
        raise Misfit("its variant is no whole number")
    sign, digits = found.groups()
    value = int(digits, 16 if digits[:2].lower() == "0x" else 10)
    return -value if sign == "-" else value


def _number(evaluation: Evaluation) -> float:
    typed = _typed(evaluation)
    if isinstance(typed, int | float):
        return float(typed)
    text = evaluation.variant or ""
    if _integer(text):
        return float(_whole(evaluation))
    if not _decimal(text) or not math.isfinite(float(text)):
        raise Misfit("its variant is no number")
    return float(text)


def _object(evaluation: Evaluation) -> dict[str, Any] | list[Any]:
    payload = evaluation.payload
    if not isinstance(payload, dict | list):
        raise Misfit("its payload is neither an object nor a list")
    return payload


def _typed(evaluation: Evaluation) -> Any:
    """The value as the provider typed it, if it did."""
    return evaluation.origin.typed if isinstance(evaluation.origin, Record) else None


_FORMS: dict[str, Callable[[Evaluation], Any]] = {
    "string": _string,
    "integer": _whole,
    "float": _number,
    "object": _object,
}
