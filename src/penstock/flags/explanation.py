"""
Why a flag says what it says: condition by condition, filter by filter.

For people and for support; evaluation does not go through here. What is shown is found with the
same compiled parts, so it cannot disagree with the decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from penstock.flags._buckets import HOLDOUT_PREFIX, VARIANT_SALT, place
from penstock.flags._flag import Subject
from penstock.flags._run import Run
from penstock.flags._signals import Signal
from penstock.flags.decision import ENROLLMENT, HOLDOUT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from penstock.flags._conditions import CompiledCondition
    from penstock.flags._filters import Filter
    from penstock.flags._flag import CompiledFlag
    from penstock.flags._signals import Outcome
    from penstock.flags.compiled import CompiledFlags
    from penstock.flags.decision import Decision
    from penstock.flags.person import Person


_OUT = "out of rollout"


class FilterStep(msgspec.Struct, frozen=True, kw_only=True):
    """One filter of a condition."""

    #: In words: ``tier exact "gold"``.
    filter: str
    #: ``yes``, ``no``, or why it cannot be told.
    outcome: str
    #: The property's value; for a flag its value, for a cohort nothing.
    found: Any = None


class ConditionStep(msgspec.Struct, frozen=True, kw_only=True):
    """One condition."""

    #: From 1, as descriptions of the server count.
    number: int
    #: Whom it is about: ``person u-1``, ``company acme``.
    about: str
    filters: list[FilterStep] = []
    #: None is everybody.
    rollout_percentage: float | None = None
    #: Where this subject is among all, in percent; out if above the rollout.
    place: float | None = None
    #: ``matched``, ``no match``, ``out of rollout``, or why it cannot be told.
    outcome: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A decision, and the way to it."""

    key: str
    #: None when there is no local value; *reason* says why.
    value: bool | str | None
    reason: str
    payload: Any = None
    #: Whom the flag is about; empty when it is the same for everybody.
    about: str = ""
    #: The holdout, if there is one: ``{"id", "percentage", "place", "held"}``.
    holdout: dict[str, Any] | None = None
    #: Those that were looked at, up to the one that decided.
    conditions: list[ConditionStep] = []
    #: Where this subject is among the variants, in percent.
    variant_place: float | None = None


class _Case(NamedTuple):
    """What is being explained."""

    flag: CompiledFlag
    subject: Subject
    about: str
    run: Run


def explain(
    flags: CompiledFlags, key: str, person: Person, now: datetime | None = None
) -> Explanation:
    """
    Evaluate a flag and say how its value came about.

    Args:
        flags: Compiled.
        key: The flag's.
        person: Who it is for.
        now: The clock for relative dates, aware; None is the current time.
    """
    decision = flags.evaluate(key, person, now)
    flag = flags.flag(key)
    if flag is None or flag.subject is None:
        return _told(decision)
    run = Run(person, now)
    subject = flag.subject(run)
    if not isinstance(subject, Subject):
        return _told(decision)
    case = _Case(flag, subject, _about(flag, flags, subject), run)
    varied = place(f"{key}.", subject.who, VARIANT_SALT) if decision.variant else None
    return msgspec.structs.replace(
        _told(decision),
        about=case.about,
        holdout=_holdout(case),
        conditions=_conditions(case, decision),
        variant_place=None if varied is None else _percent(varied),
    )


def _told(decision: Decision) -> Explanation:
    return Explanation(
        key=decision.key,
        value=decision.value,
        reason=decision.reason,
        payload=decision.payload,
    )


def _about(flag: CompiledFlag, flags: CompiledFlags, subject: Subject) -> str:
    filters = flag.filters
    index = filters.aggregation_group_type_index if filters else None
    if index is not None:
        kind = flags.definitions.group_type_mapping.get(str(int(index)), "group")
    else:
        kind = "device" if flag.by_device else "person"
    return f"{kind} {subject.who}"


def _holdout(case: _Case) -> dict[str, Any] | None:
    source = case.flag.filters.holdout if case.flag.filters else None
    if case.flag.holdout is None or source is None:
        return None
    found = place(HOLDOUT_PREFIX, case.subject.who)
    percentage = source.exclusion_percentage or 0
    held = found <= min(max(percentage, 0), 100) / 100
    return {"id": source.id, "percentage": percentage, "place": _percent(found), "held": held}


def _conditions(case: _Case, decision: Decision) -> list[ConditionStep]:
    """All that were tried: nothing follows a match, or an early exit."""
    steps: list[ConditionStep] = []
    if decision.reason in {HOLDOUT, ENROLLMENT}:
        return steps
    for number, condition in enumerate(case.flag.conditions, 1):
        step = _condition(number, condition, case)
        steps.append(step)
        if step.outcome == "matched" or (step.outcome == _OUT and case.flag.early_exit):
            break
    return steps


def _condition(number: int, condition: CompiledCondition, case: _Case) -> ConditionStep:
    group, run = condition.group_type, case.run
    if group is not None:
        if group not in run.person.groups:
            about = f"{group or 'an unknown group type'}, which was not passed"
            return ConditionStep(number=number, about=about, outcome="no match")
        who = str(run.person.groups[group])
        case = case._replace(subject=Subject(who, run.group_view(group)), about=f"{group} {who}")
    subject, percentage = case.subject, condition.rollout_percentage
    found = condition.check(subject.properties, subject.who, run)
    hashed = place(f"{case.flag.source.key}.", subject.who)
    return ConditionStep(
        number=number,
        about=case.about,
        filters=[_filter(each, subject.properties, run) for each in condition.filters],
        rollout_percentage=percentage,
        place=None if percentage is None else _percent(hashed),
        outcome=_met(found),
    )


def _met(found: Decision | Signal | None) -> str:
    if found is None:
        return "no match"
    if isinstance(found, Signal):
        return found.reason
    return _OUT if found.value is False else "matched"


def _filter(each: Filter, properties: Mapping[str, Any], run: Run) -> FilterStep:
    outcome = each.match(properties, run)
    source = each.source if isinstance(each.source, dict) else {}
    kind, key = source.get("type"), source.get("key")
    found = None
    if kind == "flag":
        found = run.seen.get(key) if isinstance(key, str) else None
    elif kind != "cohort" and isinstance(key, str):
        found = properties.get(key)
    return FilterStep(filter=_worded(source), outcome=_said(outcome), found=found)


def _worded(source: Mapping[str, Any]) -> str:
    value = msgspec.json.encode(source.get("value"), enc_hook=str).decode()
    kind, operator = source.get("type"), source.get("operator") or "exact"
    if kind == "cohort":
        return f"{'not in' if operator == 'not_in' else 'in'} cohort {value}"
    name = f"flag {source.get('key')}" if kind == "flag" else str(source.get("key"))
    return (
        f"{name} {operator}"
        if operator in {"is_set", "is_not_set"}
        else f"{name} {operator} {value}"
    )


def _said(outcome: Outcome) -> str:
    if isinstance(outcome, Signal):
        return outcome.reason
    return "yes" if outcome else "no"


def _percent(share: float) -> float:
    return round(share * 100, 4)
