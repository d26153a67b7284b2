"""What an import shall make of each row, as the user said it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from penstock.importing.cells import TYPES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_PERSON = frozenset({"user_id", "anonymous_id"})
#: ``{type: fields a column may fill}``, besides those of every type
FIELDS: dict[str, frozenset[str]] = {
    "track": _PERSON | {"event"},
    "identify": _PERSON,
    "page": _PERSON | {"name", "category"},
    "screen": _PERSON | {"name", "category"},
    "group": _PERSON | {"group_id", "group_type"},
    "alias": frozenset({"user_id", "previous_id"}),
    "capture": frozenset({"user_id", "event"}),
}
_EVERY_TYPE = frozenset({"timestamp", "message_id"})
#: Where a type keeps its properties; alias has nowhere.
BAGS = {
    "track": "properties",
    "identify": "traits",
    "page": "properties",
    "screen": "properties",
    "group": "traits",
    "capture": "properties",
}
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


class PlanError(ValueError):
    """Options that contradict each other, or name a column that is not there."""


class Property(NamedTuple):
    """One property (of identify and group: a trait)."""

    name: str
    column: str
    #: A key of `penstock.importing.cells.TYPES`.
    type: str = "auto"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """
    How rows become messages.

    Raises:
        PlanError: The parts do not fit together.
    """

    #: Of every row. None: a JSON row that is a message already is taken as it is, others track.
    type: str | None = None
    #: Name of every event (track, capture).
    event: str | None = None
    #: ``{field: column}``; a field is ``user_id``, ``timestamp``, ``context.ip``, ...
    fields: Mapping[str, str] = field(default_factory=dict)
    #: None of them: every column that no field uses is a property of its own name.
    properties: tuple[Property, ...] = ()
    #: ``{name: value}``, the same in every event.
    constants: Mapping[str, Any] = field(default_factory=dict)
    timestamp_format: str = "auto"
    timezone: str = "UTC"
    #: Whether the events are history (PostHog routes them apart).
    historical: bool = True

    def __post_init__(self) -> None:
        kind = self.flat_type
        if kind not in FIELDS:
            raise PlanError(f"no such type: {kind} (one of {', '.join(FIELDS)})")
        for name in self.fields:
            if name not in FIELDS[kind] | _EVERY_TYPE and not name.startswith("context."):
                raise PlanError(f"{kind} has no field {name}")
            if any(other.startswith(f"{name}.") for other in self.fields):
                raise PlanError(f"{name} cannot be a value and hold others")
        if self.event is not None and "event" not in FIELDS[kind]:
            raise PlanError(f"{kind} has no event name")
        if self.event is not None and "event" in self.fields:
            raise PlanError("the event name is given twice: as a name and as a column")
        if kind not in BAGS and (self.properties or self.constants):
            raise PlanError(f"{kind} has no properties")

    @property
    def flat_type(self) -> str:
        """The type of rows that are not messages already."""
        return self.type or "track"

    def check_columns(self, columns: Collection[str] | None) -> None:
        """
        Refuse a column that the file does not have.

        Args:
            columns: The file's; None when it does not tell (JSON lines).

        Raises:
            PlanError: Names the column and those there are.
        """
        if columns is None:
            return
        for column in [*self.fields.values(), *(wanted.column for wanted in self.properties)]:
            if column not in columns:
                raise PlanError(f"no column {column!r}; the file has {', '.join(columns)}")

    def fingerprint(self) -> str:
        """Eight hex digits that change with anything in the plan."""
        parts = msgspec.json.encode(self, order="deterministic")
        return hashlib.sha256(parts).hexdigest()[:8]


def field_name(text: str) -> str:
    """``userId`` or ``user_id`` as ``user_id``; below ``context.`` the spelling is kept."""
    return text if text.startswith("context.") else _CAMEL.sub("_", text).lower()


def property_from(text: str) -> Property:
    """
    Read ``name=column`` or ``name=column:type``; the type only if it is one.

    Raises:
        PlanError: There is no ``=``, or nothing on one side of it.
    """
    name, found, rest = text.partition("=")
    column, colon, kind = rest.rpartition(":")
    if not colon or kind not in TYPES:
        column, kind = rest, "auto"
    if not found or not name or not column:
        raise PlanError(f"{text!r} is not name=column or name=column:type")
    return Property(name, column, kind)
