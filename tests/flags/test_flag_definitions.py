"""Reading definitions: what is strange spoils itself, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flag_kit import UNSUPPORTED, answer, compiled, condition, flag, prop, split

from penstock.errors import ValidationError
from penstock.flags import Person, compile_flags, parse_definitions
from penstock.flags.definitions import Malformed

GOOD = flag("good", condition())


@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b"[]", b"{}", b'{"flags": {}}', b"[" * 5000, {}]
)
def test_a_body_without_flags_is_no_definitions(body: Any) -> None:
    """The last good ones stay."""
    with pytest.raises(ValidationError, match="flags"):
        parse_definitions(body)


MALFORMED = [
    flag("bad", condition(percent="50"), condition()),
    flag("bad", condition(percent=[50])),
    flag("bad", "condition"),
    flag("bad", condition(), multivariate={"variants": [{"key": "a"}]}),
    flag("bad", condition(), multivariate={"variants": [{"key": 5, "rollout_percentage": 50}]}),
    flag("bad", condition(), multivariate=[]),
    flag("bad", condition(), aggregation_group_type_index="0"),
    flag("bad", condition(), holdout={"id": 1, "exclusion_percentage": "100"}),
    flag("bad", {"properties": {"key": "tier"}}),
    flag("bad", condition(), top={"filters": []}),
    flag("bad", condition(), top={"filters": "all"}),
    flag("bad", condition(), top={"id": "forty"}),
]


@pytest.mark.parametrize("bad", MALFORMED)
def test_a_malformed_flag_spoils_itself_alone(bad: Any) -> None:
    """It is undecided, its neighbours are not, and it says where it is broken."""
    flags = compiled(bad, GOOD)
    assert answer(flags, "bad") == UNSUPPORTED
    assert answer(flags, "good") is True
    broken = flags.definitions.flags["bad"]
    assert isinstance(broken, Malformed)
    assert broken.why
    off = compiled({**bad, "active": False}, GOOD)
    assert answer(off, "bad") is False


@pytest.mark.parametrize(
    "bad", [None, 5, "flag", [], {}, {"key": None}, {"key": 5, "active": True}]
)
def test_a_flag_without_a_key_is_nothing(bad: Any) -> None:
    """Nobody can ask for it."""
    flags = compiled(bad, GOOD)
    assert list(flags.definitions.flags) == ["good"]
    assert flags.definitions.source == (bad, GOOD)


@pytest.mark.parametrize("name", ["cohorts", "group_type_mapping"])
@pytest.mark.parametrize("value", [None, [], "x", {"1": 5}])
def test_strange_surroundings_spoil_nothing(name: str, value: Any) -> None:
    """One cohort of a wrong type must not lose every flag."""
    flags = compile_flags(parse_definitions({"flags": [GOOD], name: value}))
    assert answer(flags, "good") is True


@pytest.mark.parametrize(
    "filters",
    [
        None,
        {"groups": None, "multivariate": None, "payloads": None, "holdout": None},
        {"groups": []},
        {},
    ],
)
def test_null_is_absent(filters: Any) -> None:
    """A flag without conditions is off."""
    flags = compiled({"key": "f", "active": True, "filters": filters})
    assert answer(flags, "f") is False


def test_what_was_left_out_means_everybody() -> None:
    """No filters, no rollout: all of them."""
    flags = compiled(
        flag("empty", {}), flag("null", {"properties": None, "rollout_percentage": None})
    )
    assert answer(flags, "empty") is True
    assert answer(flags, "null") is True
    assert answer(compiled({"key": "f"}), "f") is False


def test_definitions_are_read_from_the_providers_json() -> None:
    """Bytes, text, or what somebody decoded."""
    body = {
        "flags": [GOOD],
        "group_type_mapping": {"0": "company"},
        "cohorts": {"1": {}},
        "property_matching_version": 2,
        "minimal_flag_called_events": True,
    }
    for form in (json.dumps(body).encode(), json.dumps(body), body):
        found = parse_definitions(form)
        assert list(found.flags) == ["good"]
        assert found.group_type_mapping == {"0": "company"}
        assert (found.property_matching_version, found.minimal_flag_called_events) == (2, True)
    loose = parse_definitions({"flags": [], "minimal_flag_called_events": "true"})
    assert (loose.property_matching_version, loose.minimal_flag_called_events) == (1, False)


def test_of_two_flags_with_one_key_the_last_counts() -> None:
    """As in a JSON object."""
    assert answer(compiled(flag("f"), flag("f", condition())), "f") is True


def test_a_thousand_flags_are_evaluated_by_their_keys() -> None:
    """Those asked for, in the order of the definitions, unknown keys left out."""
    variants = split(("a", 50), ("b", 50))
    flags = compiled(
        *(
            flag(f"f{n}", condition(prop("p", "exact", n)), multivariate=variants)
            for n in range(1000)
        )
    )
    found = flags.evaluate_all(Person("u", None, {"p": 7}), ["f9", "ghost", "f7"])
    assert list(found) == ["f7", "f9"]
    assert [d.enabled for d in found.values()] == [True, False]
    assert flags.evaluate_all(Person("u"), []) == {}
