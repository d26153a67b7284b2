"""Reads are told of once, exactly; captured events carry flags when asked to."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

import penstock
from faults.rules import Answer, status
from flag_server import (
    NEVER_S,
    PROJECT_KEY,
    SECRET_KEY,
    FlagServer,
    answer,
    condition,
    definitions,
    filter_,
    flag,
    record,
    split,
)
from penstock import Client, Config, FieldError, FlagSettings, PostHog, Segment
from penstock.config import MIN_JOURNAL_BYTES
from penstock.flags.calls import Seen
from penstock.testing import captured_client

if TYPE_CHECKING:
    from collections.abc import Callable

#: What PostHog's destination adds to every event.
ADDED = {
    "$lib",
    "$lib_version",
    "$is_server",
    "$geoip_disable",
    "$os",
    "$os_version",
    "$os_distro",
    "$python_runtime",
    "$python_version",
}


def told(provider: FlagServer, read: Callable[[Client], Any], **flags: Any) -> list[dict[str, Any]]:
    """Properties of the ``$feature_flag_called`` events of *read*, without what is always there."""
    with provider.client(**flags) as client:
        if flags.get("secret"):
            assert client.flags.wait_until_ready(10)
        read(client)
        assert client.flush(10).pending == 0
    return [{k: v for k, v in one.items() if k not in ADDED} for one in provider.called()]


# -- $feature_flag_called ------------------------------------------------------------------------


def test_a_remote_read_tells_everything_the_provider_said(provider: FlagServer) -> None:
    """The reference's table, property by property."""
    more = {"metadata": {"has_experiment": True}}
    provider.flags = answer(record("f", "wide", payload='{"cols": 3}', **more))
    events = told(provider, lambda client: client.flags.get("f", "u1", groups={"company": "acme"}))
    assert events == [
        {
            "$feature_flag": "f",
            "$feature_flag_response": "wide",
            "$feature/f": "wide",
            "locally_evaluated": False,
            "$feature_flag_payload": {"cols": 3},
            "$feature_flag_id": 41,
            "$feature_flag_version": 7,
            "$feature_flag_reason": "Matched set 1",
            "$feature_flag_request_id": "0190b1c0-0000-7000-8000-000000000001",
            "$feature_flag_evaluated_at": 1_790_000_000_000,
            "$feature_flag_has_experiment": True,
            "$groups": {"company": "acme"},
        }
    ]
    assert [one["distinct_id"] for one in provider.events] == ["u1"]


def test_a_local_read_tells_what_the_definition_says(provider: FlagServer) -> None:
    """Without a request, so without its id."""
    provider.definitions = definitions(flag("f", filters={"payloads": {"true": "1"}}))
    events = told(
        provider,
        lambda client: client.flags.get("f", "u1", device_id="d1", disable_geoip=False),
        secret=SECRET_KEY,
    )
    assert events == [
        {
            "$feature_flag": "f",
            "$feature_flag_response": True,
            "$feature/f": True,
            "locally_evaluated": True,
            "$feature_flag_payload": 1,
            "$feature_flag_id": 41,
            "$feature_flag_version": 7,
            "$feature_flag_reason": "Evaluated locally",
            "$feature_flag_has_experiment": False,
            "$device_id": "d1",
        }
    ]
    assert provider.called()[0]["$geoip_disable"] is False


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer(), "flag_missing"),
        (answer(errorsWhileComputingFlags=True), "errors_while_computing_flags,flag_missing"),
        (answer(record("f", failed=True)), "evaluation_failed"),
        (answer(quotaLimited=["feature_flags"]), "quota_limited"),
        (status(503), "api_error_503"),
        (Answer(body=b"x"), "unknown_error"),
        (Answer(ending="reset"), "connection_error"),
        (Answer(ending="hang"), "timeout"),
    ],
)
def test_a_read_without_a_value_tells_why(
    provider: FlagServer, reply: dict[str, Any] | Answer, error: str
) -> None:
    """The response is null."""
    provider.flags = reply
    (event,) = told(provider, lambda client: client.flags.get("f", "u1", timeout=0.5))
    assert event["$feature_flag_response"] is None
    assert event["$feature/f"] is None
    assert event["$feature_flag_error"] == error


def test_a_local_only_read_tells_why_too(provider: FlagServer) -> None:
    """Inconclusive, or not defined."""
    provider.definitions = definitions(flag("f", condition(filter_("tier", ["gold"]))))

    def read(client: Client) -> None:
        client.flags.get("f", "u1", only_evaluate_locally=True)
        client.flags.get("x", "u1", only_evaluate_locally=True)

    events = told(provider, read, secret=SECRET_KEY)
    errors = [one["$feature_flag_error"] for one in events]
    assert errors == ["local_evaluation_inconclusive", "flag_missing"]


def test_a_value_is_told_once_per_person(provider: FlagServer) -> None:
    """Another person, value, flag or group is news; the order of groups is not."""
    provider.flags = answer(record("f"), record("g"))

    def read(client: Client) -> None:
        flags = client.flags
        for _ in range(3):
            flags.get("f", "u1")
            flags.enabled("f", "u1")
            flags.get("f", "u2")
            flags.get("g", "u1")
            flags.get("f", "u1", groups={"a": "1", "b": "2"})
            flags.get("f", "u1", groups={"b": "2", "a": "1"})
            flags.evaluate("u1").get("f")
        provider.flags = answer(record("f", "true"))
        flags.get("f", "u1")
        provider.flags = status(500)
        flags.get("f", "u1")

    assert len(told(provider, read)) == 6


def test_some_reads_are_silent(provider: FlagServer) -> None:
    """Payloads, all flags, a snapshot that nobody reads, and what is told not to."""
    provider.flags = answer(record("f", payload="1"))

    def read(client: Client) -> None:
        client.flags.payload("f", "u1")
        client.flags.all("u1")
        client.flags.evaluate("u1").payload("f")
        client.flags.get("f", "u1", send_events=False)
        client.flags.evaluate("u1", send_events=False).get("f")
        client.flags.evaluate("u1").get("f", send_events=False)

    assert told(provider, read) == []
    assert told(provider, lambda client: client.flags.get("f", "u1"), send_events=False) == []


def test_threads_tell_once(provider: FlagServer) -> None:
    """Looking and remembering is one step."""
    provider.definitions = definitions(flag("f"))

    def read(client: Client) -> None:
        start = threading.Barrier(8)

        def work() -> None:
            start.wait()
            for user in range(50):
                client.flags.get("f", f"u{user}")

        crew = [threading.Thread(target=work) for _ in range(8)]
        for one in crew:
            one.start()
        for one in crew:
            one.join()

    assert len(told(provider, read, secret=SECRET_KEY)) == 50


def test_the_least_recently_seen_person_is_forgotten() -> None:
    """One at a time; never all of them."""
    seen = Seen(capacity=2)
    assert seen.add("u1", "f")
    assert seen.add("u2", "f")
    assert not seen.add("u1", "f")
    assert seen.add("u3", "f")
    assert len(seen) == 2
    assert not seen.add("u1", "f")
    assert seen.add("u2", "f")


def test_an_event_that_found_no_room_is_told_again(provider: FlagServer) -> None:
    """A full journal refused it; a later read tries again."""
    provider.definitions = definitions(flag("f"))
    settings = FlagSettings(secret_key=SECRET_KEY, poll_interval=NEVER_S)
    config = Config(journal=None, journal_max_bytes=MIN_JOURNAL_BYTES, flags=settings)
    with Client(PostHog(PROJECT_KEY, provider.sink.url), config=config) as client:
        assert client.flags.wait_until_ready(10)
        provider.sink.stop()
        while not client.ledger().dead:
            client.track("u1", "filler", {"x": "x" * 1000})
        before = client.ledger().dead["queue_full"]
        client.flags.get("f", "u1")
        client.flags.get("f", "u1")
        assert client.ledger().dead["queue_full"] == before + 2
        provider.sink.start()
        assert client.flush(30).pending == 0
        client.flags.get("f", "u1")
        client.flags.get("f", "u1")
    assert len(provider.called()) == 1


def test_the_event_goes_to_the_provider_alone() -> None:
    """It is that vendor's own; the others never hear of it."""
    settings = FlagSettings(bootstrap={"f": True})
    destinations = (Segment("k"), PostHog("phc_x"), PostHog("phc_y", name="Other"))
    with captured_client(*destinations, flags=settings) as client:
        client.flags.get("f", "u1", only_evaluate_locally=True)
        (event,) = client.events
        wanted = {"All": False, "Segment": False, "Other": False, "PostHog": True}
        assert event.integrations == wanted


def test_a_read_of_a_holdout_is_an_exposure_like_any_other(provider: FlagServer) -> None:
    """The value says so, and the flag counts as enabled."""
    provider.definitions = definitions(
        flag(
            "f",
            has_experiment=True,
            filters={
                **split("control", "test"),
                "holdout": {"id": 12, "exclusion_percentage": 100},
            },
        )
    )

    def read(client: Client) -> None:
        found = client.flags.get("f", "u1")
        assert (found.value, found.in_holdout, found.enabled) == ("holdout-12", True, True)

    (event,) = told(provider, read, secret=SECRET_KEY)
    assert event["$feature_flag_response"] == "holdout-12"


# -- reduced events ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "has_experiment", "reduced"),
    [(True, False, True), (True, True, False), (True, None, False), (False, False, False)],
)
@pytest.mark.parametrize("local", [True, False])
def test_an_event_of_a_flag_without_an_experiment_may_be_reduced(
    provider: FlagServer, *, local: bool, gate: bool, has_experiment: bool | None, reduced: bool
) -> None:
    """Only where both signals say so; nothing of the surroundings gets in then."""
    payload = {"payloads": {"true": "1"}}
    own = flag("f", has_experiment=has_experiment, filters=payload)
    provider.definitions = definitions(own, minimal_flag_called_events=gate)
    more = {"has_experiment": has_experiment}
    provider.flags = answer(record("f", payload="1", metadata=more), minimalFlagCalledEvents=gate)
    settings = FlagSettings(secret_key=SECRET_KEY if local else None, poll_interval=NEVER_S)
    config = Config(
        journal=None, flags=settings, default_context={"app": {"name": "shop"}, "sessionId": "s1"}
    )
    with Client(PostHog(PROJECT_KEY, provider.sink.url), config=config) as client:
        if local:
            assert client.flags.wait_until_ready(10)
        context = {"ip": "203.0.113.7", "campaign": {"source": "ad"}}
        with penstock.scoped(user_id="u1", properties={"plan": "pro"}, context=context):
            client.flags.get("f")
    (event,) = provider.called()
    surroundings = {"$app_name", "$ip", "utm_source", "plan", "$feature/f", "$feature_flag_payload"}
    assert surroundings & event.keys() == (set() if reduced else surroundings)
    assert event["$session_id"] == "s1"
    assert event["$feature_flag"] == "f"


# -- attribution of experiments ------------------------------------------------------------------

RULE = "6bb788aa-df76-4a77-8bed-9f247e279ccd"


def ruled(code: str, kind: str | None, *, value: Any = True, **more: Any) -> dict[str, Any]:
    """A typed record of a config version 2 flag."""
    metadata = {"id": 8, "version": 2, "config_version": 2, "rule_type": kind, "rule_id": RULE}
    return {
        "key": "f",
        "value": value,
        "reason": {"code": code, "description": "words"},
        "metadata": {**metadata, **more},
    }


def test_a_split_is_attributed_to_its_rule_and_exposed_once(provider: FlagServer) -> None:
    """The reason's code instead of its words; the surroundings can add nothing."""
    provider.flags = answer(ruled("experiment_split", "experiment", value="b", variant_key="test"))

    def read(client: Client) -> None:
        with penstock.scoped(properties={"$feature_flag_rule_type": "mine", "plan": "pro"}):
            client.flags.get("f", "u1")
            client.flags.get("f", "u1")

    (event,) = told(provider, read, api_version=4)
    assert event["$feature_flag_config_version"] == 2
    assert event["$feature_flag_reason_code"] == "experiment_split"
    assert event["$feature_flag_rule_id"] == RULE
    assert event["$feature_flag_rule_type"] == "experiment"
    assert event["$feature_flag_variant_key"] == "test"
    assert event["plan"] == "pro"
    assert "$feature_flag_reason" not in event
    (exposed,) = [one for one in provider.events if one["event"] == "$experiment_exposure"]
    properties = {k: v for k, v in exposed["properties"].items() if k not in ADDED}
    assert properties == {
        "$feature_flag": "f",
        "$feature_flag_response": "b",
        "locally_evaluated": False,
        "$feature_flag_variant_key": "test",
        "$feature_flag_rule_id": RULE,
        "$feature_flag_id": 8,
        "$feature_flag_version": 2,
        "$feature_flag_request_id": "0190b1c0-0000-7000-8000-000000000001",
        "$feature_flag_evaluated_at": 1_790_000_000_000,
        "plan": "pro",
    }


@pytest.mark.parametrize(
    ("code", "kind", "attributed"),
    [
        ("targeting_match", "targeted_release", True),
        ("targeting_match", "percentage_rollout", True),
        ("targeting_match", "experiment", False),
        ("rollout_miss", "percentage_rollout", True),
        ("rollout_miss", "experiment", True),
        ("experiment_paused", "experiment", True),
        ("holdout", "experiment", True),
        ("no_rule_match", "experiment", False),
        ("experiment_split", None, False),
    ],
)
def test_a_rule_is_told_only_beside_its_reason(
    provider: FlagServer, code: str, kind: str | None, *, attributed: bool
) -> None:
    """And only a split has a variant key, and an exposure."""
    provider.flags = answer(ruled(code, kind, variant_key="test"))
    (event,) = told(provider, lambda client: client.flags.get("f", "u1"), api_version=4)
    assert ("$feature_flag_rule_id" in event) == attributed
    assert ("$feature_flag_rule_type" in event) == attributed
    assert "$feature_flag_variant_key" not in event
    assert event["$feature_flag_reason_code"] == code
    assert len(provider.events) == 1


# -- flags on captured events --------------------------------------------------------------------


def captured(
    provider: FlagServer, capture: Callable[[Client], Any], **flags: Any
) -> dict[str, Any]:
    """Properties of the one event that *capture* makes."""
    with provider.client(**flags) as client:
        if flags.get("secret"):
            assert client.flags.wait_until_ready(10)
        capture(client)
    (event,) = [one for one in provider.events if one["event"] == "bought"]
    return {k: v for k, v in event["properties"].items() if k not in ADDED}


def test_a_snapshot_is_told_on_an_event(provider: FlagServer) -> None:
    """Every value, the enabled ones by name, and the event's own properties win."""
    provider.flags = answer(record("b", "wide"), record("off", value=False), record("a"))

    def capture(client: Client) -> None:
        snapshot = client.flags.evaluate("u1")
        client.capture("bought", "u1", {"$feature/a": "mine", "x": 1}, flags=snapshot)

    assert captured(provider, capture) == {
        "$feature/a": "mine",
        "$feature/b": "wide",
        "$feature/off": False,
        "$active_feature_flags": ["a", "b"],
        "x": 1,
    }
    assert len(provider.reads) == 1


def test_a_snapshot_beats_an_evaluation_for_the_event(
    provider: FlagServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Asking for both is a mistake, and is told."""
    provider.flags = answer(record("a"))

    def capture(client: Client) -> None:
        snapshot = client.flags.evaluate("u1")
        client.capture("bought", "u1", flags=snapshot.only([]), send_feature_flags=True)

    assert captured(provider, capture) == {}
    assert len(provider.reads) == 1
    assert "flags is taken" in caplog.text


def test_no_enabled_flag_means_no_list_of_them(provider: FlagServer) -> None:
    """Left out, not empty."""
    provider.flags = answer(record("off", value=False))
    event = captured(provider, lambda c: c.capture("bought", "u1", send_feature_flags=True))
    assert event == {"$feature/off": False}


def test_send_feature_flags_evaluates_for_the_event(provider: FlagServer) -> None:
    """One request, with the event's groups; the event is delivered with them."""
    provider.flags = answer(record("a"))
    groups = {"company": "acme"}
    event = captured(
        provider, lambda c: c.capture("bought", "u1", groups=groups, send_feature_flags=True)
    )
    assert event == {
        "$feature/a": True,
        "$active_feature_flags": ["a"],
        "$groups": {"company": "acme"},
    }
    assert [one["groups"] for one in provider.reads] == [groups]


def test_with_definitions_no_request_is_made_for_an_event(provider: FlagServer) -> None:
    """What cannot be decided here is left out, unless the provider alone is to say."""
    provider.definitions = definitions(flag("f", condition(filter_("tier", ["gold"]))), flag("g"))
    provider.flags = answer(record("f"), record("g", value=False))
    options: dict[str, Any] = {}
    read = {"secret": SECRET_KEY, "poll_interval": NEVER_S}

    def capture(client: Client) -> None:
        client.capture("bought", "u1", send_feature_flags=options or True)

    assert captured(provider, capture, **read)["$active_feature_flags"] == ["g"]
    assert provider.reads == []


@pytest.mark.parametrize(
    ("options", "active", "requests"),
    [
        ({"only_evaluate_locally": True}, ["g"], 0),
        ({"only_evaluate_locally": False}, ["f"], 1),
        ({"person_properties": {"tier": "gold"}}, ["f", "g"], 0),
        ({"person_properties": {"tier": "gold"}, "flag_keys_filter": ["f"]}, ["f"], 0),
    ],
)
def test_the_options_of_send_feature_flags(
    provider: FlagServer, options: Any, active: list[str], requests: int
) -> None:
    """Where the flags are decided, by what, and which."""
    provider.definitions = definitions(flag("f", condition(filter_("tier", ["gold"]))), flag("g"))
    provider.flags = answer(record("f"), record("g", value=False))
    event = captured(
        provider,
        lambda c: c.capture("bought", "u1", send_feature_flags=options),
        secret=SECRET_KEY,
        poll_interval=NEVER_S,
    )
    assert event["$active_feature_flags"] == active
    assert len(provider.reads) == requests


def test_an_evaluation_that_fails_loses_no_event(provider: FlagServer) -> None:
    """It goes without flags."""
    provider.flags = Answer(ending="hang")
    event = captured(
        provider,
        lambda c: c.capture("bought", "u1", {"x": 1}, send_feature_flags=True),
        timeout=0.1,
    )
    assert event == {"x": 1}


def test_a_personless_event_has_nobodys_flags(provider: FlagServer) -> None:
    """A random id has none; nobody is asked."""
    event = captured(provider, lambda c: c.capture("bought", send_feature_flags=True))
    assert event == {"$process_person_profile": False, "$is_identified": False}
    assert provider.reads == []


def test_a_plain_capture_evaluates_nothing(provider: FlagServer) -> None:
    """Flags are on events only when asked for."""
    assert captured(provider, lambda c: c.capture("bought", "u1")) == {}
    assert provider.reads == []


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"send_feature_flags": "yes"}, "send_feature_flags"),
        ({"send_feature_flags": {"locally": True}}, "send_feature_flags.locally"),
        ({"send_feature_flags": {"person_properties": 3}}, "person_properties"),
        ({"flags": {"f": True}}, "flags"),
    ],
)
def test_misuse_of_flags_on_events_raises(
    provider: FlagServer, more: dict[str, Any], field: str
) -> None:
    """At the call, naming the field; nothing is captured."""
    with provider.client() as client, pytest.raises(FieldError) as caught:
        client.capture("bought", "u1", **more)
    assert caught.value.field == field
    assert provider.events == []
