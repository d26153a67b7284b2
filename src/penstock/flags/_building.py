"""From definitions to compiled flags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from penstock.flags import _flag as flags
from penstock.flags import decision as reasons
from penstock.flags._buckets import beyond, steps
from penstock.flags._conditions import (
    CompiledCondition,
    Split,
    about_group,
    compile_check,
    nobody,
    only_rollout,
)
from penstock.flags._cycles import flag_node
from penstock.flags._flag import CompiledFlag
from penstock.flags._signals import INCONCLUSIVE, UNSUPPORTED
from penstock.flags.decision import Decision
from penstock.flags.definitions import Filters, Malformed
from penstock.flags.payloads import payload_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from penstock.flags._conditions import Check
    from penstock.flags._filters import Filter, Workshop
    from penstock.flags._flag import Decide, Result, Subject
    from penstock.flags._run import Run
    from penstock.flags.definitions import Condition, Flag

_ALL = 100
#: A flag whose filters may compare more often than this remembers its cohorts.
_MEMORABLE_COST = 48


class Builder:
    """
    Compiles one flag.

    Args:
        flag: As defined.
        group_types: ``{"0": group type}``
        workshop: Compiles its filters.
    """

    def __init__(self, flag: Flag, group_types: Mapping[str, str], workshop: Workshop) -> None:
        self._flag = flag
        self._filters = flag.filters or Filters()
        self._group_types = group_types
        self._workshop = workshop
        self._steps: tuple[Sequence[bytes], Sequence[str | None]] | None = None
        source = self._filters.payloads
        self._payloads: Mapping[str, Any] = source if isinstance(source, dict) else {}

    def build(self) -> CompiledFlag:
        """The flag, ready."""
        flag = self._flag
        if not flag.active:
            return self._constant(self._decision(False, reasons.DISABLED))  # noqa: FBT003 - a value
        if flag.ensure_experience_continuity:
            return self._refused(reasons.EXPERIENCE_CONTINUITY)
        if self._filters.version not in (None, 1):
            return self._refused(reasons.UNSUPPORTED_DEFINITION)
        if self._aggregation is not None and not self._group_type(self._aggregation):
            return self._refused(reasons.UNSUPPORTED_DEFINITION)
        return self._evaluated()

    # -- whole flags -----------------------------------------------------------------------

    def _constant(self, result: Result) -> CompiledFlag:
        return CompiledFlag(self._flag, flags.constant(result), Undecided(self._flag))

    def _refused(self, reason: str) -> CompiledFlag:
        return self._constant(INCONCLUSIVE[reason])._replace(unsupported=reason)

    def _evaluated(self) -> CompiledFlag:
        filters = [self._condition_filters(each) for each in self._filters.conditions or ()]
        every = [each for some in filters for each in some]
        definition = "" if all(e.usable for e in every) else reasons.UNSUPPORTED_DEFINITION
        compiled = [
            self._condition(index, condition, some)
            for index, (condition, some) in enumerate(
                zip(self._filters.conditions or (), filters, strict=True)
            )
        ]
        check = self._check(compiled, definition)
        subject = self._subject(every, definition)
        holdout = self._holdout()
        return CompiledFlag(
            self._flag,
            self._only_rollout(compiled) or self._decide(subject, check, holdout, every),
            Undecided(self._flag),
            subject=subject,
            conditions=compiled,
            unsupported=definition,
            dependent=not all(each.pure for each in every),
            memorable=sum(each.cost for each in every) > _MEMORABLE_COST,
            holdout=holdout,
        )

    def _only_rollout(self, compiled: Sequence[CompiledCondition]) -> Decide | None:
        if len(compiled) != 1 or compiled[0].rollout is None or self._filters.holdout:
            return None
        if self._aggregation is not None or self._by_device or self._filters.feature_enrollment:
            return None
        return flags.rollout(f"{self._flag.key}.", *compiled[0].rollout)

    def _decide(
        self,
        subject: Callable[[Run], Subject | Result],
        check: Check,
        holdout: tuple[bytes, Decision] | None,
        filters: Sequence[Filter],
    ) -> Decide:
        about_person = self._aggregation is None and not self._by_device
        if about_person and holdout is None and not _wants_id(filters):
            return flags.plain_person(check)
        return flags.deciding(subject, check, holdout)

    # -- whom it is about ------------------------------------------------------------------

    @property
    def _aggregation(self) -> float | None:
        return self._filters.aggregation_group_type_index

    @property
    def _by_device(self) -> bool:
        by = self._flag.bucketing_identifier or self._filters.bucketing_identifier
        return bool(by == "device_id")

    def _group_type(self, index: float) -> str:
        number = int(index) if isinstance(index, float) and index.is_integer() else index
        return self._group_types.get(str(number)) or ""

    def _subject(
        self, filters: Sequence[Filter], definition: str
    ) -> Callable[[Run], Subject | Result]:
        wants_id = _wants_id(filters)
        if self._aggregation is not None:
            absent = self._decision(False, reasons.NO_GROUP)  # noqa: FBT003 - a value
            return flags.group_subject(self._group_type(self._aggregation), absent)
        if self._by_device:
            unknown = INCONCLUSIVE[definition or reasons.MISSING_CONTEXT]
            return flags.device_subject(unknown, wants_id=wants_id)
        return flags.person_subject(wants_id=wants_id)

    # -- what decides ----------------------------------------------------------------------

    def _check(self, compiled: Sequence[CompiledCondition], definition: str) -> Check:
        if self._filters.feature_enrollment is True:
            return self._enrollment()
        none = self._decision(False, reasons.NO_CONDITION_MATCH)  # noqa: FBT003 - a value
        if len(compiled) == 1 and not compiled[0].filters and compiled[0].group_type is None:
            return compiled[0].check  # it always decides
        if len(compiled) == 1:
            return flags.single_condition(compiled[0].check, none, definition=definition)
        return flags.conditions(
            [each.check for each in compiled],
            none,
            early_exit=bool(self._filters.early_exit),
            definition=definition,
        )

    def _enrollment(self) -> Check:
        if self._aggregation is not None:
            return lambda _properties, _who, _run: UNSUPPORTED
        return flags.enrollment(
            self._flag.key,
            self._decision(True, reasons.ENROLLMENT),  # noqa: FBT003 - a value
            self._decision(False, reasons.ENROLLMENT),  # noqa: FBT003 - a value
        )

    def _holdout(self) -> tuple[bytes, Decision] | None:
        holdout = self._filters.holdout
        enrolled = self._filters.feature_enrollment is True
        if enrolled or not holdout or holdout.id is None or holdout.exclusion_percentage is None:
            return None
        share = min(max(holdout.exclusion_percentage, 0), _ALL) / _ALL
        return beyond(share), self._decision(f"holdout-{holdout.id}", reasons.HOLDOUT)

    # -- conditions ------------------------------------------------------------------------

    def _condition_filters(self, condition: Condition) -> Sequence[Filter]:
        owner = flag_node(self._flag.key)
        return [self._workshop.compile(each, owner) for each in condition.properties or ()]

    def _condition(
        self, index: int, condition: Condition, filters: Sequence[Filter]
    ) -> CompiledCondition:
        percentage = condition.rollout_percentage
        share = None if percentage is None else percentage / _ALL
        excluded = self._decision(False, reasons.OUT_OF_ROLLOUT, index)  # noqa: FBT003 - a value
        outcome = self._outcome(index, condition)
        check = compile_check(f"{self._flag.key}.", filters, share, outcome, excluded)
        other = condition.aggregation_group_type_index
        if other is UNSET or other is None or other == self._aggregation:
            rollout = only_rollout(filters, share, outcome, excluded)
            return CompiledCondition(check, filters, percentage, rollout=rollout)
        group_type = self._group_type(other)
        check = about_group(check, group_type) if group_type else nobody
        return CompiledCondition(check, filters, percentage, group_type)

    def _outcome(self, index: int, condition: Condition) -> Decision | Split:
        multivariate = self._filters.multivariate
        variants = (multivariate.variants if multivariate else None) or ()
        forced = condition.variant
        if isinstance(forced, str) and forced and any(each.key == forced for each in variants):
            return self._decision(forced, reasons.CONDITION_MATCH, index)
        if not variants:
            return self._decision(True, reasons.CONDITION_MATCH, index)  # noqa: FBT003 - a value
        if self._steps is None:
            self._steps = steps((each.key, each.rollout_percentage / _ALL) for each in variants)
        borders, names = self._steps
        made = {
            name: self._decision(name or True, reasons.CONDITION_MATCH, index) for name in names
        }
        return Split(borders, [made[name] for name in names])

    def _decision(self, value: bool | str, reason: str, index: int | None = None) -> Decision:
        return Decision(
            key=self._flag.key,
            value=value,
            reason=reason,
            condition_index=index,
            payload_source=self._payloads.get(payload_name(value)),
            flag_id=self._flag.id,
            version=self._flag.version,
            has_experiment=self._flag.has_experiment,
        )


def malformed(flag: Flag | Malformed) -> CompiledFlag:
    """A flag that cannot be evaluated here."""
    reason = reasons.UNSUPPORTED_DEFINITION
    return CompiledFlag(flag, flags.constant(UNSUPPORTED), Undecided(flag), unsupported=reason)


class Undecided(dict[str, Decision]):
    """
    What is answered for each reason that a flag has no value; made when first asked for.

    Args:
        flag: The flag.
    """

    __slots__ = ("_flag",)

    def __init__(self, flag: Flag | Malformed) -> None:
        self._flag = flag

    def __missing__(self, reason: str) -> Decision:
        flag = self._flag
        made = self[reason] = Decision(
            key=flag.key,
            value=None,
            reason=reason,
            flag_id=flag.id,
            version=flag.version,
            has_experiment=None if isinstance(flag, Malformed) else flag.has_experiment,
        )
        return made


def _wants_id(filters: Sequence[Filter]) -> bool:
    return any(each.wants_id for each in filters)
