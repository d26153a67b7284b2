"""One pass of evaluation: what is worth remembering from one flag to the next."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.flags._signals import Outcome
    from penstock.flags.person import Person


_NOTHING: Mapping[str, Any] = {}


class Run(msgspec.Struct):
    """
    A person, a clock, and what was found out so far.

    Dependencies have two memories. *seen* belongs to one flag that was asked for: a dependency
    without a value stops the filter that met it first, and is passed over afterwards. *shared*
    belongs to the whole pass, and takes only what would be the same whoever asked.
    """

    person: Person
    clock: datetime | None = None
    #: ``{(cohort id, id of the properties): outcome}``; None where nothing is worth it.
    cohorts: dict[tuple[str, int], Outcome] | None = None
    #: ``{flag key: what is in *seen* once it was evaluated alone}``; None for a pass of one flag.
    shared: dict[str, dict[str, bool | str | None]] | None = None
    #: ``{flag key: value}`` since the flag that was asked for; None where there is no value.
    seen: dict[str, bool | str | None] = {}
    #: Whether everything in *seen* has a value.
    clean: bool = True
    #: Properties as filters see them, by group type; the person's under None.
    views: dict[str | None, Mapping[str, Any]] = {}

    def now(self) -> datetime:
        """The time of the pass; read once."""
        if self.clock is None:
            self.clock = datetime.now(UTC)
        return self.clock

    def begin(self) -> None:
        """Ask for the next flag."""
        self.seen = {}
        self.clean = True

    def learn(self, key: str, value: bool | str | None) -> None:
        """Remember what a dependency is; None when it has no value."""
        self.seen[key] = value
        self.clean = self.clean and value is not None

    def share(self, key: str, value: bool | str) -> None:
        """Remember what a flag is, and all that was learnt on the way to it, for the pass."""
        if self.clean and self.shared is not None:
            self.shared[key] = {**self.seen, key: value}

    def person_view(self, *, wants_id: bool) -> Mapping[str, Any]:
        """The person's properties, with the distinct id among them if a filter looks for it."""
        given = self.person.properties
        if not wants_id or "distinct_id" in given:
            return given
        if None not in self.views:
            self.views[None] = {**given, "distinct_id": self.person.distinct_id}
        return self.views[None]

    def group_view(self, group_type: str) -> Mapping[str, Any]:
        """The properties of a group of the person's, its key among them."""
        if group_type not in self.views:
            given = self.person.group_properties.get(group_type) or _NOTHING
            key = {"$group_key": self.person.groups[group_type]}
            self.views[group_type] = {**key, **given}
        return self.views[group_type]
