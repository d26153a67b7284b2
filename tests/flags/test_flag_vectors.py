"""The reference cases of the specification, where somebody has them."""

from __future__ import annotations

import json
import os
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from penstock.flags import CompiledFlags, Person, compile_flags, parse_definitions
from penstock.flags._buckets import place

#: Whoever names a file wants it tried.
_NAMED = os.environ.get("PENSTOCK_FLAG_VECTORS")
_NEAR = Path(__file__).parents[3] / "shared" / "spec" / "flag-vectors.json"
_FILE = Path(_NAMED or _NEAR)


@cache
def vectors() -> Any:
    if not _NAMED and not _FILE.is_file():
        # They are the specification's, not this repository's: CI has none either.
        pytest.skip("the reference cases are not here; PENSTOCK_FLAG_VECTORS may name them")
    return json.loads(_FILE.read_bytes())


@cache
def flags(name: str) -> CompiledFlags:
    return compile_flags(parse_definitions(vectors()["definitions"][name]))


def cases(kind: str) -> list[Any]:
    found = [case for case in vectors()["cases"] if case["kind"] == kind]
    assert found
    return found


def person(case: Any, distinct_id: Any = None) -> Person:
    given = case["input"]
    return Person(
        given["distinct_id"] if distinct_id is None else distinct_id,
        given["device_id"],
        given["person_properties"],
        given["groups"],
        given["group_properties"],
    )


def moment(case: Any) -> datetime | None:
    return datetime.fromisoformat(case["now"]) if case.get("now") else None


def value(case: Any, distinct_id: Any = None) -> Any:
    found = flags(case["defs"]).evaluate(case["flag"], person(case, distinct_id), moment(case))
    return "inconclusive" if found.inconclusive else found.value


def same(one: Any, other: Any) -> bool:
    """Equal, and True is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def test_every_flag_case() -> None:
    """Value, reason and payload of one flag."""
    for case in cases("flag"):
        found = flags(case["defs"]).evaluate(case["flag"], person(case), moment(case))
        assert same(value(case), case["expected"]), case["id"]
        assert same(found.payload, case["payload"]), case["id"]
        if found.inconclusive:
            assert found.reason == case["reason"], case["id"]


def test_every_bulk_case() -> None:
    """One flag, many people."""
    for case in cases("bulk"):
        assert same([value(case, who) for who in case["distinct_ids"]], case["expected"]), case[
            "id"
        ]


def test_every_pass_over_all_flags() -> None:
    """Values, payloads as defined, and what is left to the server."""
    for case in cases("all"):
        found = flags(case["defs"]).evaluate_all(person(case), case["flag_keys"], moment(case))
        told = {
            "flags": {key: d.value for key, d in found.items() if not d.inconclusive},
            "payloads": {
                k: d.payload_text for k, d in found.items() if d.payload_source is not None
            },
            "unresolved": {key: d.reason for key, d in found.items() if d.inconclusive},
        }
        assert same(told, case["expected"]), case["id"]


def test_every_hash() -> None:
    """To the last bit."""
    for case in cases("hash"):
        prefix = f"{case['key']}."
        assert place(prefix, case["bucketing_value"], case["salt"]) == case["expected"], case["id"]
    for case in cases("holdout_hash"):
        assert place("holdout-", case["bucketing_value"]) == case["expected"], case["id"]


def test_every_deviation_from_the_oracle() -> None:
    """Where it is wrong, the recommendation counts."""
    for case in vectors()["deviations"]:
        assert same(value(case), case["recommended"]), case["name"]
