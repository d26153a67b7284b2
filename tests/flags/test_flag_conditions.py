"""From conditions to a value: hash, rollout, variants, payloads, early exit, what is undecided."""

from __future__ import annotations

from typing import Any

import pytest
from flag_kit import (
    HALVES,
    MISSING,
    STICKY,
    UNSUPPORTED,
    answer,
    compiled,
    condition,
    flag,
    prop,
    said,
    split,
)

from penstock.flags import Person
from penstock.flags._buckets import beyond, digest, place, place_of, reaching, steps

GOLD = prop("tier", "exact", "gold")
UNKNOWN = prop("tier", "no_such_operator", "gold")
UNSENT = prop("never_sent", "exact", "x")
PERSON = Person("u-1", None, {"tier": "gold"})


def test_the_place_of_a_person_is_the_specified_one() -> None:
    """The same to the last bit as with every other SDK, or people change sides."""
    assert place("alpha.", "u-1") == 0.2309385649460191
    assert place("alpha.", "u-1", "variant") == 0.09924320907711426
    assert place("holdout-", "u-1") == 0.9919590017863519


@pytest.mark.parametrize(
    "share", [0.0, 1e-18, 0.1, 1 / 3, 0.5, 0.2309385649460191, 0.999, 1.0, -1, 2]
)
def test_a_share_as_digest_cuts_where_the_number_does(share: float) -> None:
    """Right at the border, one step below, one step above."""
    for first, greater in ((beyond(share), True), (reaching(share), False)):
        for near in (first[:8].ljust(8, b"\xff"), bytes(8), b"\xff" * 8):
            for step in (-16, 0, 16):
                number = min(max(int.from_bytes(near, "big") + step, 0), 2**64 - 1)
                found = number.to_bytes(8, "big") + bytes(12)
                number_says = place_of(found) > share if greater else place_of(found) >= share
                assert (found >= first) is number_says


def test_steps_cover_the_population_in_order() -> None:
    """What an earlier share has, a later one never takes; nobody's land is nobody's."""
    borders, names = steps([("a", 0.8), ("b", 0.8), ("c", 0.8)])
    assert [name for name in names if name] == ["a", "b"]
    assert len(names) == len(borders) + 1
    _, short = steps([("a", 0.2), ("b", 0.3)])
    assert short[-1] is None
    _, nothing = steps([])
    assert list(nothing) == [None]


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        (24, True),
        (23, False),
        (None, True),
        (100, True),
        (0, False),
        (-5, False),
        (250, True),
    ],
)
def test_rollout_excludes_who_is_beyond_it(percent: float | None, expected: bool) -> None:
    """u-1 is at 0.2309 of this flag; no percentage is everybody."""
    flags = compiled(flag("alpha", condition(percent=percent)))
    assert answer(flags, "alpha") is expected


def test_an_integer_id_is_its_digits() -> None:
    """42 and "42" are one person."""
    flags = compiled(flag("f", condition(percent=50), multivariate={"variants": HALVES}))
    for number in (0, 42, 10**20):
        assert answer(flags, "f", Person(number)) == answer(flags, "f", Person(str(number)))


def test_variants_share_the_population_in_order() -> None:
    """u-1 is at 0.0992 of the variants of this flag."""
    for variants, expected in (
        (split(("a", 9.9), ("b", 90.1)), "b"),
        (split(("a", 10), ("b", 90)), "a"),
        (split(("a", 0), ("b", 0)), True),
        (split(("a", 5)), True),
        (split(("", 50)), True),
        ({"variants": []}, True),
        ({"variants": None}, True),
        (None, True),
    ):
        assert (
            answer(compiled(flag("alpha", condition(), multivariate=variants)), "alpha") == expected
        )


@pytest.mark.parametrize(
    ("forced", "expected"), [("b", "b"), ("zz", "a"), ("", "a"), (None, "a"), (5, "a")]
)
def test_a_condition_may_force_a_variant_that_exists(forced: Any, expected: str) -> None:
    """Anything else is ignored."""
    variants = split(("a", 50), ("b", 50))
    flags = compiled(flag("alpha", condition(variant=forced), multivariate=variants))
    assert answer(flags, "alpha") == expected


def test_a_later_match_beats_an_earlier_doubt() -> None:
    """Doubt matters only when nobody is sure."""
    flags = compiled(
        flag("sure", condition(UNSENT), condition(GOLD)),
        flag("unsure", condition(UNSENT), condition(GOLD, percent=0)),
        flag("no", condition(GOLD, percent=0)),
        flag("none"),
    )
    assert [answer(flags, key, PERSON) for key in ("sure", "unsure", "no", "none")] == [
        True,
        MISSING,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ((GOLD, UNSENT), MISSING),
        ((UNSENT, UNKNOWN), UNSUPPORTED),
        ((UNKNOWN, UNSENT), UNSUPPORTED),
        ((UNKNOWN, prop("tier", "exact", "silver")), False),
        ((prop("tier", "exact", "silver"), UNSENT), False),
    ],
)
def test_a_plain_no_beats_doubt_and_the_strongest_doubt_is_told(
    filters: Any, expected: Any
) -> None:
    """Within one condition, in whatever order."""
    assert answer(compiled(flag("f", condition(*filters))), "f", PERSON) == expected


def test_early_exit_ends_the_search_only_after_a_match_that_the_rollout_excludes() -> None:
    """A doubt from before stays a doubt."""
    out, all_ = condition(GOLD, percent=0), condition()
    no_match = condition(prop("tier", "exact", "silver"), percent=0)
    flags = compiled(
        flag("exit", out, all_, early_exit=True),
        flag("go-on", out, all_, early_exit=False),
        flag("no-match", no_match, all_, early_exit=True),
        flag("doubt", condition(UNSENT), out, all_, early_exit=True),
    )
    assert answer(flags, "exit", PERSON) is False
    assert answer(flags, "go-on", PERSON) is True
    assert answer(flags, "no-match", PERSON) is True
    assert answer(flags, "doubt", PERSON) == MISSING


def test_a_decision_says_why() -> None:
    """Reason and condition, in the server's words."""
    flags = compiled(
        flag("match", condition(UNSENT), condition(GOLD)),
        flag("out", condition(UNSENT and GOLD, percent=0)),
        flag("none", condition(prop("tier", "exact", "silver"))),
        flag("off", top={"active": False}),
        flag("sticky", condition(), top={"ensure_experience_continuity": True}),
    )
    told = {key: (d.reason, d.condition_index) for key, d in flags.evaluate_all(PERSON).items()}
    assert told == {
        "match": ("condition_match", 1),
        "out": ("out_of_rollout_bound", 0),
        "none": ("no_condition_match", None),
        "off": ("flag_disabled", None),
        "sticky": (STICKY, None),
    }
    assert flags.evaluate("nobody-defined-it", PERSON).reason == "flag_missing"
    assert flags.unsupported == {"sticky": STICKY}


def test_an_inactive_flag_is_off_before_anything_else() -> None:
    """Even one that could not be evaluated."""
    top = {"active": False, "ensure_experience_continuity": True}
    flags = compiled(flag("f", condition(percent="50"), top=top))
    assert answer(flags, "f") is False
    assert answer(flags, "f", Person("")) is False


@pytest.mark.parametrize("who", ["", None])
def test_nobody_is_the_servers(who: Any) -> None:
    """The server has a rule of its own for an empty id."""
    flags = compiled(flag("f", condition()))
    assert answer(flags, "f", Person(who)) == MISSING


PAYLOADS = {
    "a": '{"cols": [1, null]}',
    "b": "not json",
    "true": '"on"',
    "false": "null",
    "holdout-3": "NaN",
}


def test_payloads_belong_to_values() -> None:
    """Decoded, and every caller gets an object of their own."""
    variants = split(("a", 50), ("b", 50))
    flags = compiled(
        flag("a", condition(variant="a"), multivariate=variants, payloads=PAYLOADS),
        flag("b", condition(variant="b"), multivariate=variants, payloads=PAYLOADS),
        flag("on", condition(), payloads=PAYLOADS),
        flag("off", payloads=PAYLOADS),
        flag("raw", condition(), payloads={"true": {"x": [1]}}),
        flag("none", condition(), payloads=None),
        flag("held", holdout={"id": 3, "exclusion_percentage": 100}, payloads=PAYLOADS),
    )
    found = flags.evaluate_all(PERSON)
    assert {key: decision.payload for key, decision in found.items()} == {
        "a": {"cols": [1, None]},
        "b": None,
        "on": "on",
        "off": None,
        "raw": {"x": [1]},
        "none": None,
        "held": None,
    }
    assert found["a"].payload_text == PAYLOADS["a"]
    assert found["b"].payload_text is None
    assert found["off"].payload_text == "null"
    for key in ("a", "raw"):
        found[key].payload.clear()
        assert flags.evaluate(key, PERSON).payload


def test_a_decision_carries_what_events_need() -> None:
    """Id, version, and whether there is an experiment."""
    top = {"id": 41, "version": 7, "has_experiment": True}
    decision = compiled(flag("f", condition(), top=top)).evaluate("f", PERSON)
    assert (decision.flag_id, decision.version, decision.has_experiment) == (41, 7, True)
    assert (decision.enabled, decision.variant, said(decision)) == (True, None, True)


def test_the_holdout_is_the_same_for_every_flag() -> None:
    """Its hash does not know the flag, and it comes before the conditions."""
    keep = {"id": 12, "exclusion_percentage": 30}
    flags = compiled(*(flag(key, condition(), holdout=keep) for key in "abc"))
    for number in range(60):
        person = Person(f"u-{number}")
        held = place("holdout-", person.distinct_id) <= 0.3
        values = {answer(flags, key, person) for key in "abc"}
        assert values == ({"holdout-12"} if held else {True})


@pytest.mark.parametrize(
    ("holdout", "held"),
    [
        ({"id": 1, "exclusion_percentage": 100}, True),
        ({"id": 1, "exclusion_percentage": 250}, True),
        ({"id": 1, "exclusion_percentage": 0}, False),
        ({"id": 1, "exclusion_percentage": -5}, False),
        ({"id": None, "exclusion_percentage": 100}, False),
        ({"id": 1, "exclusion_percentage": None}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_holdout_needs_an_id_and_a_share(holdout: Any, held: bool) -> None:
    """What is missing one of them holds nobody back."""
    flags = compiled(flag("f", condition(), holdout=holdout))
    assert answer(flags, "f", Person("someone")) == ("holdout-1" if held else True)


def test_digests_of_the_same_person_do_not_depend_on_the_flags_around() -> None:
    """The hash reads key and id, and nothing else."""
    assert digest("alpha.u-1") == digest("alpha." + "u-1")
