"""Whom a flag is about: person, device, group, or one of them per condition; and enrolment."""

from __future__ import annotations

from typing import Any

import pytest
from flag_kit import (
    HALVES,
    MISSING,
    STICKY,
    UNSUPPORTED,
    answer,
    cohort,
    compiled,
    condition,
    flag,
    prop,
)

from penstock.flags import Person
from penstock.flags._buckets import place

BIG = prop("seats", "gt", 10, type="group")
HALF = condition(percent=50)


def member(**more: Any) -> Person:
    """Somebody with a company."""
    return Person("u-1", None, {"seats": 1}, {"company": "acme"}, more)


def inside(flag_key: str, who: str) -> bool:
    return place(f"{flag_key}.", who) <= 0.5


def test_a_person_flag_knows_the_distinct_id_as_a_property() -> None:
    """Unless the caller has another one under that name."""
    flags = compiled(flag("f", condition(prop("distinct_id", "exact", "u-2"))))
    assert answer(flags, "f", Person("u-2")) is True
    assert answer(flags, "f", Person("u-1")) is False
    assert answer(flags, "f", Person("u-2", None, {"distinct_id": "other"})) is False


def test_a_group_flag_looks_at_the_group() -> None:
    """Its key decides the rollout, its properties the filters."""
    flags = compiled(
        flag("rollout", HALF, aggregation_group_type_index=0),
        flag("filter", condition(BIG), aggregation_group_type_index=0.0),
        flag("key", condition(prop("$group_key", "exact", "acme")), aggregation_group_type_index=0),
    )
    for company in ("acme", "globex", "initech", 7):
        person = Person("u-1", None, {}, {"company": company})
        assert answer(flags, "rollout", person) is inside("rollout", str(company))
    assert answer(flags, "filter", member(company={"seats": 11})) is True
    assert answer(flags, "filter", member(company={"seats": 9})) is False
    assert answer(flags, "filter", member()) == MISSING
    assert answer(flags, "key", member()) is True
    assert answer(flags, "key", member(company={"$group_key": "mine"})) is False


def test_without_the_group_a_group_flag_is_off() -> None:
    """The server would say the same, so nobody is asked."""
    flags = compiled(flag("f", condition(), aggregation_group_type_index=1))
    decision = flags.evaluate("f", member(project={"x": 1}))
    assert (decision.value, decision.reason) == (False, "no_group_type")


def test_an_unknown_group_type_is_the_servers() -> None:
    """Its name is not in the mapping."""
    flags = compiled(flag("f", condition(), aggregation_group_type_index=7))
    assert answer(flags, "f", member()) == UNSUPPORTED


def test_bucketing_by_device_needs_the_device() -> None:
    """From the call, else from the property; the flag's own setting or its filters'."""
    by_device = {"bucketing_identifier": "device_id"}
    flags = compiled(
        flag("f", HALF, top=by_device),
        flag("g", HALF, bucketing_identifier="device_id"),
        flag("other", HALF, top={"bucketing_identifier": "distinct_id"}),
        flag("static", condition(cohort(99)), top=by_device),
        flag("group", HALF, aggregation_group_type_index=0, top=by_device),
    )
    for key in "fg":
        assert answer(flags, key, Person("u-1", "d-1")) is inside(key, "d-1")
        assert answer(flags, key, Person("u-1", None, {"$device_id": "d-2"})) is inside(key, "d-2")
        for nothing in (None, ""):
            assert answer(flags, key, Person("u-1", nothing)) == MISSING
    assert answer(flags, "other", Person("u-1")) is inside("other", "u-1")
    assert answer(flags, "static", Person("u-1")) == UNSUPPORTED
    assert answer(flags, "group", member()) is inside("group", "acme")


def test_a_condition_may_be_about_a_group() -> None:
    """Nobody without the group matches it; nobody is undecided for that."""
    flags = compiled(
        flag("f", condition(BIG, percent=50, aggregation_group_type_index=0)),
        flag("unknown", condition(aggregation_group_type_index=7)),
        flag("person", condition(prop("seats", "lt", 5), aggregation_group_type_index=None)),
        flag(
            "back",
            condition(aggregation_group_type_index=None),
            aggregation_group_type_index=0,
        ),
    )
    assert answer(flags, "f", member(company={"seats": 11})) is inside("f", "acme")
    assert answer(flags, "f", Person("u-1")) is False
    assert answer(flags, "f", member()) == MISSING
    assert answer(flags, "unknown", member()) is False
    assert answer(flags, "person", member()) is True
    assert answer(flags, "back", member()) is True


def test_variants_of_a_mixed_condition_follow_its_group() -> None:
    """Rollout and variant are of the same subject."""
    variants = {"variants": HALVES}
    about_group = condition(aggregation_group_type_index=0)
    flags = compiled(flag("f", about_group, multivariate=variants))
    for company in ("acme", "globex", "initech", "umbrella"):
        person = Person("u-1", None, {}, {"company": company})
        first = place("f.", company, "variant") < 0.5
        assert answer(flags, "f", person) == ("control" if first else "test")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), ("true", True), ("True", False), (1, False), (False, False), (None, False)],
)
def test_enrolment_is_the_persons_own_word(value: Any, expected: bool) -> None:
    """Conditions and holdout are not looked at."""
    keep = {"id": 1, "exclusion_percentage": 100}
    flags = compiled(flag("f", condition(percent=0), feature_enrollment=True, holdout=keep))
    assert answer(flags, "f", Person("u", None, {"$feature_enrollment/f": value})) is expected
    assert answer(flags, "f", Person("u")) == MISSING


def test_enrolment_counts_only_when_it_is_exactly_true_and_about_people() -> None:
    """A group cannot enrol."""
    flags = compiled(
        flag("text", condition(), feature_enrollment="true"),
        flag("group", condition(), feature_enrollment=True, aggregation_group_type_index=0),
    )
    assert answer(flags, "text", member()) is True
    assert answer(flags, "group", member()) == UNSUPPORTED
    assert answer(flags, "group", Person("u")) is False


def test_continuity_and_unknown_formats_are_the_servers() -> None:
    """It remembers people, and reads what this evaluator does not."""
    flags = compiled(
        flag("sticky", condition(), top={"ensure_experience_continuity": True}),
        flag("v2", version=2, rules=[]),
        flag("v1", condition(), version=1),
        flag("null", condition(), version=None),
    )
    found = [answer(flags, key, member()) for key in ("sticky", "v2", "v1", "null")]
    assert found == [STICKY, UNSUPPORTED, True, True]
