"""What a read asks: who it is about, and how it may be answered. Misuse raises here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec

from penstock import _checks
from penstock.errors import FieldError
from penstock.flags.person import Person
from penstock.scope import CURRENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from penstock.messages import Id

#: What errors call the call.
CALL = "Flags"


class Options(TypedDict, total=False):
    """
    What every read of flags takes, by keyword.

    Attributes:
        groups: ``{group type: group key}``.
        person_properties: Facts of the person that replace what the provider has stored, for
            this read only; ``$geoip_country_code`` and its kin among them.
        group_properties: ``{group type: facts of the group}``, of the types in *groups*.
        device_id: For flags that are bucketed by device; the scope's otherwise.
        only_evaluate_locally: Ask nobody.
        disable_geoip: Overrides `FlagSettings.disable_geoip`.
        timeout: Seconds this read may take in all; overrides `FlagSettings.timeout`.
    """

    groups: Mapping[str, Id] | None
    person_properties: Mapping[str, Any] | None
    group_properties: Mapping[str, Mapping[str, Any]] | None
    device_id: str | None
    only_evaluate_locally: bool
    disable_geoip: bool | None
    timeout: float | None


_NAMES = frozenset(Options.__annotations__)


class Question(msgspec.Struct, frozen=True, gc=False):
    """A read, checked."""

    person: Person
    only_locally: bool = False
    #: None: as the settings say.
    disable_geoip: bool | None = None
    #: None: as the settings say.
    timeout: float | None = None


def asked(distinct_id: Id | None, options: Mapping[str, Any]) -> Question:
    """
    The question of a read.

    Args:
        distinct_id: Who it is about; the scope's user or device otherwise.
        options: See `Options`.

    Raises:
        FieldError: There is nobody to ask about, or an option is of the wrong type.
        TypeError: There is no such option.
    """
    who = identity(distinct_id)
    if who is None:
        reason = "must be given, here or by penstock.scoped(user_id=...)"
        raise FieldError(CALL, "distinct_id", distinct_id, reason)
    return question(who, options)


def identity(distinct_id: Id | None) -> str | None:
    """
    An id as text; the scope's user or device when there is none. None is made up for the answer.

    Raises:
        FieldError: It is neither text, nor a whole number, nor a UUID.
    """
    if distinct_id is not None:
        return _checks.optional_id(distinct_id, CALL, "distinct_id")
    scope = CURRENT.get()
    if scope is None:
        return None
    return scope.user_id if scope.user_id is not None else scope.device


def question(who: str, options: Mapping[str, Any]) -> Question:
    """
    The question about a known id.

    Raises:
        FieldError: An option is of the wrong type.
        TypeError: There is no such option.
    """
    if not options.keys() <= _NAMES:
        unknown = min(options.keys() - _NAMES)
        raise TypeError(f"there is no option {unknown!r}; there are {', '.join(sorted(_NAMES))}")
    read = options.get
    properties, device_id = read("person_properties"), read("device_id")
    if properties is None:
        properties = {}
    elif type(properties) is not dict:
        properties = _checks.mapping(properties, CALL, "person_properties")
    groups = _groups(read("groups"))
    person = Person(
        who,
        _scoped_device() if device_id is None else _device(device_id),
        properties,
        groups,
        _group_properties(read("group_properties")),
    )
    return Question(
        person,
        _optional_flag("only_evaluate_locally", read("only_evaluate_locally")) is True,
        _optional_flag("disable_geoip", read("disable_geoip")),
        checked_timeout(read("timeout")),
    )


def checked_key(key: object) -> str:
    """
    The key of a flag.

    Raises:
        FieldError: It is no text, or empty.
    """
    return _checks.required_text(key, CALL, "key")


def checked_keys(keys: Iterable[str] | None) -> tuple[str, ...] | None:
    """
    Keys of flags, each once; None for all there are.

    Raises:
        FieldError: They are one text, or one of them is none.
    """
    if keys is None:
        return None
    if isinstance(keys, str) or not hasattr(keys, "__iter__"):
        raise FieldError(CALL, "keys", keys, "must be a list of flag keys")
    return tuple(dict.fromkeys(checked_key(key) for key in keys))


def _groups(groups: Any) -> dict[str, str]:
    if not groups:
        return {} if groups is None else dict(_checks.mapping(groups, CALL, "groups"))
    return {
        _checks.required_text(kind, CALL, "groups"): _checks.required_id(key, CALL, "groups")
        for kind, key in _checks.mapping(groups, CALL, "groups").items()
    }


def _group_properties(properties: Any) -> Mapping[str, Mapping[str, Any]]:
    if properties is None:
        return {}
    found = _checks.mapping(properties, CALL, "group_properties")
    for facts in found.values():
        _checks.mapping(facts, CALL, "group_properties")
    return found


def _device(device_id: object) -> str | None:
    return _checks.optional_id(device_id, CALL, "device_id")


def _scoped_device() -> str | None:
    """The device that the scope's context tells of."""
    scope = CURRENT.get()
    if scope is None or scope.context is None:
        return None
    device = scope.context.get("device")
    found = device.get("id") if isinstance(device, dict) else None
    return found if isinstance(found, str) else None


def _optional_flag(field: str, value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise FieldError(CALL, field, value, "must be True, False or None")
    return value


def checked_timeout(value: object) -> float | None:
    """
    A timeout in seconds; None for that of the settings.

    Raises:
        FieldError: It is no number above 0.
    """
    if value is None:
        return None
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    if not usable or not math.isfinite(value) or value <= 0:  # type: ignore[operator, arg-type]
        raise FieldError(CALL, "timeout", value, "must be a number of seconds above 0")
    return float(value)  # type: ignore[arg-type]
