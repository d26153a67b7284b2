"""`penstock flags eval`, and what it is made of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from flag_kit import HALVES, MISSING, cohort, compiled, condition, flag, needs, prop
from hypothesis import given
from test_flag_laws import bodies, people

from cli_host import CliHost
from penstock.cli import main
from penstock.flags import Person, compile_flags, parse_definitions
from penstock.flags._buckets import place
from penstock.flags.explanation import explain

if TYPE_CHECKING:
    from pathlib import Path

GOLD = prop("tier", "exact", ["gold"])
PERSON = Person("u-1", None, {"tier": "silver"}, {"company": "acme"}, {"company": {"seats": 5}})


@given(bodies, people)
def test_an_explanation_agrees_with_the_decision(body: Any, person: Person) -> None:
    """For any definition and person; and the way it tells ends where the decision does."""
    flags = compile_flags(parse_definitions(body))
    for key in flags.definitions.flags:
        decision = flags.evaluate(key, person)
        told = explain(flags, key, person)
        assert (told.value, told.reason) == (decision.value, decision.reason)
        matched = [step.number for step in told.conditions if step.outcome == "matched"]
        if decision.reason == "condition_match":
            assert decision.condition_index is not None
            assert matched == [decision.condition_index + 1]
        else:
            assert matched == [] or decision.inconclusive


def test_each_condition_says_what_it_met() -> None:
    """Filters with the value they found, and where the person is in the rollout."""
    flags = compiled(
        flag("base", condition()),
        flag(
            "f",
            condition(GOLD),
            condition(prop("plan", "is_set"), cohort(55, "not_in")),
            condition(prop("seats", "gt", 4), percent=0, aggregation_group_type_index=0),
            condition(aggregation_group_type_index=1),
            condition(needs("base"), percent=100),
            condition(),
            multivariate={"variants": HALVES},
        ),
        cohorts={55: {"type": "AND", "values": [GOLD]}},
    )
    told = explain(flags, "f", PERSON)
    assert told.about == "person u-1"
    assert [(step.about, step.outcome) for step in told.conditions] == [
        ("person u-1", "no match"),
        ("person u-1", MISSING),
        ("company acme", "out of rollout"),
        ("project, which was not passed", "no match"),
        ("person u-1", "matched"),
    ]
    first, second, third, _, last = told.conditions
    assert [(f.filter, f.outcome, f.found) for f in first.filters] == [
        ('tier exact ["gold"]', "no", "silver")
    ]
    assert [(f.filter, f.outcome) for f in second.filters] == [
        ("plan is_set", MISSING),
        ("not in cohort 55", "yes"),
    ]
    assert third.place == round(place("f.", "acme") * 100, 4)
    assert [(f.filter, f.outcome, f.found) for f in last.filters] == [
        ("flag base flag_evaluates_to true", "yes", True)
    ]
    assert told.variant_place == round(place("f.", "u-1", "variant") * 100, 4)


def test_a_holdout_ends_the_way() -> None:
    """The conditions were not looked at, so none are told."""
    flags = compiled(flag("f", condition(), holdout={"id": 3, "exclusion_percentage": 100}))
    told = explain(flags, "f", PERSON)
    assert told.value == "holdout-3"
    assert told.conditions == []
    assert told.holdout == {
        "id": 3,
        "percentage": 100,
        "place": round(place("holdout-", "u-1") * 100, 4),
        "held": True,
    }


YAML = """
flags:
  - key: checkout
    filters:
      groups:
        - properties: [{key: plan, operator: exact, value: pro}]
          rollout_percentage: 0
        - properties: [{key: joined, operator: is_date_after, value: 7d}]
      holdout: {id: 7, exclusion_percentage: 5}
      payloads:
        "true": {cols: 3}
  - key: company
    filters:
      aggregation_group_type_index: 0
      groups: [{properties: [{key: seats, operator: gte, value: 10}]}]
group_type_mapping: {0: company}
"""


def run(tmp_path: Path, *arguments: str) -> Any:
    file = tmp_path / "flags.yaml"
    file.write_text(YAML)
    return CliRunner().invoke(main, ["flags", "eval", *arguments, "--flags", str(file)])


SHOWN = """\
checkout: true (condition_match)
  payload {"cols": 3}
  about person u1
  holdout 7: not held out, at 51.1029 % of 5 %
  condition 1, person u1: out of rollout
    yes: plan exact "pro" (it is "pro")
    rollout: at 42.1952 % of 0 %
  condition 2, person u1: matched
    yes: joined is_date_after "7d" (it is "2026-01-20")
"""


def test_the_command_explains_for_people(tmp_path: Path) -> None:
    """Line by line on a terminal."""
    file = tmp_path / "flags.yaml"
    file.write_text(YAML)
    found = CliHost(tmp_path).on_terminal(
        *("flags", "eval", "checkout", "--flags", file, "--user", "u1", "--now", "2026-01-21"),
        *("--property", "plan=pro", "--property", "joined=2026-01-20"),
    )
    assert found.out.replace("\r\n", "\n") == SHOWN


def test_the_command_explains_for_programs(tmp_path: Path) -> None:
    """JSON, when it is piped."""
    person = ["--user", "u1", "--property", "plan=pro", "--property", "joined=2026-01-20"]
    found = json.loads(run(tmp_path, "checkout", *person, "--now", "2026-01-21T00:00:00Z").output)
    assert (found["value"], found["reason"]) == (True, "condition_match")
    assert found["payload"] == {"cols": 3}
    assert [step["outcome"] for step in found["conditions"]] == ["out of rollout", "matched"]
    late = json.loads(run(tmp_path, "checkout", *person, "--now", "2026-03-01").output)
    assert (late["value"], late["reason"]) == (False, "out_of_rollout_bound")


def test_the_command_takes_groups(tmp_path: Path) -> None:
    """And their properties; JSON values as what they are."""
    group = ["--group", "company=42", "--group-property", "company.seats=12"]
    found = json.loads(run(tmp_path, "company", "--user", "u1", *group).output)
    assert (found["value"], found["about"]) == (True, "company 42")
    assert found["conditions"][0]["filters"][0]["found"] == 12
    nobody = json.loads(run(tmp_path, "company", "--user", "u1").output)
    assert nobody["reason"] == "no_group_type"
    ghost = json.loads(run(tmp_path, "ghost", "--user", "u1").output)
    assert (ghost["value"], ghost["reason"]) == (None, "flag_missing")


@pytest.mark.parametrize(
    "wrong", [["--property", "plan"], ["--group", "=x"], ["--now", "tomorrow"], ["--nonsense"]]
)
def test_a_wrong_command_line_is_told_in_one_line(tmp_path: Path, wrong: list[str]) -> None:
    """With the exit code of its kind."""
    found = run(tmp_path, "checkout", "--user", "u1", *wrong)
    assert found.exit_code == 2
