"""AND, OR and NOT over outcomes, with the rules for what is undecided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.flags._signals import joined, stronger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from penstock.flags._run import Run
    from penstock.flags._signals import Match, Outcome, Signal

    Properties = Mapping[str, Any]


def always(outcome: Outcome) -> Match:
    """A filter that does not look."""
    return lambda _properties, _run: outcome


def negated(match: Match) -> Match:
    """The opposite; undecided stays undecided."""

    def opposite(properties: Properties, run: Run) -> Outcome:
        outcome = match(properties, run)
        if outcome is True:
            return False
        return True if outcome is False else outcome

    return opposite


def every_filter(matches: Sequence[Match]) -> Match:
    """All filters of a condition: one plain no beats everything that is undecided."""
    if len(matches) == 1:
        return matches[0]

    def match_all(properties: Properties, run: Run) -> Outcome:
        pending: Signal | None = None
        for match in matches:
            outcome = match(properties, run)
            if outcome is True:
                continue
            if outcome is False:
                return False
            pending = joined(pending, outcome)
        return True if pending is None else pending

    return match_all


def combined(matches: Sequence[Match], *, every: bool, server: bool) -> Match:
    """
    A group of a cohort.

    Args:
        matches: Its entries.
        every: AND; else OR. An empty AND is true, an empty OR false.
        server: Whether an entry may say that only the server can know. Then all are asked, since
            such an answer beats even a decided group; else the first that decides ends it.
    """
    return _patient(matches, every=every) if server else _hasty(matches, every=every)


def _hasty(matches: Sequence[Match], *, every: bool) -> Match:
    def match_group(properties: Properties, run: Run) -> Outcome:
        pending: Signal | None = None
        for match in matches:
            outcome = match(properties, run)
            if outcome is every:
                continue
            if outcome is True or outcome is False:
                return outcome
            pending = stronger(pending, outcome)
        return every if pending is None else pending

    return match_group


def _patient(matches: Sequence[Match], *, every: bool) -> Match:
    def match_group(properties: Properties, run: Run) -> Outcome:
        pending: Signal | None = None
        decided = False
        for match in matches:
            outcome = match(properties, run)
            if outcome is True or outcome is False:
                decided |= outcome is not every
            elif outcome.server:
                return outcome
            else:
                pending = stronger(pending, outcome)
        if decided:
            return not every
        return every if pending is None else pending

    return match_group


def remembered(name: str, match: Match) -> Match:
    """A cohort that is asked for once per pass and set of properties."""

    def recall(properties: Properties, run: Run) -> Outcome:
        memory = run.cohorts
        if memory is None:
            return match(properties, run)
        # The pass keeps its properties alive, so no other object can have the same id.
        key = (name, id(properties))
        outcome = memory.get(key)
        if outcome is None:
            outcome = memory[key] = match(properties, run)
        return outcome

    return recall
