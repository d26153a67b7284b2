"""Every shape of an answer is read, and a broken record spoils none of its neighbours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flag_server import answer, record
from penstock.flags.answer import Answer, read_answer


def read(body: Any) -> Answer:
    return read_answer(json.dumps(body).encode())


def one(data: Any) -> Any:
    """The only record of an answer that holds *data* under ``f``."""
    return read({"flags": {"f": data}}).records["f"]


def test_a_version_2_answer_gives_values_payloads_and_facts() -> None:
    """Key, variant, payload, reason, id, version, and what holds for the whole answer."""
    found = read(answer(record("f", "wide", payload='{"cols": 3}'), minimalFlagCalledEvents=True))
    flag = found.records["f"]
    assert (flag.key, flag.value, flag.payload) == ("f", "wide", {"cols": 3})
    assert (flag.reason, flag.description, flag.condition_index) == (
        "condition_match",
        "Matched set 1",
        0,
    )
    assert (flag.flag_id, flag.version) == (41, 7)
    assert flag.origin.request_id == "0190b1c0-0000-7000-8000-000000000001"
    assert flag.origin.evaluated_at == 1_790_000_000_000
    assert flag.origin.minimal
    assert found.is_clean


def test_a_legacy_answer_gives_values_and_payloads() -> None:
    """Two maps, without records: what older servers and mocks send."""
    found = read(
        {
            "featureFlags": {"a": True, "b": "wide", "c": False, "d": 3},
            "featureFlagPayloads": {"b": "[1]"},
        }
    )
    assert {key: flag.value for key, flag in found.records.items()} == {
        "a": True,
        "b": "wide",
        "c": False,
        "d": False,
    }
    assert found.records["b"].payload == [1]
    assert found.records["d"].unreadable


@pytest.mark.parametrize(
    ("value", "rendered", "payload"),
    [
        (None, False, "own"),
        (False, False, "own"),
        (True, True, "own"),
        ("wide", "wide", "own"),
        (25, True, 25),
        (2.5, True, 2.5),
        ({"a": "ü"}, True, {"a": "ü"}),
    ],
)
def test_a_typed_value_is_rendered_as_value_and_payload(
    value: Any, rendered: Any, payload: Any
) -> None:
    """A number or an object enables the flag and replaces the payload."""
    flag = one({"key": "f", "value": value, "metadata": {"payload": '"own"', "config_version": 2}})
    assert (flag.value, flag.payload) == (rendered, payload)
    assert flag.config_version == 2


def test_a_failed_record_has_no_value_but_keeps_its_facts() -> None:
    """It reads as missing, not as disabled."""
    flag = one(record("f", "wide", payload="1", failed=True))
    assert (flag.value, flag.payload, flag.flag_id) == (None, None, 41)
    assert read(answer(record("f", failed=True))).error("f") == "evaluation_failed"


@pytest.mark.parametrize(
    "broken",
    [
        {"enabled": "yes"},
        {"enabled": True, "variant": 3},
        {"value": [1]},
        {"enabled": True, "metadata": {"id": "41"}},
        {"enabled": True, "metadata": {"id": 4.5}},
        {"enabled": True, "reason": "because"},
        {"enabled": True, "failed": 1},
        None,
        17,
    ],
)
def test_an_unreadable_record_is_disabled_and_alone(broken: Any) -> None:
    """A known field of the wrong type; its neighbour is read all the same."""
    found = read({"flags": {"f": broken, "g": {"enabled": True, "metadata": {"id": 2.0}}}})
    assert found.records["f"].value is False
    assert found.error("f") == "unknown_error"
    assert found.records["g"].value is True
    assert found.records["g"].flag_id == 2


@pytest.mark.parametrize("payload", ["{", "NaN", "[Infinity]", ""])
def test_a_payload_that_is_not_json_is_none(payload: str) -> None:
    """The flag keeps its value."""
    flag = one(record("f", payload=payload))
    assert (flag.value, flag.payload) == (True, None)


def test_a_payload_that_is_no_text_is_taken_as_it_is() -> None:
    """And is the reader's own to change."""
    flag = one(record("f", payload={"a": [1]}))
    flag.payload["a"].append(2)
    assert flag.payload == {"a": [1]}


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"3", b"{}", b'{"flags": 3}', b'{"success": true}', b"\xff"]
)
def test_a_body_without_flags_is_a_failure(body: bytes) -> None:
    """Whatever was sent instead."""
    assert read_answer(body).failure == "unknown_error"


def test_a_used_up_quota_gives_no_values() -> None:
    """Also where the server sends some."""
    found = read(answer(record("f"), quotaLimited=["feature_flags"]))
    assert found.records == {}
    assert (found.error("f"), found.is_clean) == ("quota_limited", False)
    assert read({"quotaLimited": ["feature_flags"]}).trouble == "quota_limited"
    assert read(answer(record("f"), quotaLimited=["recordings"])).records["f"].value is True


def test_errors_are_joined_in_their_order() -> None:
    """First what holds for the whole answer, then what is the flag's own."""
    found = read(answer(record("f"), record("g", failed=True), errorsWhileComputingFlags=True))
    whole = "errors_while_computing_flags"
    assert found.error("f") == whole
    assert found.error("g") == f"{whole},evaluation_failed"
    assert found.error("h") == f"{whole},flag_missing"
    assert read(answer()).error("h") == "flag_missing"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from(["key", "enabled", "variant", "value", "failed", "reason", "metadata"])


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=3), st.dictionaries(FIELDS, JSON) | JSON))
def test_no_record_raises(flags: dict[str, Any]) -> None:
    """Any JSON is a record, readable or not."""
    found = read({"flags": flags})
    assert found.records.keys() == flags.keys()
    for flag in found.records.values():
        assert flag.value is None or isinstance(flag.value, bool | str)
        _ = flag.payload


@given(st.binary())
def test_no_body_raises(body: bytes) -> None:
    """Any bytes give an answer or a failure."""
    assert isinstance(read_answer(body), Answer)
