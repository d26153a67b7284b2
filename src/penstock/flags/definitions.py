"""
Flag definitions as a provider sends them, typed.

Tolerant: a flag that does not have the shape is kept as `Malformed` and can spoil nobody's answer but its own. Fields that are null count as absent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, UnsetType

if TYPE_CHECKING:
    from collections.abc import Mapping


class Condition(msgspec.Struct, frozen=True):
    """One release condition: who it is about, and how many of them."""

    #: Filters as they came: what each can be used for is decided by the compiler.
    properties: list[Any] | None = None
    #: 0 to 100; None is everybody.
    rollout_percentage: float | None = None
    #: The variant that everybody who matches gets.
    variant: Any = None
    #: A group type of its own; None is the person, unset is the flag's.
    aggregation_group_type_index: int | float | UnsetType | None = UNSET


class Variant(msgspec.Struct, frozen=True):
    """One of several values, and its share."""

    key: str
    #: 0 to 100.
    rollout_percentage: float = 0.0


class Multivariate(msgspec.Struct, frozen=True):
    """The values of an experiment, in the order of their shares."""

    variants: list[Variant] | None = None


class Holdout(msgspec.Struct, frozen=True):
    """People kept out of every experiment of this id."""

    id: int | str | None = None
    #: 0 to 100.
    exclusion_percentage: float | None = None


class Filters(msgspec.Struct, frozen=True):
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


class Flag(msgspec.Struct, frozen=True):
    """One flag."""

    key: str
    id: int | None = None
    #: Of the definition: counts its changes.
    version: int | None = None
    active: bool = False
    ensure_experience_continuity: bool = False
    bucketing_identifier: Any = None
    has_experiment: bool | None = None
    #: ``all``, ``client`` or ``server``.
    evaluation_runtime: str = "all"
    filters: Filters | None = None


class Malformed(msgspec.Struct, frozen=True):
    """A flag whose definition cannot be read: only itself is undecided."""

    key: str
    #: The place in the definition, and what was expected there.
    why: str
    id: int | None = None
    version: int | None = None
    evaluation_runtime: str = "all"


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
    raise NotImplementedError
