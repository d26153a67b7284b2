"""Asking the provider: what is sent, what comes of it, and how long it takes at most."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import penstock
from faults.rules import Answer, status
from flag_server import PROJECT_KEY, FlagServer, answer, record
from patience import wait_for
from penstock import Client, Config, FieldError, FlagSettings, PostHog, Segment
from penstock.errors import ClosedError, ConfigError
from penstock.transport import TransportError
from penstock.transport.memory import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Callable

#: What a read may take beyond its timeout, in seconds; and where others use the machine, too.
TOLERANCE_S, SHARED_S = 0.05, 0.25


def taken(work: Callable[[], Any]) -> float:
    """Seconds that *work* takes."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def assert_in_time(work: Callable[[], Any], timeout: float) -> None:
    """*work* keeps to its timeout: one of three times to the letter, each time nearly."""
    lasted = [taken(work) for _ in range(3)]
    assert min(lasted) <= timeout + TOLERANCE_S
    assert max(lasted) <= timeout + SHARED_S


# -- what is sent ----------------------------------------------------------------------------


def test_a_read_sends_what_the_provider_needs(provider: FlagServer) -> None:
    """Every field of the reference, objects also where they are empty, and no credential header."""
    provider.flags = answer(record("f"))
    with provider.client() as client:
        assert client.flags.get("f", "u1").value is True
    (exchange,) = [one for one in provider.sink.exchanges if "/flags/" in one.request.path]
    assert exchange.request.path == "/flags/?v=2"
    assert "authorization" not in exchange.request.headers
    assert exchange.request.headers["user-agent"].startswith("penstock/")
    (body,) = provider.reads
    assert datetime.fromisoformat(body.pop("sent_at")).tzinfo is not None
    assert body == {
        "api_key": PROJECT_KEY,
        "distinct_id": "u1",
        "groups": {},
        "person_properties": {},
        "group_properties": {},
        "geoip_disable": True,
        "evaluation_runtime": "server",
        "flag_keys_to_evaluate": ["f"],
    }


def test_the_options_of_a_read_are_sent(provider: FlagServer) -> None:
    """Overrides as they were given, each group with its key, and values JSON cannot carry."""
    settings = {"evaluation_contexts": ["web"], "api_version": 4}
    with provider.client(**settings) as client:
        client.flags.get(
            "f",
            7,
            groups={"company": "acme", "project": 3},
            person_properties={
                "$geoip_country_code": "DE",
                "score": float("nan"),
                "since": datetime(2026, 1, 2, tzinfo=UTC),
            },
            group_properties={"company": {"seats": 5}, "team": {"x": 1}},
            device_id="d1",
            disable_geoip=False,
        )
        client.flags.all("u1")
    one, every = provider.reads
    assert one["distinct_id"] == "7"
    assert one["groups"] == {"company": "acme", "project": "3"}
    assert one["person_properties"] == {
        "$geoip_country_code": "DE",
        "score": None,
        "since": "2026-01-02T00:00:00.000Z",
    }
    assert one["group_properties"] == {
        "company": {"$group_key": "acme", "seats": 5},
        "project": {"$group_key": "3"},
    }
    assert (one["device_id"], one["geoip_disable"]) == ("d1", False)
    assert one["evaluation_contexts"] == ["web"]
    assert "flag_keys_to_evaluate" not in every
    assert provider.sink.exchanges[0].request.path == "/flags/?v=4"


def test_the_scope_says_who_and_on_which_device(provider: FlagServer) -> None:
    """What the call does not say itself."""
    with provider.client() as client:
        with penstock.scoped(user_id="u1", context={"device": {"id": "d1"}}):
            client.flags.get("f")
            client.flags.get("f", "u2", device_id="d2")
        with penstock.scoped(anonymous_id="a1"):
            client.flags.get("f")
    assert [(one["distinct_id"], one.get("device_id")) for one in provider.reads] == [
        ("u1", "d1"),
        ("u2", "d2"),
        ("a1", None),
    ]


def test_the_keys_of_a_read_limit_it(provider: FlagServer) -> None:
    """One request for all of them, whatever else is answered; none for no keys."""
    provider.flags = answer(record("a"), record("b", "wide"), record("c", value=False))
    with provider.client() as client:
        assert client.flags.all("u1", keys=["a", "b", "a"]) == {"a": True, "b": "wide"}
        assert client.flags.all("u1", keys=[]) == {}
        assert len(client.flags.evaluate("u1", keys=[])) == 0
    assert [one["flag_keys_to_evaluate"] for one in provider.reads] == [["a", "b"]]


# -- what comes of it --------------------------------------------------------------------------


def test_a_result_tells_everything(provider: FlagServer) -> None:
    """Value, variant, payload, reason and facts in one."""
    provider.flags = answer(record("f", "wide", payload='{"cols": 3}'))
    with provider.client() as client:
        found = client.flags.get("f", "u1")
    assert found
    assert (found.value, found.variant, found.enabled) == ("wide", "wide", True)
    assert found.payload == {"cols": 3}
    assert (found.reason, found.error, found.source) == ("condition_match", None, "remote")
    assert (found.flag_id, found.version, found.locally_evaluated) == (41, 7, False)
    assert found.request_id == "0190b1c0-0000-7000-8000-000000000001"
    assert repr(found) == "Evaluation('f', 'wide', reason='condition_match', source='remote')"


FAILURES = {
    "500": (status(500), "api_error_500", 1),
    "502": (status(502), "api_error_502", 2),
    "503": (status(503), "api_error_503", 1),
    "504": (status(504), "api_error_504", 2),
    "401": (status(401), "api_error_401", 1),
    "402": (status(402), "api_error_402", 1),
    "408": (status(408), "api_error_408", 1),
    "429": (status(429, retry_after="9"), "api_error_429", 1),
    "302": (status(302), "api_error_302", 1),
    "rubbish": (Answer(body=b"<html>it works</html>"), "unknown_error", 1),
    "other json": (Answer(body=b'{"success":true}'), "unknown_error", 1),
    "flags of a wrong type": (Answer(body=b'{"flags":[]}'), "unknown_error", 1),
    "quota": (Answer(body=b'{"flags":{},"quotaLimited":["feature_flags"]}'), "quota_limited", 1),
    "reset": (Answer(ending="reset"), "connection_error", 2),
    "cut": (Answer(ending="cut"), "connection_error", 2),
}


@pytest.mark.parametrize("case", FAILURES)
def test_each_trouble_is_a_default_and_a_reason(provider: FlagServer, case: str) -> None:
    """Nothing is raised, the error has its name, and only what can pass is tried again."""
    provider.flags, error, requests = FAILURES[case]
    with provider.client(timeout=3.0) as client:
        found = client.flags.get("f", "u1", send_events=False)
        assert (found.value, found.error, found.source) == (None, error, "none")
        assert not found
        assert len(provider.sink.exchanges) == requests
        assert client.flags.enabled("f", "u1", default=True, send_events=False) is True
        assert client.flags.payload("f", "u1") is None
        assert client.flags.all("u1") == {}
        snapshot = client.flags.evaluate("u1")
        assert (snapshot.values, snapshot.trouble) == ({}, error)
        assert snapshot.get("f", send_events=False).error == error


def test_a_refused_connection_is_not_tried_again(provider: FlagServer) -> None:
    """It would be refused again."""
    provider.sink.stop()
    with provider.client() as client:
        found = client.flags.get("f", "u1", send_events=False)
        assert found.error == "connection_error"
        assert taken(lambda: client.flags.get("f", "u1", send_events=False)) < 0.2


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_retries_can_be_set(provider: FlagServer, retries: int) -> None:
    """Each waits twice as long as the one before."""
    provider.flags = status(502)
    with provider.client(retries=retries) as client:
        lasted = taken(lambda: client.flags.get("f", "u1", send_events=False))
    assert len(provider.reads) == retries + 1
    assert lasted >= sum(0.3 * 2**attempt for attempt in range(retries))


def test_a_second_try_can_succeed(provider: FlagServer) -> None:
    """A gateway that hiccups costs 0.3 seconds and no answer."""
    bodies = iter([status(504), answer(record("f"))])
    with provider.client() as client:
        provider.sink.plan(lambda _: _next(provider, bodies))
        assert client.flags.get("f", "u1", send_events=False).value is True
    assert len(provider.reads) == 2


def _next(provider: FlagServer, bodies: Any) -> Answer:
    provider.flags = next(bodies)
    made = provider.flags
    if isinstance(made, Answer):
        return made
    import json

    return Answer(body=json.dumps(made).encode())


# -- time ------------------------------------------------------------------------------------

SLOW = {
    "never answers": Answer(ending="hang"),
    "answers after 10 s": Answer(wait_s=10.0),
    "a byte at a time": Answer(pace_s=0.1, body=b'{"flags":{}}'),
    "endless headers": Answer(ending="endless", body=b""),
}


READS: dict[str, Callable[[Client], Any]] = {
    "get": lambda client: client.flags.get("f", "u1", timeout=0.2).error,
    "all": lambda client: client.flags.all("u1", timeout=0.2),
    "evaluate": lambda client: client.flags.evaluate("u1", timeout=0.2).trouble,
}


@pytest.mark.parametrize("case", SLOW)
@pytest.mark.parametrize("read", READS)
def test_no_read_takes_longer_than_its_timeout(provider: FlagServer, case: str, read: str) -> None:
    """Whatever the provider does, and retries included."""
    provider.flags = SLOW[case]
    with provider.client() as client:
        client.flags.get("f", "u0", timeout=0.01, send_events=False)  # imports the HTTP library
        assert_in_time(lambda: READS[read](client), 0.2)
        error = "connection_error" if case == "endless headers" else "timeout"
        assert READS[read](client) in (error, {})


def test_a_connection_that_is_never_accepted_keeps_to_the_timeout(provider: FlagServer) -> None:
    """Nor does one that is accepted and never read."""
    provider.sink.welcome = "hang"
    with provider.client(timeout=0.2) as client:
        assert_in_time(lambda: client.flags.get("f", "u1", send_events=False), 0.2)


def test_a_name_that_is_slow_to_look_up_keeps_to_the_timeout(
    provider: FlagServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The resolver cannot be interrupted, so nobody waits for it."""
    lookup = socket.getaddrinfo

    def slow(*args: Any, **more: Any) -> Any:
        time.sleep(2.0)  # the subject: a resolver that takes its time
        return lookup(*args, **more)

    with provider.client() as client:
        client.flags.get("f", "u0", send_events=False)
        monkeypatch.setattr(socket, "getaddrinfo", slow)
        client.flags._carrier.close()
        assert_in_time(lambda: client.flags.get("f", "u1", timeout=0.2, send_events=False), 0.2)


def test_after_some_timeouts_the_provider_is_left_alone_for_a_moment(provider: FlagServer) -> None:
    """A slow provider does not hold up every caller, and is asked again soon."""
    provider.flags = Answer(ending="hang")
    with provider.client(timeout=0.1) as client:
        for user in range(5):
            client.flags.get("f", f"u{user}", send_events=False)
        asked = len(provider.reads)
        assert taken(lambda: client.flags.get("f", "u9", send_events=False)) < 0.05
        assert client.flags.get("f", "u9", send_events=False).error == "timeout"
        assert len(provider.reads) == asked
        provider.flags = answer(record("f"))
        wait_for(lambda: client.flags.get("f", "u9", send_events=False), "an answer", 5.0)


# -- a client that cannot ask ----------------------------------------------------------------


def test_a_disabled_client_reads_nothing_and_asks_nobody() -> None:
    """Every read has no value, and says why."""
    client = Client(PostHog("phc_x"), config=Config(disabled=True, journal=None))
    assert client.flags.get("f", "u1").reason == "client_disabled"
    assert client.flags.all("u1") == {}
    assert client.flags.evaluate("u1").keys == []
    assert client.flags.remote_config("f") is None
    assert client.capture("e", "u1", send_feature_flags=True) == ""


def test_without_a_provider_the_error_names_the_fix() -> None:
    """A destination that serves flags, or the settings."""
    with Client(Segment("k"), config=Config(journal=None)) as client:
        with pytest.raises(ConfigError, match=r"add PostHog\(key\) or Collector\(key\)"):
            _ = client.flags
        with pytest.raises(ConfigError):
            client.capture("e", "u1", send_feature_flags=True)


def test_the_settings_can_name_another_provider(provider: FlagServer) -> None:
    """Events go to Segment, flags come from elsewhere; a mistake shows when the client is made."""
    provider.flags = answer(record("f"))
    settings = FlagSettings(endpoint=provider.sink.url, project_key="phc_other")
    config = Config(journal=None, flags=settings, transport=None)
    with Client(Segment("k", endpoint=provider.sink.url), config=config) as client:
        assert client.flags.get("f", "u1", send_events=False).value is True
    assert provider.reads[0]["api_key"] == "phc_other"
    with pytest.raises(ConfigError, match=r"flags\.project_key"):
        Client(Segment("k"), config=Config(journal=None, flags=FlagSettings(endpoint="http://x")))


def test_reads_after_close_raise(provider: FlagServer) -> None:
    """As every other call does."""
    client = provider.client()
    flags = client.flags
    client.close()
    for read in (lambda: flags.get("f", "u1"), lambda: flags.all("u1"), flags.reload):
        with pytest.raises(ClosedError):
            read()


MISUSE: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("key", ("", "u1"), {}),
    ("key", (None, "u1"), {}),
    ("distinct_id", ("f",), {}),
    ("distinct_id", ("f", ""), {}),
    ("distinct_id", ("f", 1.5), {}),
    ("groups", ("f", "u1"), {"groups": ["company"]}),
    ("groups", ("f", "u1"), {"groups": {"company": 1.5}}),
    ("person_properties", ("f", "u1"), {"person_properties": "tier"}),
    ("group_properties", ("f", "u1"), {"group_properties": {"company": 3}}),
    ("device_id", ("f", "u1"), {"device_id": 1.5}),
    ("timeout", ("f", "u1"), {"timeout": 0}),
    ("timeout", ("f", "u1"), {"timeout": "3"}),
    ("disable_geoip", ("f", "u1"), {"disable_geoip": "no"}),
    ("only_evaluate_locally", ("f", "u1"), {"only_evaluate_locally": 1}),
]


@pytest.mark.parametrize(("field", "args", "options"), MISUSE)
def test_misuse_raises_and_names_the_field(
    provider: FlagServer, field: str, args: tuple[Any, ...], options: dict[str, Any]
) -> None:
    """At the call, before anybody is asked."""
    with provider.client() as client, pytest.raises(FieldError) as caught:
        client.flags.get(*args, **options)
    assert caught.value.field == field
    assert provider.reads == []


def test_an_unknown_option_is_a_type_error(provider: FlagServer) -> None:
    """As for any function."""
    with provider.client() as client, pytest.raises(TypeError, match="person_propertys"):
        client.flags.all("u1", person_propertys={})  # type: ignore[call-arg]


# -- stale and bootstrap values ----------------------------------------------------------------


def test_the_last_answer_stands_in_for_a_while(provider: FlagServer) -> None:
    """For this person, flag and groups; the error is told all the same."""
    provider.flags = answer(record("f", "wide", payload="1"))
    with provider.client(stale_for=60.0) as client:
        flags = client.flags
        flags.get("f", "u1", groups={"company": "acme"}, send_events=False)
        provider.flags = status(500)
        kept = flags.get("f", "u1", groups={"company": "acme"}, send_events=False)
        assert (kept.value, kept.payload, kept.reason) == ("wide", 1, "stale")
        assert (kept.error, kept.source) == ("api_error_500", "cache")
        assert flags.get("f", "u1", send_events=False).value is None
        assert flags.get("f", "u2", groups={"company": "acme"}, send_events=False).value is None


def test_an_old_answer_does_not(provider: FlagServer) -> None:
    """It is good for as long as the settings say."""
    provider.flags = answer(record("f"))
    with provider.client(stale_for=0.05) as client:
        client.flags.get("f", "u1", send_events=False)
        provider.flags = status(500)
        wait_for(
            lambda: client.flags.get("f", "u1", send_events=False).value is None, "its end", 5.0
        )


def test_bootstrap_values_stand_in_for_a_provider_that_does_not_answer(
    provider: FlagServer,
) -> None:
    """But not for one that says there is no such flag."""
    given = {"f": "wide", "g": {"value": True, "payload": '{"a": 1}'}, "off": False}
    with provider.client(bootstrap=given) as client:
        provider.flags = status(500)
        found = client.flags.get("g", "u1", send_events=False)
        assert (found.value, found.payload, found.reason) == (True, {"a": 1}, "bootstrap")
        assert (found.error, found.source) == ("api_error_500", "bootstrap")
        off = client.flags.get("off", "u1", send_events=False)
        assert (off.value, off.source) == (False, "bootstrap")
        assert client.flags.all("u1") == {"f": "wide", "g": True, "off": False}
        provider.flags = answer(record("f", value=False))
        assert client.flags.get("f", "u1", send_events=False).value is False
        assert client.flags.get("g", "u1", send_events=False).value is None


def test_bootstrap_values_alone_need_no_provider() -> None:
    """For tests, and for programs that ship with their flags."""
    settings = FlagSettings(bootstrap={"f": "wide"})
    with Client(Segment("k"), config=Config(journal=None, flags=settings)) as client:
        assert client.flags.get("f", "u1", send_events=False).value == "wide"
        assert client.flags.all("u1") == {"f": "wide"}
        assert client.flags.get("g", "u1", send_events=False).error == "flag_missing"
    with pytest.raises(ConfigError, match="bootstrap"):
        Client(Segment("k"), config=Config(journal=None, flags=FlagSettings(bootstrap={"f": 3})))


# -- remote config, async, transports ----------------------------------------------------------


def test_remote_config_is_decoded_once(provider: FlagServer) -> None:
    """Asked for with the secret key; the flag's key is quoted."""
    provider.remote_config = Answer(body=b'"{\\"a\\": 1}"')
    with provider.client(secret="phs_loopback_only", local=False) as client:
        assert client.flags.remote_config("a/b c") == '{"a": 1}'
    (exchange,) = provider.sink.exchanges
    assert exchange.request.path == (
        f"/api/projects/@current/feature_flags/a%2Fb%20c/remote_config?token={PROJECT_KEY}"
    )
    assert exchange.request.headers["authorization"] == "Bearer phs_loopback_only"


@pytest.mark.parametrize("trouble", [status(404), Answer(ending="hang"), Answer(body=b"{")])
def test_remote_config_that_fails_is_none(provider: FlagServer, trouble: Answer) -> None:
    """Within the timeout; also without a secret key, and then nobody is asked."""
    provider.remote_config = trouble
    with provider.client(secret="phs_loopback_only", local=False) as client:
        client.flags.remote_config("f", timeout=0.3)
        assert_in_time(lambda: client.flags.remote_config("f", timeout=0.2), 0.2)
    with provider.client() as client:
        asked = len(provider.sink.exchanges)
        assert client.flags.remote_config("f") is None
        assert len(provider.sink.exchanges) == asked


def test_a_transport_of_the_hosts_carries_flags_too() -> None:
    """And whatever it raises is a connection error."""
    raised = MemoryTransport([RuntimeError("no"), TransportError("dns"), 200])
    settings = FlagSettings(retries=0)
    config = Config(journal=None, transport=raised, flags=settings)
    with Client(PostHog("phc_x"), config=config) as client:
        for error in ("connection_error", "connection_error", "unknown_error"):
            assert client.flags.get("f", "u1", send_events=False).error == error
