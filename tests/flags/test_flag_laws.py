"""What holds for every definition and every person."""

from __future__ import annotations

from collections import Counter
from typing import Any

from flag_kit import compiled, condition, flag, split
from hypothesis import given
from hypothesis import strategies as st

import strategies
from penstock.flags import Person, compile_flags, parse_definitions

_NAMES = """
    exact is_not is_set is_not_set icontains not_icontains starts_with not_starts_with ends_with
    not_ends_with regex not_regex gt gte lt lte is_date_before is_date_after semver_eq semver_gt
    semver_tilde semver_caret semver_wildcard in not_in flag_evaluates_to nonsense
"""
OPERATORS = _NAMES.split()
names = st.sampled_from(["a", "b", "c", "1", "2", "distinct_id", "$group_key"])
indexes = st.sampled_from([None, 0, 1, 9, "0", 0.0])
filters = st.fixed_dictionaries(
    {},
    optional={
        "key": names | strategies.json_scalars,
        "type": st.sampled_from(["person", "group", "cohort", "flag", None, "AND", "other"]),
        "operator": st.sampled_from([None, *OPERATORS]) | strategies.json_scalars,
        "value": names | strategies.json_values,
        "negation": st.booleans() | strategies.json_scalars,
        "dependency_chain": st.lists(names, max_size=3) | strategies.json_scalars,
    },
)
entries = st.recursive(
    filters | strategies.json_values,
    lambda inner: st.fixed_dictionaries(
        {
            "type": st.sampled_from(["AND", "OR", "property", 5]),
            "values": st.lists(inner, max_size=3),
        }
    ),
    max_leaves=5,
)
percentages = st.floats(-10, 200) | st.none() | strategies.json_scalars
conditions = st.fixed_dictionaries(
    {},
    optional={
        "properties": st.lists(filters, max_size=3) | strategies.json_values,
        "rollout_percentage": percentages,
        "variant": names | strategies.json_scalars,
        "aggregation_group_type_index": indexes,
    },
)
variants = st.fixed_dictionaries({"key": names, "rollout_percentage": percentages})
definitions = st.fixed_dictionaries(
    {},
    optional={
        "groups": st.lists(conditions, max_size=3) | strategies.json_values,
        "multivariate": st.fixed_dictionaries({"variants": st.lists(variants, max_size=3)})
        | strategies.json_values,
        "payloads": st.dictionaries(names, strategies.json_values) | strategies.json_values,
        "aggregation_group_type_index": indexes,
        "early_exit": st.booleans(),
        "holdout": st.fixed_dictionaries({"id": names, "exclusion_percentage": percentages}),
        "feature_enrollment": st.booleans(),
        "version": st.sampled_from([None, 1, 2]),
    },
)
flags_of_a_file = st.fixed_dictionaries(
    {"key": names, "active": st.sampled_from([True, True, False, 1, None])},
    optional={
        "id": strategies.json_scalars,
        "filters": definitions | strategies.json_values,
        "ensure_experience_continuity": st.booleans() | strategies.json_scalars,
        "bucketing_identifier": st.sampled_from([None, "device_id", "distinct_id", 5]),
        "evaluation_runtime": strategies.json_scalars,
    },
)
bodies = st.fixed_dictionaries(
    {"flags": st.lists(flags_of_a_file | strategies.json_values, max_size=5)},
    optional={
        "cohorts": st.dictionaries(names, entries, max_size=3) | strategies.json_values,
        "group_type_mapping": st.just({"0": "company", "1": "project"}) | strategies.json_values,
        "property_matching_version": strategies.json_scalars,
    },
)
properties = st.dictionaries(names | strategies.any_texts, strategies.json_values, max_size=4)
people = st.builds(
    Person,
    strategies.any_texts | st.integers(),
    st.none() | strategies.any_texts,
    properties,
    st.dictionaries(st.sampled_from(["company", "project", "x"]), st.text() | st.integers()),
    st.dictionaries(st.sampled_from(["company", "project", "x"]), properties | st.none()),
)
ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(bodies, people)
def test_any_definition_and_any_person_give_a_decision(body: Any, person: Person) -> None:
    """Nothing raises, and a flag says the same alone and among the others."""
    flags = compile_flags(parse_definitions(body))
    together = flags.evaluate_all(person)
    assert set(together) == set(flags.definitions.flags)
    for key, decision in together.items():
        assert flags.evaluate(key, person) == decision
        assert decision.inconclusive == (decision.value is None)
        _ = decision.payload, decision.payload_text


@given(st.data())
def test_any_object_as_a_property_gives_a_decision(data: st.DataObject) -> None:
    """Whatever a program hands us: the flag is undecided at worst."""
    operator = data.draw(st.sampled_from(OPERATORS))
    value = data.draw(strategies.json_values)
    found = data.draw(strategies.anything)
    filter_ = {"key": "p", "type": "person", "operator": operator, "value": value}
    flags = compiled(flag("f", condition(filter_)))
    assert flags.evaluate("f", Person("u", None, {"p": found})).key == "f"


@given(ids, st.lists(st.floats(0, 100), min_size=2, max_size=5))
def test_a_greater_rollout_never_loses_anybody(who: str, percentages: list[float]) -> None:
    """Who is in at n % is in at every higher percentage."""
    found = [
        compiled(flag("f", condition(percent=percent))).evaluate("f", Person(who)).value
        for percent in sorted(percentages)
    ]
    assert found == sorted(found)  # type: ignore[type-var]


@given(ids, st.lists(st.integers(0, 100), min_size=1, max_size=5))
def test_variants_partition_the_population(who: str, weights: list[int]) -> None:
    """Everybody has exactly one; who has none is beyond the sum of the shares."""
    total = sum(weights) or 1
    shares = [(f"v{number}", 100 * weight / total) for number, weight in enumerate(weights)]
    value = compiled(flag("f", condition(), multivariate=split(*shares))).evaluate("f", Person(who))
    present = {key for key, share in shares if share > 0}
    assert value.variant in present or (not present and value.value is True)


@given(ids, st.floats(0, 100), st.floats(0, 100))
def test_flags_that_share_a_holdout_hold_the_same_people_back(
    who: str, percent: float, share: float
) -> None:
    """Whatever else they do with the others."""
    keep = {"id": 1, "exclusion_percentage": share}
    flags = compiled(*(flag(key, condition(percent=percent), holdout=keep) for key in "abc"))
    held = {d.value == "holdout-1" for d in flags.evaluate_all(Person(who)).values()}
    assert len(held) == 1


def test_variants_have_the_shares_they_were_given() -> None:
    """Within what 20,000 people can tell: four standard deviations."""
    people = 20_000
    flags = compiled(flag("f", condition(), multivariate=split(("a", 50), ("b", 30), ("c", 20))))
    found = Counter(flags.evaluate("f", Person(f"p{n}")).value for n in range(people))
    for key, share in (("a", 0.5), ("b", 0.3), ("c", 0.2)):
        assert abs(found[key] / people - share) < 4 * (share * (1 - share) / people) ** 0.5


def test_rollout_and_variant_are_independent() -> None:
    """The half that is in has both variants in their shares."""
    people = 20_000
    variants = split(("a", 50), ("b", 50))
    flags = compiled(flag("f", condition(percent=50), multivariate=variants))
    found = Counter(flags.evaluate("f", Person(f"p{n}")).value for n in range(people))
    assert abs(found[False] / people - 0.5) < 0.015
    assert abs(found["a"] / (people - found[False]) - 0.5) < 0.02
