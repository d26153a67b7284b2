"""Flags that depend on flags."""

from __future__ import annotations

from typing import Any

import pytest
from flag_kit import (
    HALVES,
    MISSING,
    UNRESOLVED,
    UNSUPPORTED,
    answer,
    cohort,
    compiled,
    condition,
    flag,
    needs,
    prop,
    split,
)

from penstock.flags import Person

ON = flag("on", condition())
OFF = flag("off")
VARIED = flag(
    "varied", condition(variant="test"), multivariate=split(("control", 50), ("test", 50))
)
HELD = flag("held", condition(), holdout={"id": 3, "exclusion_percentage": 100})
INACTIVE = flag("inactive", condition(), top={"active": False})
OPEN = flag("open", condition(prop("never_sent", "exact", "x")))
STICKY = flag("sticky", condition(), top={"ensure_experience_continuity": True})
STATIC = flag("static", condition(cohort(99)))
ALL = (ON, OFF, VARIED, HELD, INACTIVE, OPEN, STICKY, STATIC)

VALUES = [
    (needs("on", value=True), True),
    (needs("on", value=False), False),
    (needs("on", "true"), False),
    (needs("on", 1), False),
    (needs("off", value=False), True),
    (needs("off", value=True), False),
    (needs("off", 0), False),
    (needs("varied", value=True), True),
    (needs("varied", value=False), False),
    (needs("varied", "test"), True),
    (needs("varied", "Test"), False),
    (needs("varied", "control"), False),
    (needs("held", "holdout-3"), True),
    (needs("held", value=True), True),
    (needs("inactive", value=False), True),
    (needs("open"), UNRESOLVED),
    (needs("sticky"), UNRESOLVED),
    (needs("static"), UNRESOLVED),
    (needs("ghost"), UNSUPPORTED),
    (needs("on", value=True, chain=["ghost", "on"]), UNSUPPORTED),
    (needs("on", value=True, chain=["off", "on"]), True),
    (needs("on", value=True, chain=["open", "on"]), UNRESOLVED),
    (needs("on", value=True, chain=["off"]), UNSUPPORTED),
    (needs("on", value=True, chain=[]), UNSUPPORTED),
    (needs("on", value=True, chain="on"), UNSUPPORTED),
    (needs("on", value=True, chain=[5]), UNSUPPORTED),
    (needs("on", None), False),
    (needs("", value=True), False),
    ({**needs("on"), "operator": "exact"}, False),
    ({**needs("on"), "operator": None}, False),
]


@pytest.mark.parametrize(("filter_", "expected"), VALUES)
def test_a_dependency_compares_the_other_flags_value(filter_: Any, expected: bool | str) -> None:
    """Any variant is as good as true; what means nothing matches nobody."""
    assert answer(compiled(*ALL, flag("f", condition(filter_))), "f") == expected


def test_a_chain_that_was_left_out_is_the_servers() -> None:
    """Without it nobody knows the order."""
    filter_ = needs("on")
    del filter_["dependency_chain"]
    flags = compiled(ON, flag("f", condition(filter_)))
    assert answer(flags, "f") == UNSUPPORTED
    assert flags.unsupported == {"f": UNSUPPORTED}


def test_what_means_nothing_is_told() -> None:
    """Somebody meant something by it."""
    flags = compiled(ON, flag("f", condition({**needs("on"), "operator": "exact"})))
    assert len(flags.remarks) == 1
    assert "flag f" in flags.remarks[0]


def test_a_flag_that_needs_the_server_stops_those_that_need_it() -> None:
    """A doubt does not: their next condition may still match."""
    flags = compiled(
        *ALL,
        flag("server", condition(needs("static")), condition()),
        flag("doubt", condition(needs("open")), condition()),
        flag("both", condition(needs("open"), needs("static")), condition()),
    )
    assert answer(flags, "server") == UNRESOLVED
    assert answer(flags, "doubt") is True
    assert answer(flags, "both") is True


def test_what_the_server_must_decide_has_the_strongest_reason_of_the_definition() -> None:
    """The search ends there, but what it did not reach may be worse."""
    unknown = condition(prop("tier", "no_such_operator", "x"))
    flags = compiled(
        *ALL,
        flag("later", condition(needs("static")), unknown),
        flag("same", condition(needs("static"), prop("tier", "no_such_operator", "x"))),
    )
    assert answer(flags, "later") == UNSUPPORTED
    assert answer(flags, "same") == UNSUPPORTED


def test_dependencies_of_dependencies() -> None:
    """Each is evaluated by its own conditions."""
    flags = compiled(
        flag("a", condition(prop("tier", "exact", "gold"))),
        flag("b", condition(needs("a", value=True, chain=["a"]))),
        flag("c", condition(needs("b", value=False, chain=["a", "b"]))),
    )
    gold = Person("u-1", None, {"tier": "gold"})
    silver = Person("u-1", None, {"tier": "silver"})
    assert [answer(flags, key, gold) for key in "abc"] == [True, True, False]
    assert [answer(flags, key, silver) for key in "abc"] == [False, False, True]
    assert [answer(flags, key) for key in "abc"] == [MISSING, UNRESOLVED, UNRESOLVED]


def test_a_dependency_is_evaluated_as_itself() -> None:
    """A company's flag by the company, a person's by the person, a device's by the device."""
    by_device = {"bucketing_identifier": "device_id"}
    flags = compiled(
        flag(
            "company",
            condition(),
            aggregation_group_type_index=0,
            multivariate={"variants": HALVES},
        ),
        flag("mixed", condition(prop("size", "gt", 1), aggregation_group_type_index=0)),
        flag("person", condition(prop("tier", "exact", "gold"))),
        flag("device", condition(percent=50), top=by_device),
        *(
            flag(f"on-{key}", condition(needs(key)), aggregation_group_type_index=index)
            for key in ("company", "mixed", "person", "device")
            for index in (None, 0)
            if index is None
        ),
        *(
            flag(f"group-on-{key}", condition(needs(key)), aggregation_group_type_index=0)
            for key in ("company", "mixed", "person", "device")
        ),
    )
    person = Person("u-1", "d-1", {"tier": "gold"}, {"company": "acme"}, {"company": {"size": 5}})
    for key in ("company", "mixed", "person", "device"):
        own = flags.evaluate(key, person).enabled
        assert answer(flags, f"on-{key}", person) is own, key
        assert answer(flags, f"group-on-{key}", person) is own, key
    assert answer(flags, "on-company", Person("u-1")) is False


@pytest.mark.parametrize(
    "circle",
    [
        (flag("a", condition(needs("a"))),),
        (flag("a", condition(needs("b"))), flag("b", condition(needs("a")))),
        (
            flag("a", condition(needs("b"))),
            flag("b", condition(needs("c"))),
            flag("c", condition(needs("a"))),
        ),
    ],
)
def test_flags_in_a_circle_are_found_when_they_are_loaded(circle: Any) -> None:
    """The provider sends an empty chain for them; a file may not."""
    flags = compiled(*circle, flag("f", condition()))
    assert {answer(flags, each["key"]) for each in circle} == {UNSUPPORTED}
    assert answer(flags, "f") is True
    assert set(flags.unsupported) == {each["key"] for each in circle}


def test_a_dependency_inside_a_cohort() -> None:
    """And in the negative."""
    cohorts = {
        1: {"type": "AND", "values": [needs("on")]},
        2: {"type": "AND", "values": [needs("on", negation=True)]},
    }
    flags = compiled(
        ON, flag("in", condition(cohort(1))), flag("out", condition(cohort(2))), cohorts=cohorts
    )
    assert answer(flags, "in") is True
    assert answer(flags, "out") is False


def test_a_chain_that_lacks_its_end_may_find_it_on_the_way() -> None:
    """What was evaluated for another member counts, alone and in a pass alike."""
    flags = compiled(
        ON,
        flag("mid", condition(needs("on"))),
        flag("before", condition(needs("mid", value=True, chain=["on", "mid"]))),
        flag("f", condition(needs("on", value=True, chain=["mid"]))),
    )
    assert answer(flags, "f") is True
