"""Cohorts: groups of AND and OR, inside each other, and what only the server knows."""

from __future__ import annotations

from typing import Any

import pytest
from flag_kit import (
    MISSING,
    UNSUPPORTED,
    answer,
    cohort,
    compiled,
    condition,
    flag,
    matches,
    needs,
    prop,
)

from penstock.flags import Person

GOLD = prop("tier", "exact", "gold")
SILVER = prop("tier", "exact", "silver")
UNSENT = prop("never_sent", "exact", "x")
UNKNOWN = prop("tier", "no_such_operator", "x")
STATIC = cohort(99)
PERSON = {"tier": "gold"}


def both(*entries: Any) -> dict[str, Any]:
    return {"type": "AND", "values": list(entries)}


def either(*entries: Any) -> dict[str, Any]:
    return {"type": "OR", "values": list(entries)}


GROUPS = [
    ({}, True),
    (both(), True),
    (either(), False),
    (both(GOLD), True),
    (both(GOLD, SILVER), False),
    (either(SILVER, GOLD), True),
    (either(SILVER), False),
    (both(GOLD, UNSENT), MISSING),
    (both(SILVER, UNSENT), False),
    (both(UNSENT, SILVER), False),
    (either(UNSENT, GOLD), True),
    (either(UNSENT, SILVER), MISSING),
    (either(UNSENT, UNKNOWN), UNSUPPORTED),
    (both(GOLD, {**SILVER, "negation": True}), True),
    (both({**GOLD, "negation": True}), False),
    (both({**UNSENT, "negation": True}), MISSING),
    (both({**GOLD, "negation": False}), True),
    (both(either(SILVER, GOLD), both(GOLD)), True),
    (both({}, GOLD), True),
    (both({"type": "AND", "values": [SILVER], "negation": True}), False),
    (both({"type": "property", "values": [GOLD]}), True),
    (both({"type": "property", "values": [GOLD, SILVER]}), False),
    (both({"type": "property", "values": []}), True),
    (either(STATIC, GOLD), UNSUPPORTED),
    (either(GOLD, STATIC), UNSUPPORTED),
    (both(SILVER, STATIC), UNSUPPORTED),
    (both(GOLD, "not a filter"), UNSUPPORTED),
    (both(GOLD, {"type": "XOR", "values": []}), UNSUPPORTED),
    (both(GOLD, {"type": "AND"}), UNSUPPORTED),
    ([], UNSUPPORTED),
    ("nonsense", UNSUPPORTED),
    ({"type": "AND", "values": {}}, UNSUPPORTED),
    ({"type": "property", "values": [GOLD]}, UNSUPPORTED),
    ({"values": [GOLD]}, UNSUPPORTED),
]


@pytest.mark.parametrize(("group", "expected"), GROUPS)
def test_a_group_is_decided_by_its_entries(group: Any, expected: bool | str) -> None:
    """And a cohort that is not in is the opposite, doubt aside."""
    opposite = expected if isinstance(expected, str) else not expected
    for name in (1, "1"):
        for operator in (None, "exact", "in"):
            assert matches(cohort(name, operator), PERSON, cohorts={1: group}) == expected
        assert matches(cohort(name, "not_in"), PERSON, cohorts={1: group}) == opposite


def test_a_cohort_may_name_others() -> None:
    """However deep, and in the negative too."""
    cohorts = {
        1: both(cohort(2), cohort(3, negation=True)),
        2: either(cohort(4), SILVER),
        3: both(GOLD, prop("seats", "gt", 10)),
        4: both(GOLD),
    }
    assert matches(cohort(1), {"tier": "gold", "seats": 5}, cohorts=cohorts) is True
    assert matches(cohort(1), {"tier": "gold", "seats": 11}, cohorts=cohorts) is False
    assert matches(cohort(1), {"tier": "gold"}, cohorts=cohorts) == MISSING


def test_a_bad_cohort_operator_beats_a_member_that_was_not_passed() -> None:
    """But an unknown cohort is the server's, whatever the operator."""
    assert matches(cohort(1, "between"), {}, cohorts={1: both(UNSENT)}) == UNSUPPORTED
    flags = compiled(
        flag("static", condition(cohort(99, "between")), condition()),
        flag("operator", condition(cohort(1, "between")), condition()),
        cohorts={1: both(GOLD)},
    )
    assert answer(flags, "static") == UNSUPPORTED
    assert answer(flags, "operator") is True


def test_only_the_first_doubt_of_a_condition_may_call_for_the_server() -> None:
    """After another doubt, a static cohort does not stop later conditions."""
    flags = compiled(
        flag("first", condition(STATIC, UNSENT), condition()),
        flag("second", condition(UNSENT, STATIC), condition()),
        flag("ruled-out", condition(STATIC, SILVER), condition()),
    )
    person = Person("u-1", None, PERSON)
    assert answer(flags, "first", person) == UNSUPPORTED
    assert answer(flags, "second", person) is True
    assert answer(flags, "ruled-out", person) is True


@pytest.mark.parametrize(
    "cohorts",
    [
        {1: both(cohort(1))},
        {1: both(cohort(2)), 2: either(GOLD, cohort(1))},
        {1: both(GOLD, either(both(cohort(3)))), 2: both(cohort(1)), 3: both(cohort(2, "not_in"))},
    ],
)
def test_cohorts_in_a_circle_are_found_when_they_are_loaded(cohorts: Any) -> None:
    """Undecided, without running into the recursion limit."""
    flags = compiled(flag("f", condition(cohort(1))), cohorts=cohorts)
    assert flags.unsupported == {"f": UNSUPPORTED}
    found = matches(cohort(1), {"never": 1}, cohorts=cohorts)
    assert found in {UNSUPPORTED, MISSING}
    assert matches(cohort(1), {"tier": "silver"}, cohorts=cohorts) in {UNSUPPORTED, False}


def test_what_is_beside_a_circle_still_decides() -> None:
    """Only the entries that lead back are undecided, wherever one comes in."""
    cohorts = {1: both(cohort(2)), 2: either(GOLD, cohort(1))}
    assert matches(cohort(1), PERSON, cohorts=cohorts) == UNSUPPORTED
    assert matches(cohort(2), PERSON, cohorts=cohorts) is True
    assert matches(cohort(2), {"tier": "silver"}, cohorts=cohorts) == UNSUPPORTED


def test_a_cohort_that_names_a_flag_that_names_it_is_a_circle() -> None:
    """Flags and cohorts are one graph."""
    flags = compiled(
        flag("f", condition(cohort(1))),
        cohorts={1: both(needs("f"))},
    )
    assert answer(flags, "f") == UNSUPPORTED


def test_a_diamond_of_cohorts_is_evaluated_in_good_time() -> None:
    """Forty levels that each name the next twice are forty cohorts, not 2**40."""
    cohorts = {n: either(cohort(n + 1), cohort(n + 1)) for n in range(40)} | {40: both(SILVER)}
    assert matches(cohort(0), PERSON, cohorts=cohorts) is False


def test_a_very_deep_cohort_spoils_only_its_flag() -> None:
    """Python's stack ends before it does."""
    deep: dict[str, Any] = both(GOLD)
    for _ in range(600):
        deep = both(deep)
    flags = compiled(flag("deep", condition(cohort(1))), flag("f", condition()), cohorts={1: deep})
    assert answer(flags, "f") is True
    assert answer(flags, "deep", Person("u-1", None, PERSON)) in {UNSUPPORTED, MISSING, True}


def test_a_pass_remembers_a_cohort_per_set_of_properties() -> None:
    """A person's answer is not a company's."""
    flags = compiled(
        flag("person", condition(cohort(1))),
        flag("company", condition(cohort(1)), aggregation_group_type_index=0),
        flag("again", condition(cohort(1, "not_in"))),
        cohorts={1: both(GOLD)},
    )
    person = Person("u-1", None, PERSON, {"company": "c"}, {"company": {"tier": "silver"}})
    found = flags.evaluate_all(person)
    assert [d.value for d in found.values()] == [True, False, False]
