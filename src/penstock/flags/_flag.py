"""One flag compiled: from a pass to a decision, or a signal that there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from penstock.flags._buckets import HOLDOUT_PREFIX, digest, sha1
from penstock.flags._signals import MISSING, SERVER, Signal, stronger
from penstock.flags.definitions import Malformed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from penstock.flags._conditions import Check, CompiledCondition
    from penstock.flags._run import Run
    from penstock.flags.decision import Decision
    from penstock.flags.definitions import Filters, Flag

Result: TypeAlias = "Decision | Signal"
Decide: TypeAlias = "Callable[[Run], Result]"


class Subject(NamedTuple):
    """Who a flag is about: what is bucketed, and the properties its filters look at."""

    who: str
    properties: Mapping[str, Any]


class CompiledFlag(NamedTuple):
    """A flag, ready."""

    source: Flag | Malformed
    decide: Decide
    #: What is answered instead of a signal: ``{reason: decision}``.
    undecided: Mapping[str, Decision]
    #: Whether it looks at other flags.
    dependent: bool = False
    #: Whom it is about, or why that cannot be told: for explanations.
    subject: Callable[[Run], Subject | Result] | None = None
    conditions: Sequence[CompiledCondition] = ()
    #: Why its definition alone makes it undecidable here; empty when it does not.
    unsupported: str = ""
    #: Whether a pass over this one flag should remember its cohorts.
    memorable: bool = False
    #: The holdout: ``(first digest outside, decision)``.
    holdout: tuple[bytes, Decision] | None = None

    @property
    def filters(self) -> Filters | None:
        """What decides it, as defined; None for a malformed flag."""
        return None if isinstance(self.source, Malformed) else self.source.filters

    @property
    def by_device(self) -> bool:
        """Whether it is bucketed by the device id."""
        if isinstance(self.source, Malformed) or self.filters is None:
            return False
        by = self.source.bucketing_identifier or self.filters.bucketing_identifier
        return bool(by == "device_id")

    @property
    def early_exit(self) -> bool:
        """Whether a match that the rollout excludes ends the search."""
        return bool(self.filters and self.filters.early_exit)


def constant(result: Result) -> Decide:
    """A flag that is the same for everybody."""
    return lambda _run: result


def person_subject(*, wants_id: bool) -> Callable[[Run], Subject]:
    """The distinct id, and the person's properties."""

    def subject(run: Run) -> Subject:
        return Subject(str(run.person.distinct_id), run.person_view(wants_id=wants_id))

    return subject


def device_subject(unknown: Signal, *, wants_id: bool) -> Callable[[Run], Subject | Result]:
    """
    The device id, and the person's properties.

    Args:
        unknown: What to say when there is no device id.
        wants_id: Whether a filter looks for the distinct id.
    """

    def subject(run: Run) -> Subject | Result:
        device = run.person.device_id or run.person.properties.get("$device_id")
        if not device or not isinstance(device, str):
            return unknown
        return Subject(device, run.person_view(wants_id=wants_id))

    return subject


def group_subject(group_type: str, absent: Decision) -> Callable[[Run], Subject | Result]:
    """The key and the properties of the person's group of this type."""

    def subject(run: Run) -> Subject | Result:
        groups = run.person.groups
        if group_type not in groups:
            return absent
        return Subject(str(groups[group_type]), run.group_view(group_type))

    return subject


def enrollment(key: str, enrolled: Decision, other: Decision) -> Check:
    """Instead of conditions: people say themselves whether they want it."""
    name = f"$feature_enrollment/{key}"

    def check(properties: Mapping[str, Any], _who: str, _run: Run) -> Result:
        if name not in properties:
            return MISSING
        found = properties[name]
        return enrolled if found is True or found == "true" else other

    return check


def deciding(
    subject: Callable[[Run], Subject | Result],
    check: Check,
    holdout: tuple[bytes, Decision] | None,
) -> Decide:
    """From the subject over the holdout to the conditions."""

    def decide(run: Run) -> Result:
        found = subject(run)
        if type(found) is not Subject:
            return found  # type: ignore[return-value] # what else it may be
        who, properties = found
        if holdout is not None and digest(HOLDOUT_PREFIX + who) < holdout[0]:
            return holdout[1]
        return check(properties, who, run)  # type: ignore[return-value] # checks of a flag decide

    return decide


def rollout(prefix: str, limit: bytes, matched: Decision, excluded: Decision) -> Decide:
    """
    The commonest flag, by hand, at half the price: a part of all people, and nothing else.

    Args:
        prefix: Of the hash.
        limit: The first digest that is out.
        matched: What people get who are in.
        excluded: What the others get.
    """

    def decide(run: Run) -> Result:
        who = run.person.distinct_id
        place = prefix + (who if type(who) is str else str(who))
        return excluded if sha1(place.encode()).digest() >= limit else matched

    return decide


def plain_person(check: Check) -> Decide:
    """The same for most flags: about a person, and no holdout."""

    def decide(run: Run) -> Result:
        person = run.person
        who = person.distinct_id
        return check(person.properties, who if type(who) is str else str(who), run)  # type: ignore[return-value] # as above

    return decide


def conditions(
    checks: Sequence[Check], none: Decision, *, early_exit: bool, definition: str
) -> Check:
    """
    Try conditions in order.

    Args:
        checks: Of each condition.
        none: When none matches.
        early_exit: Whether a match that the rollout excludes ends the search.
        definition: The flag's own reason to be undecidable, if any.
    """
    own = SERVER[definition] if definition else None

    def check(properties: Mapping[str, Any], who: str, run: Run) -> Result:
        pending: Signal | None = None
        otherwise = none
        for each in checks:
            found = each(properties, who, run)
            if found is None:
                continue
            if type(found) is Signal:
                if found.server:
                    return stronger(found, own) if own else found
                pending = stronger(pending, found)
            elif found.value is not False:  # type: ignore[union-attr] # a decision
                return found
            else:
                otherwise = found if otherwise is none else otherwise  # type: ignore[assignment] # as above
                if early_exit:
                    break
        return otherwise if pending is None else pending

    return check


def single_condition(only: Check, none: Decision, *, definition: str) -> Check:
    """The same when there is but one."""
    own = SERVER[definition] if definition else None

    def check(properties: Mapping[str, Any], who: str, run: Run) -> Result:
        found = only(properties, who, run)
        if found is None:
            return none
        if own is not None and type(found) is Signal and found.server:
            return stronger(found, own)
        return found

    return check
