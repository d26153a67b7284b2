"""
Typed reads of a snapshot: the value if it has the type asked for, the default if not.

Nothing is coerced, unlike in OpenFeature's reads (`penstock.flags.fitting`). Source: the feature
flags reference, 4.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

import msgspec

from penstock.flags.answer import FAILED, MISSING, Record

if TYPE_CHECKING:
    from penstock.flags.result import Evaluation

#: Why the default was taken, in OpenFeature's words.
Trouble: TypeAlias = Literal["FLAG_NOT_FOUND", "PARSE_ERROR", "GENERAL", "TYPE_MISMATCH"]

Answer = TypeVar("Answer")


class TypedRead(msgspec.Struct, Generic[Answer], frozen=True):
    """
    A value of the type asked for, or the default and why.

    Attributes:
        value: The flag's, or the default.
        error_code: None where the value is the flag's, and where a disabled flag has none.
        evaluation: What was found.

    .. versionadded:: 0.1
    """

    value: Answer
    error_code: Trouble | None
    evaluation: Evaluation


def typed(evaluation: Evaluation, kinds: tuple[type, ...], default: Answer) -> TypedRead[Answer]:
    """*evaluation* as one of *kinds*; True and False are no numbers."""
    trouble = _trouble(evaluation)
    if trouble is not None:
        return TypedRead(default, trouble, evaluation)
    value = _native(evaluation)
    fits = isinstance(value, kinds) and isinstance(value, bool) == (bool in kinds)
    if fits:
        return TypedRead(value, None, evaluation)
    return TypedRead(default, None if value is False else "TYPE_MISMATCH", evaluation)


def _native(evaluation: Evaluation) -> Any:
    """The value as the provider typed it: a number or an object, where it did."""
    record = evaluation.origin
    own = record.typed if isinstance(record, Record) else None
    return evaluation.value if own is None else own


def _trouble(evaluation: Evaluation) -> Trouble | None:
    if isinstance(evaluation.origin, Record) and evaluation.origin.unreadable:
        return "PARSE_ERROR"
    if evaluation.value is not None:
        return None
    error = evaluation.error or MISSING
    return "FLAG_NOT_FOUND" if MISSING in error and FAILED not in error else "GENERAL"


class TypedReads:
    """
    Reads of `FlagSnapshot` by type.

    Each captures ``$feature_flag_called`` as `FlagSnapshot.get` does.
    """

    def get(self, key: str, *, send_events: bool = True) -> Evaluation:
        """See `FlagSnapshot.get`."""
        raise NotImplementedError

    def get_boolean_details(self, key: str, default: bool) -> TypedRead[bool]:
        """
        Whether a flag without variants is on.

        .. versionadded:: 0.1
        """
        return typed(self.get(key), (bool,), default)

    def get_string_details(self, key: str, default: str) -> TypedRead[str]:
        """
        The variant.

        .. versionadded:: 0.1
        """
        return typed(self.get(key), (str,), default)

    def get_number_details(self, key: str, default: float) -> TypedRead[float]:
        """
        A number, which only version 4 of the endpoint has.

        .. versionadded:: 0.1
        """
        return typed(self.get(key), (int, float), default)

    def get_object_details(self, key: str, default: dict[str, Any]) -> TypedRead[dict[str, Any]]:
        """
        An object, which only version 4 of the endpoint has.

        .. versionadded:: 0.1
        """
        return typed(self.get(key), (dict,), default)

    def get_boolean_value(self, key: str, default: bool) -> bool:
        """
        `get_boolean_details`, its value only.

        .. versionadded:: 0.1
        """
        return self.get_boolean_details(key, default).value

    def get_string_value(self, key: str, default: str) -> str:
        """
        `get_string_details`, its value only.

        .. versionadded:: 0.1
        """
        return self.get_string_details(key, default).value

    def get_number_value(self, key: str, default: float) -> float:
        """
        `get_number_details`, its value only.

        .. versionadded:: 0.1
        """
        return self.get_number_details(key, default).value

    def get_object_value(self, key: str, default: dict[str, Any]) -> dict[str, Any]:
        """
        `get_object_details`, its value only.

        .. versionadded:: 0.1
        """
        return self.get_object_details(key, default).value
