"""
PostHog's own SDKs take flags from the collector, evaluated by it or by themselves.

Each answer must be the one of our evaluator, whoever evaluates. The SDKs live in an environment of
their own, which `make test` makes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from collector_process import ServedCollector
from penstock.flags import Person, compile_flags, parse_definitions
from penstock.flags.files import read_flag_file
from vendor_sdks import require_sdks, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY, SECRET = "phc_official", "phs_official"

FILE = """
flags:
  - key: everybody
    filters: {groups: [{}]}
  - key: half
    filters: {groups: [{rollout_percentage: 50}]}
  - key: "off"
    active: false
  - key: paying
    filters:
      groups:
        - properties: [{key: plan, type: person, operator: exact, value: [pro, team]}]
        - properties:
            - {key: email, type: person, operator: regex, value: "@corp\\\\.example$"}
            - {key: seats, type: person, operator: gte, value: 10}
          rollout_percentage: 70
  - key: layout
    version: 4
    has_experiment: true
    filters:
      groups:
        - {properties: [{key: plan, operator: exact, value: team}], variant: wide}
        - {properties: [], rollout_percentage: 80}
      multivariate:
        variants:
          - {key: control, rollout_percentage: 50}
          - {key: wide, rollout_percentage: 25}
          - {key: narrow, rollout_percentage: 25}
      payloads: {wide: {columns: 3, rows: [1, null]}, control: '"text"'}
  - key: held
    filters:
      groups: [{}]
      holdout: {id: 12, exclusion_percentage: 40}
  - key: in-cohort
    filters: {groups: [{properties: [{key: id, type: cohort, value: 55}]}]}
  - key: company
    filters:
      aggregation_group_type_index: 0
      groups:
        - properties: [{key: seats, type: group, operator: gt, value: 5}]
          rollout_percentage: 60
  - key: device
    bucketing_identifier: device_id
    filters: {groups: [{rollout_percentage: 50}]}
  - key: dependent
    filters:
      groups:
        - properties:
            - key: half
              type: flag
              operator: flag_evaluates_to
              value: true
              dependency_chain: [half]
  - key: limits
    filters: {groups: [{}], payloads: {"true": {seats: 5}}}
group_type_mapping: {0: company}
cohorts:
  55:
    type: OR
    values:
      - {type: AND, values: [{key: plan, type: person, operator: exact, value: pro}]}
      - {type: AND, values: [{key: seats, type: person, operator: lt, value: 3, negation: true}]}
"""

PEOPLE: list[dict[str, Any]] = [
    {
        "distinct_id": f"person-{number}",
        "device_id": f"device-{number}",
        "properties": {
            "plan": ("free", "pro", "team")[number % 3],
            "email": f"p{number}@{('corp', 'home')[number % 2]}.example",
            "seats": number,
        },
        "groups": {"company": f"company-{number % 7}"} if number % 4 else {},
        "group_properties": {"company": {"seats": number % 12}} if number % 4 else {},
    }
    for number in range(40)
] + [
    {
        "distinct_id": "stranger",
        "device_id": None,
        "properties": {},
        "groups": {},
        "group_properties": {},
    }
]


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    require_sdks()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flags") / "flags.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="module")
def collector(file: Path) -> Iterator[ServedCollector]:
    keys = ["--key", f"web:posthog={KEY}", "--flags-key", f"sdk={SECRET}"]
    served = ServedCollector(file.parent / "store", "--flags", str(file), *keys)
    yield served
    assert served.stop() == 0


def wanted(file: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Values and payloads of each person, by our evaluator."""
    flags = compile_flags(parse_definitions(read_flag_file(file)))
    values, payloads = [], []
    for each in PEOPLE:
        person = Person(
            each["distinct_id"],
            each["device_id"],
            each["properties"],
            each["groups"],
            each["group_properties"],
        )
        found = [d for d in flags.evaluate_all(person).values() if not d.inconclusive]
        values.append({d.key: d.value for d in found})
        payloads.append({d.key: d.payload for d in found if d.payload is not None})
    return values, payloads


def told(collector: ServedCollector, mode: str, program: str) -> Any:
    return json.loads(run(program, mode, collector.told["url"], KEY, SECRET, told=PEOPLE))


@pytest.mark.parametrize("mode", ["remote", "local"])
def test_posthogs_python_sdk_gets_our_answers(
    mode: str, collector: ServedCollector, file: Path
) -> None:
    """Asked of the collector, and evaluated from its definitions."""
    found = told(collector, mode, "flags.py")
    values, payloads = wanted(file)
    assert found["flags"] == values
    assert [
        {key: payload for key, payload in each.items() if payload is not None}
        for each in found["payloads"]
    ] == payloads
    assert json.loads(found["config"]) == {"seats": 5}


@pytest.mark.parametrize("mode", ["remote", "local"])
def test_posthogs_node_sdk_gets_our_answers(
    mode: str, collector: ServedCollector, file: Path
) -> None:
    """The same, from JavaScript; it keeps to itself what it cannot evaluate."""
    found = told(collector, mode, "node/flags.mjs")
    values, payloads = wanted(file)
    if mode == "remote":
        # It reads a failed record as a flag that is off.
        values = [dict.fromkeys(values[0], False) | each for each in values]
    assert found["flags"] == values
    assert [
        {k: p for k, p in each.items() if p is not None} for each in found["payloads"]
    ] == payloads
    assert found["config"] == {"seats": 5}
