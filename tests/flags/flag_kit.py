"""Definitions, made short: a flag, a condition, a filter, and what is said about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.flags import CompiledFlags, Decision, Person, compile_flags, parse_definitions

if TYPE_CHECKING:
    from datetime import datetime

#: What a value may be: True, False, a variant, or one of the reasons that there is none.
UNSUPPORTED = "unsupported_definition"
MISSING = "missing_context"
UNRESOLVED = "unresolved_dependency"
STICKY = "experience_continuity"
REASONS = frozenset({UNSUPPORTED, MISSING, UNRESOLVED, STICKY})
HALVES = [
    {"key": "control", "rollout_percentage": 50},
    {"key": "test", "rollout_percentage": 50},
]
GROUP_TYPES = {"0": "company", "1": "project"}


def prop(
    key: str, operator: str | None = "exact", value: Any = None, **more: Any
) -> dict[str, Any]:
    """A filter on a property."""
    return {"key": key, "type": "person", "operator": operator, "value": value, **more}


def cohort(name: int | str, operator: str | None = None, **more: Any) -> dict[str, Any]:
    """A filter on a cohort."""
    return {"key": "id", "type": "cohort", "value": name, "operator": operator, **more}


def needs(key: str, value: Any = True, chain: Any = None, **more: Any) -> dict[str, Any]:
    """A filter on another flag."""
    filter_ = {"key": key, "type": "flag", "operator": "flag_evaluates_to", "value": value}
    return {**filter_, "dependency_chain": [key] if chain is None else chain, **more}


def condition(*filters: Any, percent: float | None = 100, **more: Any) -> dict[str, Any]:
    """A release condition."""
    return {"properties": list(filters), "rollout_percentage": percent, **more}


def flag(key: str, *conditions: Any, top: dict[str, Any] | None = None, **more: Any) -> Any:
    """A flag; *more* goes into its filters, *top* beside them."""
    filters = {"groups": list(conditions), **more}
    return {"id": 1, "key": key, "active": True, "version": 1, "filters": filters, **(top or {})}


def split(*variants: tuple[str, float]) -> dict[str, Any]:
    """Variants and their shares in percent."""
    return {"variants": [{"key": key, "rollout_percentage": share} for key, share in variants]}


def compiled(*flags: Any, cohorts: Any = None, matching: int = 1, **more: Any) -> CompiledFlags:
    """Flags, ready."""
    body = {
        "flags": list(flags),
        "cohorts": {str(key): value for key, value in (cohorts or {}).items()},
        "group_type_mapping": GROUP_TYPES,
        "property_matching_version": matching,
        **more,
    }
    return compile_flags(parse_definitions(body))


def said(decision: Decision) -> bool | str:
    """The value, or the reason that there is none."""
    return decision.reason if decision.value is None else decision.value


def answer(
    flags: CompiledFlags, key: str, person: Person | None = None, now: datetime | None = None
) -> bool | str:
    """What one flag says, alone and in a pass with all others."""
    who = person or Person("u-1")
    alone = flags.evaluate(key, who, now)
    assert flags.evaluate_all(who, now=now)[key] == alone
    return said(alone)


def matches(
    filter_: Any,
    properties: dict[str, Any],
    now: datetime | None = None,
    matching: int = 1,
    cohorts: Any = None,
) -> bool | str:
    """What a flag with this one filter says about a person with these properties."""
    flags = compiled(flag("f", condition(filter_)), matching=matching, cohorts=cohorts)
    return answer(flags, "f", Person("u-1", None, properties), now)
