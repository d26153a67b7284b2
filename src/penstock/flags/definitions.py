"""
Flag definitions as a provider sends them, typed.

Tolerant: a flag that does not have the shape is kept as `Malformed` and can spoil nobody's answer
but its own. Fields that are null count as absent.

The structs are left out of garbage collection: they are trees, and with thousands of them it would
be most of the time that loading takes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from penstock.errors import ValidationError

#: Where a flag may be evaluated.
RUNTIMES = ("all", "client", "server")


class Condition(msgspec.Struct, frozen=True, gc=False):
    """One release condition: who it is about, and how many of them."""

    #: Filters as they came: what each can be used for is decided by the compiler.
    properties: list[Any] | None = None
    #: 0 to 100; None is everybody.
    rollout_percentage: float | None = None
    #: The variant that everybody who matches gets.
    variant: Any = None
    #: A group type of its own; None is the person, unset is the flag's.
    aggregation_group_type_index: int | float | UnsetType | None = UNSET


class Variant(msgspec.Struct, frozen=True, gc=False):
    """One of several values, and its share."""

    key: str
    #: 0 to 100.
    rollout_percentage: float


class Multivariate(msgspec.Struct, frozen=True, gc=False):
    """The values of an experiment, in the order of their shares."""

    variants: list[Variant] | None = None


class Holdout(msgspec.Struct, frozen=True, gc=False):
    """People kept out of every experiment of this id."""

    id: int | float | str | None = None
    #: 0 to 100.
    exclusion_percentage: float | None = None


class Filters(msgspec.Struct, frozen=True, gc=False):
    """What decides a flag."""

    #: Named ``groups`` on the wire, where the word also means companies.
    conditions: list[Condition] | None = msgspec.field(default=None, name="groups")
    multivariate: Multivariate | None = None
    #: ``{variant, or "true", or "false": payload}``
    payloads: Any = None
    aggregation_group_type_index: int | float | None = None
    early_exit: Any = None
    holdout: Holdout | None = None
    feature_enrollment: Any = None
    bucketing_identifier: Any = None
    #: Of the format; only 1 is known here.
    version: Any = None


class Flag(msgspec.Struct, frozen=True, gc=False):
    """One flag."""

    key: str
    id: int | None = None
    #: Of the definition: counts its changes.
    version: int | None = None
    active: bool = False
    ensure_experience_continuity: bool | None = None
    bucketing_identifier: Any = None
    has_experiment: bool | None = None
    #: One of `RUNTIMES`; anything else is ``all``.
    evaluation_runtime: Any = "all"
    #: Where it is meant to be evaluated, by name; none is everywhere.
    evaluation_contexts: Any = None
    filters: Filters | None = None


class Malformed(msgspec.Struct, frozen=True, gc=False):
    """A flag whose definition cannot be read: only itself is undecided."""

    key: str
    #: The place in the definition, and what was expected there.
    why: str
    id: int | None = None
    version: int | None = None
    evaluation_runtime: Any = "all"
    evaluation_contexts: Any = None
    #: An inactive flag is never malformed: it is off, whatever else it says.
    active: bool = True


class Definitions(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that local evaluation needs, as loaded at one time."""

    #: ``{key: flag}`` in the order of the provider.
    flags: Mapping[str, Flag | Malformed]
    #: ``{"0": group type}``
    group_type_mapping: Mapping[str, str] = {}
    #: ``{"55": the group of filters}`` as it came; an id that is not here is the server's.
    cohorts: Mapping[str, Any] = {}
    #: 2 for explicit matching of booleans; everything else is legacy.
    property_matching_version: int = 1
    #: Whether ``$feature_flag_called`` may be reduced for flags without an experiment.
    minimal_flag_called_events: bool = False
    #: The flags as they came, for whoever hands them on.
    source: tuple[Any, ...] = ()


def parse_definitions(body: bytes | str | Mapping[str, Any]) -> Definitions:
    """
    Read the answer to a request for definitions.

    Args:
        body: JSON, or what was decoded from it.

    Raises:
        ValidationError: It is not JSON, not an object, or has no list ``flags``.
    """
    content = _decoded(body) if isinstance(body, bytes | str) else body
    source = content.get("flags") if isinstance(content, Mapping) else None
    if not isinstance(source, list):
        raise ValidationError("flags", "definitions are an object with a list of flags")
    flags = {flag.key: flag for flag in map(_flag, source) if flag is not None}
    return Definitions(
        flags=flags,
        group_type_mapping=_texts(content.get("group_type_mapping")),
        cohorts=_object(content.get("cohorts")),
        property_matching_version=2 if _is_two(content.get("property_matching_version")) else 1,
        minimal_flag_called_events=content.get("minimal_flag_called_events") is True,
        source=tuple(source),
    )


def _decoded(body: bytes | str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValidationError("flags", f"definitions are JSON: {error}") from error


def _flag(source: Any) -> Flag | Malformed | None:
    """One flag; None when it has not even a key."""
    key = source.get("key") if isinstance(source, dict) else None
    if not isinstance(key, str):
        return None
    try:
        return msgspec.convert({**source, "active": bool(source.get("active"))}, Flag)
    except (msgspec.ValidationError, RecursionError) as error:
        return _malformed(source, str(error))


def _malformed(source: Mapping[str, Any], why: str) -> Flag | Malformed:
    """What can be read of it: an inactive flag is off, however strange its filters."""
    identity, version = (_integer(source.get(name)) for name in ("id", "version"))
    if not source.get("active"):
        return Flag(source["key"], identity, version)
    return Malformed(source["key"], why, identity, version, source.get("evaluation_runtime"))


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> Mapping[str, str]:
    return {key: text for key, text in _object(value).items() if isinstance(text, str)}


def _is_two(value: Any) -> bool:
    return isinstance(value, int | float) and value == 2 and not isinstance(value, bool)  # noqa: PLR2004 - the version's name
