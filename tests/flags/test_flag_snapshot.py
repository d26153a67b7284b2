"""A snapshot is evaluated once and read as often as one likes."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
import trio

import penstock
from faults.rules import Answer, status
from flag_server import (
    NEVER_S,
    SECRET_KEY,
    FlagServer,
    answer,
    condition,
    definitions,
    filter_,
    flag,
    record,
)
from penstock import Client, FieldError


def told(provider: FlagServer, client: Client) -> list[tuple[str, Any]]:
    """Flag and response of the events that were captured until now."""
    assert client.flush(10).pending == 0
    return [(one["$feature_flag"], one["$feature_flag_response"]) for one in provider.called()]


def test_reading_a_snapshot_asks_nobody(provider: FlagServer) -> None:
    """One request for all there is."""
    provider.flags = answer(
        record("a", "wide", payload="[1]"), record("b"), record("c", value=False)
    )
    with provider.client() as client:
        snapshot = client.flags.evaluate("u1")
        provider.flags = status(500)
        assert snapshot.value("a") == snapshot.get_flag("a") == "wide"
        assert snapshot.enabled("a") is snapshot.is_enabled("b") is True
        assert snapshot.enabled("c", default=True) is False  # it has a value
        assert snapshot.payload("a") == snapshot.get_flag_payload("a") == [1]
        assert snapshot.keys == ["a", "b", "c"]
        assert (len(snapshot), "a" in snapshot, "x" in snapshot) == (3, True, False)
        assert repr(snapshot) == "<FlagSnapshot: 3 flags>"
        assert len(provider.reads) == 1
        assert told(provider, client) == [("a", "wide"), ("b", True), ("c", False)]


def test_a_missing_flag_of_a_snapshot_has_a_reason(provider: FlagServer) -> None:
    """And its default."""
    provider.flags = answer(record("a"), errorsWhileComputingFlags=True)
    with provider.client() as client:
        snapshot = client.flags.evaluate("u1")
        assert snapshot.enabled("x") is False
        assert snapshot.enabled("x", default=True) is True
        error = "errors_while_computing_flags,flag_missing"
        assert snapshot.get("x").error == error
        assert snapshot.payload("x") is None


def test_a_part_of_a_snapshot_is_for_events(provider: FlagServer) -> None:
    """By name, or what was read until now; the whole one stays as it is."""
    provider.flags = answer(record("a"), record("b"), record("c"))
    with provider.client() as client:
        snapshot = client.flags.evaluate("u1")
        assert snapshot.only_accessed().keys == []
        snapshot.value("b", send_events=False)
        snapshot.payload("c")
        assert snapshot.only_accessed().keys == ["b"]
        part = snapshot.only(["c", "a", "x"])
        assert part.keys == ["a", "c"]
        part.value("a")
        assert snapshot.only_accessed().keys == ["b"]
        assert part.only_accessed().keys == ["a"]
        assert part.value("b") is None  # says nothing about the person
        assert part.value("y") is None
        assert part.unresolved == {}
        assert told(provider, client) == [("a", True), ("y", None)]


def test_what_stays_unresolved_is_told(provider: FlagServer) -> None:
    """Defined, not decided here, and no value from the provider."""
    provider.definitions = definitions(flag("f", condition(filter_("tier", ["gold"]))), flag("g"))
    with provider.client(secret=SECRET_KEY, poll_interval=NEVER_S) as client:
        assert client.flags.wait_until_ready(10)
        snapshot = client.flags.evaluate("u1", only_evaluate_locally=True)
        assert snapshot.keys == ["g"]
        assert dict(snapshot.unresolved) == snapshot.unresolved_flags == {"f": "missing_context"}
        with pytest.raises(TypeError):
            snapshot.unresolved["x"] = "y"  # type: ignore[index]
        provider.flags = answer(record("f", failed=True))
        again = client.flags.evaluate("u1")
        assert again.unresolved == {"f": "missing_context"}
        assert again.get("f").error == "evaluation_failed,local_evaluation_inconclusive"


NUMBER = {"key": "number", "value": 25, "metadata": {"config_version": 2}}
OBJECT = {"key": "object", "value": {"a": [1]}, "metadata": {"config_version": 2}}


def test_typed_reads_coerce_nothing(provider: FlagServer) -> None:
    """The right type, or the default; a disabled flag is no error."""
    plain = [{"key": "on", "value": True}, {"key": "off", "value": False}]
    plain += [{"key": "wide", "value": "25"}, {"key": "failed", "value": None, "failed": True}]
    provider.flags = answer(*plain, NUMBER, OBJECT, {"key": "broken", "value": [1]})
    with provider.client(api_version=4) as client:
        flags = client.flags.evaluate("u1")
        assert flags.get_boolean_value("on", default=False) is True
        assert flags.get_boolean_value("off", default=True) is False
        assert flags.get_string_value("wide", "x") == "25"
        assert flags.get_number_value("number", 7) == 25
        assert flags.get_object_value("object", {}) == {"a": [1]}
        for read, key, default, code in (
            (flags.get_boolean_details, "wide", True, "TYPE_MISMATCH"),
            (flags.get_boolean_details, "number", True, "TYPE_MISMATCH"),
            (flags.get_string_details, "on", "x", "TYPE_MISMATCH"),
            (flags.get_number_details, "on", 7, "TYPE_MISMATCH"),
            (flags.get_number_details, "wide", 7, "TYPE_MISMATCH"),
            (flags.get_object_details, "number", {}, "TYPE_MISMATCH"),
            (flags.get_string_details, "off", "x", None),
            (flags.get_number_details, "off", 7, None),
            (flags.get_object_details, "off", {"d": 1}, None),
            (flags.get_boolean_details, "missing", True, "FLAG_NOT_FOUND"),
            (flags.get_string_details, "failed", "x", "GENERAL"),
            (flags.get_object_details, "broken", {"d": 1}, "PARSE_ERROR"),
        ):
            found: Any = read(key, default)  # type: ignore[operator]
            assert (found.value, found.error_code) == (default, code)
            assert found.evaluation.key == key
        assert ("number", True) in told(provider, client)


@pytest.mark.parametrize("keys", ["a", 3, [3], [""]])
def test_keys_that_are_none_raise(provider: FlagServer, keys: Any) -> None:
    """One text is no list of keys."""
    with provider.client() as client:
        for read in (
            lambda: client.flags.evaluate("u1", keys=keys),
            lambda: client.flags.evaluate("u1").only(keys),
        ):
            with pytest.raises(FieldError):
                read()


# -- PostHog's names -----------------------------------------------------------------------------


def test_posthogs_names_do_what_they_do_there(provider: FlagServer) -> None:
    """On the client, for programs that are ported."""
    provider.flags = answer(record("a", "wide", payload="[1]"), record("off", value=False))
    with provider.client() as client:
        assert client.get_feature_flag("a", "u1") == "wide"
        assert client.is_feature_enabled("a", "u1") is True
        assert client.feature_enabled("off", "u1") is False
        assert client.is_feature_enabled("x", "u1") is None
        assert client.get_feature_flag("x", "u1", send_feature_flag_events=False) is None
        found = client.get_feature_flag_result("a", "u1")
        assert found is not None
        assert (found.key, found.enabled, found.variant, found.payload) == ("a", True, "wide", [1])
        assert client.get_feature_flag_result("x", "u1") is None
        assert client.get_feature_flag_payload("a", "u1") == [1]
        assert client.get_all_flags("u1", flag_keys_to_evaluate=["a"]) == {"a": "wide"}
        assert client.get_all_flags_and_payloads("u1") == {
            "featureFlags": {"a": "wide", "off": False},
            "featureFlagPayloads": {"a": "[1]"},
        }
        assert client.evaluate_flags("u1", flag_keys=["a"]).get_flag("a") == "wide"
        assert client.evaluate_flags().keys == []
        with penstock.scoped(user_id="u1"):
            assert client.evaluate_flags().keys == ["a", "off"]
        assert client.get_remote_config_payload("a") is None
        assert client.load_feature_flags() is client.reload_feature_flags() is False
        assert client.wait_for_local_evaluation_ready(0.1) is False
        assert client.feature_flag_definitions() is None
        assert client.get_feature_flag_evaluation_runtime("a") == "all"
        assert client.get_feature_flag_keys_by_evaluation_runtime("client") == []


def test_posthogs_names_over_definitions(provider: FlagServer) -> None:
    """What needs a secret key."""
    payloads = {"payloads": {"true": "1", "wide": '{"a": 2}'}}
    provider.definitions = definitions(flag("f", filters=payloads))
    with provider.client(secret=SECRET_KEY, poll_interval=NEVER_S) as client:
        assert client.wait_for_local_evaluation_ready(10)
        assert client.reload_feature_flags()
        (found,) = client.feature_flag_definitions() or ()
        assert found["key"] == "f"
        assert client.get_feature_flag_payload("f", "u1") == 1
        assert client.get_feature_flag_payload("f", "u1", match_value="wide") == {"a": 2}
        assert client.get_feature_flag_payload("f", "u1", match_value="narrow") is None
    assert provider.reads == []


# -- async ---------------------------------------------------------------------------------------

LOOPS: dict[str, Any] = {
    "asyncio": lambda work: asyncio.run(work()),
    "trio": trio.run,
}


@pytest.mark.parametrize("loop", LOOPS)
def test_every_read_has_a_twin(provider: FlagServer, loop: str) -> None:
    """The same answers, for asyncio and trio."""
    provider.flags = answer(record("a", "wide", payload="[1]"))
    provider.definitions = definitions(flag("f"))
    provider.remote_config = Answer(body=b"[1]")

    async def work() -> None:
        with provider.client(secret=SECRET_KEY, poll_interval=NEVER_S) as client:
            flags = client.flags
            assert await flags.await_until_ready(10)
            assert await flags.areload()
            assert (await flags.aget("a", "u1")).value == "wide"
            assert (await flags.aget("f", "u1")).source == "local"
            assert await flags.aenabled("a", "u1") is True
            assert await flags.aenabled("x", "u1", default=True) is True
            assert await flags.apayload("a", "u1") == [1]
            assert await flags.aall("u1", keys=["a"]) == {"a": "wide"}
            assert (await flags.aevaluate("u1", keys=["a", "f"])).values == {"f": True, "a": "wide"}
            assert await flags.aremote_config("a") == [1]
            with pytest.raises(FieldError):
                await flags.aget("", "u1")

    LOOPS[loop](work)


def test_an_async_read_never_blocks_the_loop(provider: FlagServer) -> None:
    """While the provider hangs, the loop goes on; local answers do not even leave it."""
    provider.flags = Answer(ending="hang")
    provider.definitions = definitions(flag("f"))
    gaps: list[float] = []

    async def tick() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)  # a turn of the loop: the subject
            gaps.append(time.monotonic() - before)

    async def work() -> None:
        with provider.client(secret=SECRET_KEY, poll_interval=NEVER_S) as client:
            assert await client.flags.await_until_ready(10)
            await client.flags.aget("x", "u0", timeout=0.1)  # imports what a request needs
            ticking = asyncio.create_task(tick())
            await asyncio.gather(
                client.flags.aget("x", "u1", timeout=0.5),
                client.flags.aevaluate("u1", keys=["f", "x"], timeout=0.5),
                client.flags.aremote_config("x", timeout=0.5),
            )
            ticking.cancel()
            before = threading.active_count()
            assert (await client.flags.aget("f", "u1")).source == "local"
            assert threading.active_count() <= before

    asyncio.run(work())
    assert len(gaps) > 10
    assert sorted(gaps)[-3] < 0.2  # a blocked loop would show gaps of the timeout
