"""One release condition compiled: whom it matches, how many of them, and what they get."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from penstock.flags._buckets import VARIANT_SALT, beyond, sha1
from penstock.flags._filters import cheap_first
from penstock.flags._groups import every_filter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from penstock.flags._filters import Filter
    from penstock.flags._run import Run
    from penstock.flags._signals import Match, Signal
    from penstock.flags.decision import Decision

#: A match, an exclusion by the rollout (its value is False), no match, or undecided.
Found: TypeAlias = "Decision | Signal | None"
#: The properties to look at, who is bucketed, and the pass.
Check: TypeAlias = "Callable[[Mapping[str, Any], str, Run], Found]"


class Split(NamedTuple):
    """The variants of a flag as steps of the population; see `_buckets.steps`."""

    borders: Sequence[bytes]
    decisions: Sequence[Decision]


class Rollout(NamedTuple):
    """A condition without filters and without variants."""

    #: The first digest that is out.
    limit: bytes
    matched: Decision
    excluded: Decision


class CompiledCondition(NamedTuple):
    """A condition, ready, with what it was made of."""

    check: Check
    filters: Sequence[Filter]
    rollout_percentage: float | None
    #: The group type it is about, if that is not the flag's; empty when it cannot be known.
    group_type: str | None = None
    #: What it comes to when it only rolls out.
    rollout: Rollout | None = None


def only_rollout(
    filters: Sequence[Filter],
    share: float | None,
    outcome: Decision | Split,
    excluded: Decision,
) -> Rollout | None:
    """The condition as a mere rollout, if it is one; arguments as of `compile_check`."""
    if filters or share is None or share >= 1 or isinstance(outcome, Split):
        return None
    return Rollout(beyond(share), outcome, excluded)


def compile_check(
    prefix: str,
    filters: Sequence[Filter],
    share: float | None,
    outcome: Decision | Split,
    excluded: Decision,
) -> Check:
    """
    Put a condition together.

    Args:
        prefix: Of the hash: the flag's key and a point.
        filters: All must match.
        share: Of those who match, from 0 to 1; None is all.
        outcome: What they get: the same each, or a variant.
        excluded: What the others get.
    """
    test = _test(filters)
    limit = beyond(share) if share is not None and share < 1 else None
    if isinstance(outcome, Split):
        return _varied(prefix, test, limit, outcome, excluded)
    return _plain(prefix, test, limit, outcome, excluded)


def _test(filters: Sequence[Filter]) -> Match | None:
    if not filters:
        return None
    movable = all(each.movable for each in filters)
    return every_filter([each.match for each in (cheap_first(filters) if movable else filters)])


def _plain(
    prefix: str, test: Match | None, limit: bytes | None, matched: Decision, excluded: Decision
) -> Check:
    def check(properties: Mapping[str, Any], who: str, run: Run) -> Found:
        if test is not None:
            met = test(properties, run)
            if met is not True:
                return None if met is False else met
        if limit is not None and sha1((prefix + who).encode()).digest() >= limit:
            return excluded
        return matched

    return check


def _varied(
    prefix: str, test: Match | None, limit: bytes | None, split: Split, excluded: Decision
) -> Check:
    borders, decisions = split

    def check(properties: Mapping[str, Any], who: str, run: Run) -> Found:
        if test is not None:
            met = test(properties, run)
            if met is not True:
                return None if met is False else met
        place = prefix + who
        if limit is not None and sha1(place.encode()).digest() >= limit:
            return excluded
        return decisions[bisect_right(borders, sha1((place + VARIANT_SALT).encode()).digest())]

    return check


def about_group(check: Check, group_type: str) -> Check:
    """A condition about a group, in a flag that is not: nobody without the group matches."""

    def check_group(_properties: Mapping[str, Any], _who: str, run: Run) -> Found:
        groups = run.person.groups
        if group_type not in groups:
            return None
        return check(run.group_view(group_type), str(groups[group_type]), run)

    return check_group


def nobody(_properties: Mapping[str, Any], _who: str, _run: Run) -> Found:
    """A condition about a group type that is not known."""
    return None
