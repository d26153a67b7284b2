"""
Compiled flags: everything that does not depend on the person, decided once.

`compile_flags` is pure, and so is evaluation. A `CompiledFlags` is never changed, so threads
share it without a lock; a reader that holds one finishes on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from penstock.flags.decision import Decision
    from penstock.flags.definitions import Definitions
    from penstock.flags.person import Person


class CompiledFlags:
    """What `compile_flags` makes."""

    definitions: Definitions
    #: ``{flag key: reason}`` of active flags that can never (fully) be decided here, for one
    #: warning per changed set.
    unsupported: Mapping[str, str]

    def evaluate(self, key: str, person: Person, now: datetime | None = None) -> Decision:
        """
        Decide one flag; never raises.

        Args:
            key: The flag's. An unknown one gives a decision without a value.
            person: Who it is for.
            now: The clock for relative dates, aware; None is the current time.
        """
        raise NotImplementedError

    def evaluate_all(
        self, person: Person, keys: Iterable[str] | None = None, now: datetime | None = None
    ) -> dict[str, Decision]:
        """
        Decide all flags, or those of *keys* that are defined; never raises.

        One pass: a dependency or cohort that several flags name is evaluated once.

        Returns:
            ``{flag key: decision}`` in the order of the definitions.
        """
        raise NotImplementedError


def compile_flags(definitions: Definitions, previous: CompiledFlags | None = None) -> CompiledFlags:
    """
    Decide what can be decided without a person; never raises.

    Args:
        definitions: From `parse_definitions`.
        previous: What was compiled before: flags that did not change are taken over.
    """
    raise NotImplementedError
