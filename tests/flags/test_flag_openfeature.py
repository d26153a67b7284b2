"""OpenFeature's API over a client's flags: types, reasons, errors, facts, life and tracking."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from openfeature.provider import ProviderStatus
from openfeature.track import TrackingEventDetails

from faults.rules import Answer, status
from flag_server import NEVER_S, SECRET_KEY, FlagServer, answer, definitions, flag, record, until
from penstock.flags.openfeature import PenstockProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openfeature.client import OpenFeatureClient

    from penstock import Client

USER = EvaluationContext("u1")


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """OpenFeature's registry is one per process."""
    yield
    api.shutdown()
    api.clear_providers()


def opened(client: Client, **options: Any) -> OpenFeatureClient:
    """OpenFeature's own client over *client*."""
    api.set_provider_and_wait(PenstockProvider(client, **options))
    return api.get_client()


# -- types -----------------------------------------------------------------------------------

PAYLOADS = {
    "object": {"a": [1]},
    "list": [1, 2],
    "number": 5,
}
VALUES: list[tuple[str, Any, Any, Any]] = [
    ("boolean", True, True, False),
    ("boolean", "wide", True, False),
    ("boolean", False, False, True),
    ("string", "wide", "wide", "x"),
    ("string", False, "x", "x"),
    ("integer", "42", 42, 7),
    ("integer", " -42 ", -42, 7),
    ("integer", "0x1F", 31, 7),
    ("integer", False, 7, 7),
    ("float", "2.5", 2.5, 7.5),
    ("float", "1e3", 1000.0, 7.5),
    ("float", "42", 42.0, 7.5),
    ("float", "0x10", 16.0, 7.5),
    ("float", False, 7.5, 7.5),
    ("object", False, {"d": 1}, {"d": 1}),
]


def details(flags: OpenFeatureClient, kind: str, default: Any, context: Any = USER) -> Any:
    """What OpenFeature's client says of the flag ``f``."""
    return getattr(flags, f"get_{kind}_details")("f", default, context)


@pytest.mark.parametrize(("kind", "value", "wanted", "default"), VALUES)
def test_a_value_comes_in_the_type_asked_for(
    provider: FlagServer, kind: str, value: Any, wanted: Any, default: Any
) -> None:
    """A disabled flag is the caller's default, without an error."""
    provider.flags = answer(record("f", value))
    with provider.client() as client:
        found = details(opened(client), kind, default)
    assert found.value == wanted
    assert type(found.value) is type(wanted)
    assert found.error_code is None
    assert found.variant == (value if isinstance(value, str) else None)


@pytest.mark.parametrize("payload", ['{"a": [1]}', "[1, 2]"])
def test_an_object_is_the_payload(provider: FlagServer, payload: str) -> None:
    """A dict or a list."""
    import json

    provider.flags = answer(record("f", "wide", payload=payload))
    with provider.client() as client:
        found = details(opened(client), "object", {})
    assert (found.value, found.variant) == (json.loads(payload), "wide")


@pytest.mark.parametrize(
    ("kind", "value", "default"),
    [
        ("string", True, "x"),
        ("integer", True, 7),
        ("integer", "2.5", 7),
        ("integer", "wide", 7),
        ("integer", "1_000", 7),
        ("float", "nan", 7.5),
        ("float", "1e999", 7.5),
        ("float", "wide", 7.5),
        ("object", True, {}),
        ("object", "wide", {}),
    ],
)
def test_a_value_of_another_type_is_a_mismatch(
    provider: FlagServer, kind: str, value: Any, default: Any
) -> None:
    """The caller's default, and why."""
    provider.flags = answer(record("f", value, payload="5"))
    with provider.client() as client:
        found = details(opened(client), kind, default)
    assert (found.value, found.error_code, found.reason) == (
        default,
        ErrorCode.TYPE_MISMATCH,
        Reason.ERROR,
    )


def test_a_typed_number_is_one(provider: FlagServer) -> None:
    """Version 4 of the endpoint has numbers of its own."""
    metadata = {"config_version": 2}
    provider.flags = answer({"key": "f", "value": 25, "metadata": metadata})
    with provider.client(api_version=4) as client:
        flags = opened(client)
        assert details(flags, "integer", 7).value == 25
        assert type(details(flags, "float", 7.5).value) is float
        provider.flags = answer({"key": "f", "value": 2.5, "metadata": metadata})
        assert details(flags, "float", 7.5).value == 2.5
        assert details(flags, "integer", 7).error_code is ErrorCode.TYPE_MISMATCH


# -- errors and reasons ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (answer(), ErrorCode.FLAG_NOT_FOUND),
        (answer(errorsWhileComputingFlags=True), ErrorCode.GENERAL),
        (answer(record("f", failed=True)), ErrorCode.GENERAL),
        (answer({"key": "f", "enabled": "yes"}), ErrorCode.PARSE_ERROR),
        (answer(quotaLimited=["feature_flags"]), ErrorCode.GENERAL),
        (status(500), ErrorCode.GENERAL),
        (Answer(ending="reset"), ErrorCode.GENERAL),
        (Answer(ending="hang"), ErrorCode.GENERAL),
    ],
)
def test_no_value_is_the_default_and_a_code(
    provider: FlagServer, reply: Any, code: ErrorCode
) -> None:
    """Missing is something else than not answered."""
    provider.flags = reply
    with provider.client() as client:
        flags = opened(client, timeout=0.5)
        for kind, default in (("boolean", True), ("string", "x"), ("object", [1])):
            found = details(flags, kind, default)
            assert (found.value, found.error_code) == (default, code)
            assert found.reason == Reason.ERROR
            assert found.error_message


def test_a_context_without_a_key_needs_a_default_id(provider: FlagServer) -> None:
    """Whose flags would they be?"""
    provider.flags = answer(record("f"))
    with provider.client() as client:
        flags = opened(client)
        for context in (EvaluationContext(), EvaluationContext("")):
            found = details(flags, "boolean", default=False, context=context)
            assert found.error_code is ErrorCode.TARGETING_KEY_MISSING
        flags = opened(client, default_distinct_id="everybody")
        assert details(flags, "boolean", default=False, context=EvaluationContext()).value is True
        assert flags.get_boolean_details("", False, USER).error_code is ErrorCode.FLAG_NOT_FOUND  # noqa: FBT003 - OpenFeature's
    assert [one["distinct_id"] for one in provider.reads] == ["everybody"]


@pytest.mark.parametrize(
    ("value", "code", "reason"),
    [
        (True, "condition_match", Reason.TARGETING_MATCH),
        ("wide", "condition_match", Reason.TARGETING_MATCH),
        (False, "no_condition_match", Reason.DEFAULT),
        (False, "flag_disabled", Reason.DISABLED),
    ],
)
def test_reasons(provider: FlagServer, value: Any, code: str, reason: Reason) -> None:
    """PostHog's in OpenFeature's words; its own is in the metadata."""
    provider.flags = answer(record("f", value, reason={"code": code, "description": ""}))
    with provider.client() as client:
        found = details(opened(client), "boolean", default=False)
    assert found.reason == reason
    assert found.flag_metadata == {
        "posthog_reason": code,
        "id": 41,
        "version": 7,
        "locally_evaluated": False,
        "request_id": "0190b1c0-0000-7000-8000-000000000001",
        "contextId": "u1",
    }


def test_a_split_and_older_values_have_reasons_of_their_own(provider: FlagServer) -> None:
    """An experiment's split; an earlier answer; a value of the settings."""
    metadata = {"config_version": 2, "rule_type": "experiment", "variant_key": "b"}
    split = {"key": "f", "value": "b", "reason": {"code": "experiment_split"}, "metadata": metadata}
    provider.flags = answer(split)
    with provider.client(api_version=4, stale_for=60.0, bootstrap={"g": "c"}) as client:
        flags = opened(client)
        assert details(flags, "string", "x").reason == Reason.SPLIT
        provider.flags = status(500)
        stale = details(flags, "string", "x")
        assert (stale.value, stale.reason, stale.error_code) == ("b", Reason.STALE, None)
        given = flags.get_string_details("g", "x", USER)
        assert (given.value, given.reason) == ("c", Reason.STATIC)


def test_a_context_is_taken_apart(provider: FlagServer) -> None:
    """Groups, their properties and the device; everything else is the person's."""
    provider.flags = answer(record("f"))
    attributes: dict[str, Any] = {
        "tier": "gold",
        "groups": {"company": "acme"},
        "group_properties": {"company": {"seats": 5}},
        "device_id": "d1",
    }
    with provider.client() as client:
        flags = opened(client)
        details(flags, "boolean", default=False, context=EvaluationContext("u1", attributes))
        odd: dict[str, Any] = {"groups": "acme", "group_properties": 3, "device_id": 4}
        details(flags, "boolean", default=False, context=EvaluationContext("u1", odd))
        bad = EvaluationContext("u1", {"groups": {"company": 1.5}})
        found = details(flags, "boolean", default=True, context=bad)
        assert (found.value, found.error_code) == (True, ErrorCode.INVALID_CONTEXT)
    first, second = provider.reads
    assert first["person_properties"] == {"tier": "gold"}
    assert first["groups"] == {"company": "acme"}
    assert first["group_properties"] == {"company": {"$group_key": "acme", "seats": 5}}
    assert first["device_id"] == "d1"
    assert (second["person_properties"], second["groups"]) == ({}, {})


def test_events_of_reads_can_be_left_out(provider: FlagServer) -> None:
    """They are captured unless the provider was told not to."""
    provider.flags = answer(record("f"), record("g"))
    with provider.client() as client:
        details(opened(client), "boolean", default=False)
        opened(client, send_events=False).get_boolean_value("g", False, USER)  # noqa: FBT003 - OpenFeature's
    assert [one["$feature_flag"] for one in provider.called()] == ["f"]


# -- async -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "value", "wanted", "default"), VALUES[:11])
def test_async_answers_are_the_same(
    provider: FlagServer, kind: str, value: Any, wanted: Any, default: Any
) -> None:
    """Type by type."""
    provider.flags = answer(record("f", value))
    with provider.client() as client:
        flags = opened(client)
        work = getattr(flags, f"get_{kind}_details_async")
        assert asyncio.run(work("f", default, USER)).value == wanted


def test_async_errors_keep_the_default(provider: FlagServer) -> None:
    """And the loop goes on while the provider hangs."""
    provider.flags = Answer(ending="hang")
    with provider.client() as client:
        flags = opened(client, timeout=0.4)

        async def work() -> tuple[Any, int]:
            ticks = 0
            reading = asyncio.ensure_future(flags.get_object_details_async("f", {"d": 1}, USER))
            while not reading.done():
                await asyncio.sleep(0.01)  # a turn of the loop: the subject
                ticks += 1
            return reading.result(), ticks

        found, ticks = asyncio.run(work())
        assert (found.value, found.error_code) == ({"d": 1}, ErrorCode.GENERAL)
        assert ticks > 5
        empty = EvaluationContext()
        missing = asyncio.run(flags.get_float_details_async("f", 7.5, empty))
        assert missing.error_code is ErrorCode.TARGETING_KEY_MISSING
        bad = EvaluationContext("u1", {"groups": {"company": 1.5}})
        wrong = asyncio.run(flags.get_float_details_async("f", 7.5, bad))
        assert wrong.error_code is ErrorCode.INVALID_CONTEXT


# -- life --------------------------------------------------------------------------------------


def test_changes_of_definitions_are_events(provider: FlagServer) -> None:
    """Changed flags by name; stale when they cannot be refreshed for long; ready when they can."""
    provider.definitions = definitions(flag("f"), flag("g"))
    seen: dict[ProviderEvent, list[EventDetails]] = {event: [] for event in ProviderEvent}
    with provider.client(secret=SECRET_KEY, poll_interval=0.1) as client:
        flags = opened(client)
        assert flags.get_provider_status() is ProviderStatus.READY
        assert client.flags.reload()  # the first load has been told of
        for event in ProviderEvent:
            flags.add_handler(event, seen[event].append)
        assert details(flags, "boolean", default=False).flag_metadata["locally_evaluated"] is True
        provider.definitions = definitions(flag("f", active=False, version=8), flag("g"))
        until(lambda: seen[ProviderEvent.PROVIDER_CONFIGURATION_CHANGED])
        assert seen[ProviderEvent.PROVIDER_CONFIGURATION_CHANGED][0].flags_changed == ["f"]
        assert details(flags, "boolean", default=True).reason == Reason.DISABLED
        provider.definitions = status(503)
        until(lambda: seen[ProviderEvent.PROVIDER_STALE])
        assert flags.get_provider_status() is ProviderStatus.STALE
        assert details(flags, "boolean", default=True).value is False
        ready = len(seen[ProviderEvent.PROVIDER_READY])
        provider.definitions = definitions(flag("f"), flag("g"))
        until(lambda: len(seen[ProviderEvent.PROVIDER_READY]) > ready)
        until(lambda: flags.get_provider_status() is ProviderStatus.READY)
        for event in ProviderEvent:
            flags.remove_handler(event, seen[event].append)


def test_a_provider_that_cannot_load_definitions_is_not_fatal(provider: FlagServer) -> None:
    """It waits as long as a read may, and asks from then on."""
    provider.definitions = Answer(ending="hang")
    provider.flags = answer(record("f"))
    with provider.client(secret=SECRET_KEY, timeout=0.3) as client:
        started = time.monotonic()
        flags = opened(client)
        assert time.monotonic() - started < 1.0
        assert flags.get_provider_status() is ProviderStatus.READY
        assert details(flags, "boolean", default=False).value is True


def test_shutdown_leaves_the_client_open(provider: FlagServer) -> None:
    """It is the caller's to close; no more changes are told."""
    provider.definitions = definitions(flag("f"))
    with provider.client(secret=SECRET_KEY, poll_interval=NEVER_S) as client:
        made = PenstockProvider(client)
        assert made.get_metadata().name == "penstock"
        api.set_provider_and_wait(made)
        feed = client.flags._feed
        assert feed is not None
        assert len(feed.listeners) == 1
        api.shutdown()
        assert len(feed.listeners) == 0
        made.shutdown()
        assert client.flags.get("f", "u1").value is True


def test_a_closed_client_is_an_error_and_a_default(provider: FlagServer) -> None:
    """Nothing is raised into a program that only knows OpenFeature."""
    client = provider.client()
    flags = opened(client)
    client.close()
    found = details(flags, "boolean", default=True)
    assert (found.value, found.error_code) == (True, ErrorCode.GENERAL)
    flags.track("bought", USER)


# -- tracking ----------------------------------------------------------------------------------


def test_tracking_captures_an_event(provider: FlagServer) -> None:
    """Of the targeting key and its groups; the other attributes are input of evaluations."""
    with provider.client() as client:
        flags = opened(client)
        context = EvaluationContext("u1", {"tier": "gold", "groups": {"company": "acme"}})
        flags.track("bought", context, TrackingEventDetails(9.5, {"sku": "A-1"}))
        flags.track("left", USER)
        flags.track("nobody", EvaluationContext())
        flags.track("", USER)
        opened(client, default_distinct_id="everybody").track("seen", EvaluationContext())
    bought, left, seen = provider.events
    assert (bought["event"], bought["distinct_id"]) == ("bought", "u1")
    assert bought["properties"]["value"] == 9.5
    assert bought["properties"]["sku"] == "A-1"
    assert bought["properties"]["$groups"] == {"company": "acme"}
    assert "tier" not in bought["properties"]
    assert "value" not in left["properties"]
    assert seen["distinct_id"] == "everybody"


def test_without_the_package_the_error_names_the_extra() -> None:
    """Nothing else of Penstock needs it."""
    script = (
        "import sys; sys.modules['openfeature'] = None\n"
        "import penstock.flags.front\n"
        "try: import penstock.flags.openfeature\n"
        "except penstock.MissingExtraError as error: print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    assert "penstock[openfeature]" in run.stdout


def test_reads_from_many_threads(provider: FlagServer) -> None:
    """OpenFeature's clients are shared; so is ours."""
    provider.definitions = definitions(flag("f"))
    with provider.client(secret=SECRET_KEY, poll_interval=NEVER_S) as client:
        flags = opened(client, send_events=False)
        wrong: list[Any] = []

        def work() -> None:
            for _ in range(200):
                found = flags.get_boolean_details("f", default_value=False, evaluation_context=USER)
                wrong.extend([found] if found.value is not True else [])

        crew = [threading.Thread(target=work) for _ in range(4)]
        for one in crew:
            one.start()
        for one in crew:
            one.join()
        assert wrong == []
