"""
Compiled flags: everything that does not depend on the person, decided once.

`compile_flags` is pure, and so is evaluation. A `CompiledFlags` is never changed, so threads
share it without a lock; a reader that holds one finishes on it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from penstock.flags._building import Builder, malformed
from penstock.flags._cycles import Cycles, cohort_node, flag_node, named_in
from penstock.flags._filters import Workshop
from penstock.flags._run import Run
from penstock.flags._signals import MISSING, Signal
from penstock.flags.decision import FLAG_MISSING, Decision
from penstock.flags.definitions import Flag
from penstock.flags.payloads import payload_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from penstock.flags._cycles import Node
    from penstock.flags._flag import CompiledFlag
    from penstock.flags.definitions import Definitions, Malformed
    from penstock.flags.person import Person

_log = logging.getLogger("penstock.flags")


class CompiledFlags:
    """
    What `compile_flags` makes.

    Args:
        definitions: What was compiled.
    """

    def __init__(self, definitions: Definitions) -> None:
        #: What was compiled.
        self.definitions = definitions
        cycles = Cycles(dict(_edges(definitions)))
        workshop = Workshop(
            definitions.cohorts,
            frozenset(definitions.flags),
            explicit=definitions.property_matching_version == 2,  # noqa: PLR2004 - its name
            circular=cycles.circular,
            evaluate=self._dependency,
        )
        types = definitions.group_type_mapping
        self._flags = {
            key: _compiled(flag, types, workshop) for key, flag in definitions.flags.items()
        }
        #: ``{flag key: reason}`` of flags that can never, or never fully, be decided here: for
        #: one warning per changed set.
        self.unsupported: Mapping[str, str] = {
            key: flag.unsupported for key, flag in self._flags.items() if flag.unsupported
        }

        #: Filters that can match nobody, in words: for the same warning.
        self.remarks: Sequence[str] = tuple(workshop.remarks)

    def evaluate(self, key: str, person: Person, now: datetime | None = None) -> Decision:
        """
        Decide one flag; never raises.

        Args:
            key: The flag's. An unknown one gives a decision without a value.
            person: Who it is for.
            now: The clock for relative dates, aware; None is the current time.
        """
        flag = self._flags.get(key)
        if flag is None:
            return Decision(key=key, value=None, reason=FLAG_MISSING)
        if not person.distinct_id and _nobody(person):
            return _of_nobody(flag, person)
        try:
            result = flag.decide(Run(person, now, {} if flag.memorable else None))
        except Exception as error:  # noqa: BLE001 - a border: nothing leaves the evaluator
            result = _strange(flag, error)
        return flag.undecided[result.reason] if isinstance(result, Signal) else result

    def evaluate_all(
        self, person: Person, keys: Iterable[str] | None = None, now: datetime | None = None
    ) -> dict[str, Decision]:
        """
        Decide all flags, or those of *keys* that are defined; never raises.

        One pass: a dependency or cohort that several flags name is evaluated once.

        Returns:
            ``{flag key: decision}`` in the order of the definitions.
        """
        flags: Iterable[CompiledFlag] = self._flags.values()
        if keys is not None:
            wanted = set(keys)
            flags = [flag for key, flag in self._flags.items() if key in wanted]
        if not person.distinct_id and _nobody(person):
            return {flag.source.key: _of_nobody(flag, person) for flag in flags}
        return _in_one_pass(flags, Run(person, now, {}, {}))

    def payload_source(self, key: str, value: bool | str) -> Any:
        """
        The payload a flag has for *value*, whoever gets that value.

        Returns:
            As it was defined (see `penstock.flags.payloads.decoded`); None when there is none.
        """
        flag = self.definitions.flags.get(key)
        filters = flag.filters if isinstance(flag, Flag) else None
        payloads = filters.payloads if filters else None
        return payloads.get(payload_name(value)) if isinstance(payloads, dict) else None

    def flag(self, key: str) -> CompiledFlag | None:
        """The compiled flag, for explanations; None when it is not defined."""
        return self._flags.get(key)

    def _dependency(self, key: str, run: Run) -> bool | str | Signal:
        """The value of a flag that another one names; see `Run` for what is remembered."""
        if run.shared is None:
            return self._learnt(key, run)
        if key not in run.shared:
            # On its own, so that what is shared does not depend on who asked first.
            before, run.seen = run.seen, {}
            result = self._learnt(key, run)
            if not isinstance(result, Signal):
                run.share(key, result)
            before.update(run.seen)
            run.seen = before
            return result
        run.seen.update(run.shared[key])
        return run.shared[key][key] or False

    def _learnt(self, key: str, run: Run) -> bool | str | Signal:
        result = self._flags[key].decide(run)
        if not isinstance(result, Signal):
            run.learn(key, result.value)
            return result.value or False  # never None: that is what signals are for
        if not result.server:
            run.learn(key, None)
        return result


def compile_flags(definitions: Definitions) -> CompiledFlags:
    """Decide what can be decided without a person; never raises."""
    return CompiledFlags(definitions)


def _in_one_pass(flags: Iterable[CompiledFlag], run: Run) -> dict[str, Decision]:
    """Unpacked once per flag and inlined: with many flags, nothing else is as hot as this loop."""
    decisions = {}
    for flag in flags:
        source, decide, undecided, dependent = flag[:4]
        if dependent:
            run.begin()
        try:
            result = decide(run)
        except Exception as error:  # noqa: BLE001 - a border: nothing leaves the evaluator
            result = _strange(flag, error)
        if isinstance(result, Signal):
            result = undecided[result.reason]
        elif dependent and result.value is not None:
            run.share(source.key, result.value)
        decisions[result.key] = result
    return decisions


def _nobody(person: Person) -> bool:
    """Whether the server would know who this is better: it has a rule of its own for no id."""
    return person.distinct_id != 0


def _of_nobody(flag: CompiledFlag, person: Person) -> Decision:
    """Only what is the same for everybody: off."""
    result = MISSING if flag.source.active else flag.decide(Run(person))
    return flag.undecided[result.reason] if isinstance(result, Signal) else result


def _strange(flag: CompiledFlag, error: Exception) -> Signal:
    """Strange definitions were refused when they were compiled: this is a strange person."""
    _log.debug("flag %s cannot be evaluated", flag.source.key, exc_info=error)
    return MISSING


def _compiled(
    flag: Flag | Malformed, group_types: Mapping[str, str], workshop: Workshop
) -> CompiledFlag:
    if not isinstance(flag, Flag):
        return malformed(flag)
    try:
        return Builder(flag, group_types, workshop).build()
    except (RecursionError, OverflowError, ValueError):
        _log.debug("flag %s cannot be compiled", flag.key, exc_info=True)
        return malformed(flag)


def _edges(definitions: Definitions) -> Iterator[tuple[Node, list[Node]]]:
    """What each cohort and flag names."""
    for name, group in definitions.cohorts.items():
        yield cohort_node(name), list(named_in(group))
    for key, flag in definitions.flags.items():
        filters = flag.filters if isinstance(flag, Flag) else None
        conditions = (filters.conditions if filters else None) or ()
        named = [n for each in conditions for prop in each.properties or () for n in named_in(prop)]
        yield flag_node(key), named
