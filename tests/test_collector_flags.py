"""Flags over HTTP: evaluated by the collector, or handed out for SDKs to evaluate."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import os
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from collector_kit import NOW, Bench
from collector_process import ServedCollector
from patience import wait_for
from penstock.collector.http.flag_file import FlagFile
from penstock.collector.sources import Sources
from penstock.errors import ConfigError
from penstock.flags import Person

if TYPE_CHECKING:
    from pathlib import Path

GOLD = {"key": "tier", "type": "person", "operator": "exact", "value": "gold"}
DEFINITIONS: dict[str, Any] = {
    "flags": [
        {
            "id": 7,
            "key": "wide",
            "version": 3,
            "has_experiment": True,
            "filters": {
                "groups": [{"properties": [], "rollout_percentage": 100}],
                "multivariate": {
                    "variants": [
                        {"key": "control", "rollout_percentage": 0},
                        {"key": "test", "rollout_percentage": 100},
                    ]
                },
                "payloads": {"test": {"cols": 3}},
            },
        },
        {"key": "gold", "filters": {"groups": [{"properties": [GOLD]}]}},
        {"key": "off", "active": False},
        {"key": "client-only", "evaluation_runtime": "client", "filters": {"groups": [{}]}},
        {"key": "server-only", "evaluation_runtime": "server", "filters": {"groups": [{}]}},
        {"key": "checkout", "evaluation_contexts": ["checkout"], "filters": {"groups": [{}]}},
        {
            "key": "company",
            "filters": {"groups": [{}], "aggregation_group_type_index": 0},
        },
        {
            "key": "device",
            "bucketing_identifier": "device_id",
            "filters": {"groups": [{"rollout_percentage": 50}]},
        },
        {"key": "limits", "filters": {"groups": [{}], "payloads": {"true": {"seats": 5}}}},
        {"key": "a/b c", "filters": {"groups": [{}], "payloads": {"true": '"text"'}}},
    ],
    "group_type_mapping": {"0": "company"},
}
READ = {"Authorization": "Bearer phs_secret"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flags.json"
    path.write_text(json.dumps(DEFINITIONS))
    return path


def bench(file: Path, *keys: str, secrets: tuple[str, ...] = ()) -> Bench:
    return Bench(*keys, flags=file, flag_keys=Sources.parse(secrets))


def ask(file: Path, version: str = "2", **more: Any) -> Any:
    body = {"api_key": "phc_demo", "distinct_id": "u-1", **more}
    reply = bench(file).post("/flags/", body, query=f"v={version}" if version else "")
    assert reply.status == 200, reply.body
    return reply.json


def test_version_2_has_a_record_per_flag(file: Path) -> None:
    """Value, reason and metadata, as PostHog's server says them."""
    told = ask(file, person_properties={"tier": "gold"})
    assert told["flags"]["wide"] == {
        "key": "wide",
        "enabled": True,
        "variant": "test",
        "reason": {
            "code": "condition_match",
            "condition_index": 0,
            "description": "Matched condition set 1",
        },
        "metadata": {
            "id": 7,
            "version": 3,
            "description": None,
            "payload": '{"cols": 3}',
            "has_experiment": True,
        },
    }
    assert told["flags"]["gold"]["enabled"] is True
    assert told["flags"]["off"]["reason"]["code"] == "flag_disabled"
    assert told["evaluatedAt"] == int(NOW * 1000)
    assert len(told["requestId"]) == 36
    assert "quotaLimited" not in told
    assert "minimalFlagCalledEvents" not in told


@pytest.mark.parametrize(
    ("version", "shape"),
    [
        ("", "bare"),
        ("1", "bare"),
        ("x", "bare"),
        ("2", "flat"),
        ("3", "typed"),
        ("4", "typed"),
        ("9", "flat"),
    ],
)
def test_every_version_gets_its_shape(file: Path, version: str, shape: str) -> None:
    """Old SDKs do not know records; unknown versions are answered as 2."""
    told = ask(file, version)
    if shape == "bare":
        assert told["featureFlags"]["wide"] == "test"
        assert told["featureFlags"]["off"] is False
        assert "gold" not in told["featureFlags"]
        assert told["featureFlagPayloads"]["wide"] == '{"cols": 3}'
        assert "flags" not in told
    elif shape == "typed":
        assert told["flags"]["wide"]["value"] == "test"
        assert told["flags"]["limits"]["value"] is True
        assert told["flags"]["gold"]["value"] is None
        assert told["flags"]["wide"]["metadata"]["config_version"] == 1
    else:
        assert told["flags"]["wide"]["variant"] == "test"


def test_what_the_collector_cannot_know_has_failed(file: Path) -> None:
    """It has no memory of people: a property that was not sent is not known to it."""
    told = ask(file)
    assert told["errorsWhileComputingFlags"] is True
    assert told["flags"]["gold"]["failed"] is True
    assert told["flags"]["gold"]["enabled"] is False
    assert told["flags"]["gold"]["reason"]["code"] == "missing_context"
    assert ask(file, flag_keys_to_evaluate=["wide"])["errorsWhileComputingFlags"] is False


def test_the_question_limits_the_flags(file: Path) -> None:
    """By keys, by runtime, by context."""
    assert set(ask(file, flag_keys_to_evaluate=["wide", "ghost"])["flags"]) == {"wide"}
    assert ask(file, flag_keys_to_evaluate=[])["flags"] == {}
    server = ask(file, evaluation_runtime="server")["flags"]
    assert "server-only" in server
    assert "client-only" not in server
    client = ask(file, evaluation_runtime="client")["flags"]
    assert "client-only" in client
    assert "server-only" not in client
    assert "checkout" in ask(file)["flags"]
    assert "checkout" not in ask(file, evaluation_contexts=["docs"])["flags"]
    assert {"checkout", "wide"} <= set(ask(file, evaluation_contexts=["checkout"])["flags"])


def test_groups_and_devices_of_the_question_count(file: Path) -> None:
    """In each of the places where SDKs put them."""
    flags = FlagFile(file).served.flags
    assert ask(file)["flags"]["company"]["reason"]["code"] == "no_group_type"
    assert ask(file, groups={"company": "acme"})["flags"]["company"]["enabled"] is True
    for number in range(8):
        device = f"d-{number}"
        expected = flags.evaluate("device", Person("u-1", device)).value
        for more in (
            {"device_id": device},
            {"$device_id": device},
            {"person_properties": {"$device_id": device}},
            {"device_id": device, "person_properties": {"$device_id": "other"}},
        ):
            assert ask(file, **more)["flags"]["device"]["enabled"] is expected, more


@pytest.mark.parametrize("who", [42, "42", "x" * 300])
def test_ids_are_read_as_the_vendor_reads_them(file: Path, who: Any) -> None:
    """A number is its digits; 200 characters count."""
    flags = FlagFile(file).served.flags
    key = "server-only"
    told = ask(file, distinct_id=who, flag_keys_to_evaluate=[key])
    assert told["flags"][key]["enabled"] is flags.evaluate(key, Person(str(who)[:200])).value


@pytest.mark.parametrize(
    ("body", "headers", "query"),
    [
        (gzip.compress, {"Content-Encoding": "gzip"}, "v=2"),
        (gzip.compress, {}, "v=2&compression=gzip-js"),
        (lambda raw: b"data=" + base64.b64encode(raw), {}, "v=2&compression=base64"),
    ],
)
def test_questions_of_browsers_are_read(file: Path, body: Any, headers: Any, query: str) -> None:
    """Compressed or wrapped, and with the key under another name."""
    raw = json.dumps({"token": "phc_demo", "distinct_id": "u-1"}).encode()
    origin = {"Origin": "http://localhost:3000"}
    reply = bench(file).request("POST", "/flags/", body(raw), {**headers, **origin}, query)
    assert reply.status == 200
    assert reply.json["flags"]["wide"]["variant"] == "test"
    assert reply.headers["access-control-allow-origin"] == "http://localhost:3000"
    asked = bench(file).request("OPTIONS", "/flags/", b"", origin)
    assert asked.status == 204
    assert asked.headers["access-control-allow-methods"] == "POST, OPTIONS"


BAD = [
    (b"", 400, "invalid_input"),
    (b"nonsense", 400, "invalid_input"),
    (b"[]", 400, "invalid_input"),
    (b'{"api_key": "phc_web"}', 400, "invalid_input"),
    (b'{"api_key": "phc_web", "distinct_id": "u", "groups": 5}', 400, "invalid_input"),
    (b'{"distinct_id": "u"}', 401, "missing_api_key"),
    (b'{"api_key": "phc_other", "distinct_id": "u"}', 401, "invalid_api_key"),
    (b'{"api_key": "phx_personal", "distinct_id": "u"}', 401, "invalid_api_key"),
]


@pytest.mark.parametrize(("body", "status", "code"), BAD)
def test_a_bad_question_is_told_so(file: Path, body: bytes, status: int, code: str) -> None:
    """In the vendor's words, never with a 500."""
    reply = bench(file, "web=phc_web").request("POST", "/flags/", body)
    assert (reply.status, reply.json["code"]) == (status, code)


asked = st.fixed_dictionaries(
    {"api_key": st.just("phc_demo")},
    optional={
        "distinct_id": strategies.json_values,
        "groups": strategies.json_values,
        "person_properties": strategies.json_objects | strategies.json_values,
        "group_properties": st.dictionaries(st.just("company"), strategies.json_values),
        "device_id": strategies.json_values,
        "flag_keys_to_evaluate": st.lists(st.sampled_from(["wide", "gold"])) | st.none(),
        "evaluation_contexts": strategies.json_values,
    },
)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flags") / "flags.json"
    path.write_text(json.dumps(DEFINITIONS))
    return path


@given(st.one_of(asked, strategies.json_values), st.sampled_from(["", "v=1", "v=2", "v=4"]))
def test_any_question_has_an_answer(lasting: Path, question: Any, query: str) -> None:
    """Flags, or what is wrong with it; in JSON either way."""
    reply = bench(lasting).request("POST", "/flags/", orjson.dumps(question), query=query)
    assert reply.status in {200, 400, 401}
    assert "requestId" in reply.json if reply.status == 200 else reply.json["code"]


def test_pages_of_strangers_may_not_ask(file: Path) -> None:
    """As with events."""
    reply = bench(file).request("POST", "/flags/", b"{}", {"Origin": "https://evil.example"})
    assert reply.status == 403


PATHS = [
    "/flags/definitions",
    "/flags/definitions/",
    "/api/feature_flag/local_evaluation",
    "/api/feature_flag/local_evaluation/",
]


@pytest.mark.parametrize("path", PATHS)
def test_definitions_are_handed_out_whole(file: Path, path: str) -> None:
    """Complete, with cohorts, and with what the file left out filled in."""
    reply = bench(file).request("GET", path, b"", READ, "token=phc_demo&send_cohorts")
    assert reply.status == 200
    told = reply.json
    assert [flag["key"] for flag in told["flags"]] == [f["key"] for f in DEFINITIONS["flags"]]
    assert told["cohorts"] == {}
    assert told["group_type_mapping"] == {"0": "company"}
    for flag in told["flags"]:
        assert isinstance(flag["id"], int)
        assert flag["version"] >= 1
        assert isinstance(flag["active"], bool)
        assert isinstance(flag["filters"]["groups"], list)
    assert told["flags"][0]["filters"]["payloads"] == {"test": '{"cols": 3}'}


def test_who_has_the_definitions_is_not_sent_them_again(file: Path) -> None:
    """By the ETag, weakened or not."""
    first = bench(file).request("GET", PATHS[0], b"", READ)
    etag = first.headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = bench(file).request("GET", PATHS[0], b"", {**READ, "If-None-Match": known})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", etag)
    other = bench(file).request("GET", PATHS[0], b"", {**READ, "If-None-Match": '"other"'})
    assert other.status == 200


def test_definitions_need_a_secret_key(file: Path) -> None:
    """A project key is public; with write keys configured, a secret one must be, too."""
    closed = bench(file, "web=phc_web", "app=WK", secrets=("sdk=phs_secret",))
    unset = bench(file, "web=phc_web", "app=WK")
    cases = [
        (bench(file), {}, "", 401),
        (bench(file), READ, "", 200),
        (bench(file), {"Authorization": "Bearer phc_demo"}, "", 401),
        (closed, READ, "", 200),
        (closed, READ, "token=phc_web", 200),
        (closed, READ, "token=phc_other", 401),
        (closed, {"Authorization": "Bearer phs_other"}, "", 401),
        (closed, {"Authorization": "Bearer phc_web"}, "", 401),
        (unset, READ, "", 401),
        (unset, {"Authorization": "Bearer phc_web"}, "", 401),
        (unset, {"Authorization": "Bearer WK"}, "", 200),
        (closed, {"Authorization": "Bearer WK"}, "", 401),
    ]
    for asked, headers, query, status in cases:
        for path in (PATHS[0], "/api/projects/@current/feature_flags/limits/remote_config"):
            assert asked.request("GET", path, b"", headers, query).status == status


def test_remote_config_is_the_payload_of_a_flag_that_is_on(file: Path) -> None:
    """JSON text within JSON; 404 for what is off or not defined."""

    def config(key: str) -> Any:
        path = f"/api/projects/@current/feature_flags/{key}/remote_config"
        return bench(file).request("GET", path, b"", READ, "token=phc_demo")

    assert json.loads(config("limits").json) == {"seats": 5}
    assert config("a/b c").json == '"text"'
    assert config("gold").json is None
    assert config("off").status == 404
    assert config("ghost").status == 404


def test_methods_that_a_path_has_not_are_refused(file: Path) -> None:
    """With those it has."""
    assert bench(file).request("GET", "/flags/").headers["allow"] == "POST"
    assert bench(file).request("POST", PATHS[0], b"", READ).headers["allow"] == "GET, HEAD"


def test_without_a_file_there_are_no_flags() -> None:
    """The paths are not there at all."""
    assert Bench().post("/flags/", {"api_key": "k", "distinct_id": "u"}).status == 404


YAML = """
flags:
  - key: wide
    filters:
      groups:
        - properties: [{key: joined, operator: is_date_after, value: 2026-01-01}]
      payloads:
        true: {cols: 3}
group_type_mapping:
  0: company
cohorts:
  55: {type: AND, values: []}
"""


def test_a_file_may_be_yaml(tmp_path: Path) -> None:
    """With numbers and booleans for keys, and dates that are no text."""
    path = tmp_path / "flags.yaml"
    path.write_text(YAML)
    served = FlagFile(path).served
    told = json.loads(served.body)
    assert told["group_type_mapping"] == {"0": "company"}
    assert told["cohorts"] == {"55": {"type": "AND", "values": []}}
    person = Person("u", None, {"joined": "2026-02-01"})
    decision = served.flags.evaluate("wide", person)
    assert (decision.value, decision.payload) == (True, {"cols": 3})


@pytest.mark.parametrize(
    "text",
    ["", "[]", "flags: 5", "{", "a: b: c", "\x00", "&a [*a]", "flags: [{key: on}]", "flags: [x]"],
)
def test_a_file_without_flags_is_refused_at_the_start(tmp_path: Path, text: str) -> None:
    """With its name, and what is wrong."""
    path = tmp_path / "flags.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"flags\.yaml"):
        FlagFile(path)
    odd = tmp_path / "odd.json"
    odd.write_text('{"flags": [{"key": "\\ud800"}]}')
    with pytest.raises(ConfigError, match="sent as JSON"):
        FlagFile(odd)
    with pytest.raises(ConfigError, match="absent"):
        FlagFile(tmp_path / "absent.json")


def test_a_changed_file_is_served_and_a_bad_one_is_told_once(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The last good one stays until there is a better."""
    caplog.set_level(logging.INFO, "penstock.collector")
    watched = FlagFile(file)
    good = watched.served
    replace(file, "{not json")

    def refreshed(what: str) -> bool:
        watched.refresh()
        return what in caplog.text

    wait_for(lambda: refreshed("cannot be used"), "the complaint")
    for _ in range(5):
        watched.refresh()
    assert caplog.text.count("cannot be used") == 1
    assert watched.served is good
    file.unlink()
    wait_for(lambda: refreshed("No such file") or "No such" in told(caplog), "the second")
    assert watched.served is good
    replace(file, json.dumps({"flags": [{"key": "new", "filters": {"groups": [{}]}}]}))
    wait_for(lambda: watched.refresh() or watched.served is not good, "the new one")
    assert list(watched.served.flags.definitions.flags) == ["new"]
    assert watched.served.etag != good.etag


def told(caplog: pytest.LogCaptureFixture) -> str:
    return " ".join(str(vars(record)) for record in caplog.records)


def replace(path: Path, text: str) -> None:
    """As an editor saves: a new file in the place of the old."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)  # noqa: PTH105 - said as it is


def test_what_cannot_be_evaluated_is_told_when_it_is_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Which flag, and why."""
    path = tmp_path / "flags.json"
    bad = {"key": "bad", "filters": {"groups": [{"rollout_percentage": "50"}]}}
    path.write_text(json.dumps({"flags": [bad, {"key": "good", "filters": {"groups": [{}]}}]}))
    caplog.set_level(logging.INFO, "penstock.collector")
    served = FlagFile(path).served
    assert served.flags.evaluate("good", Person("u")).value is True
    assert "cannot be evaluated" in caplog.text
    assert "rollout_percentage" in told(caplog)


def test_a_served_collector_follows_its_file(file: Path, tmp_path: Path) -> None:
    """All workers of a real one, within seconds."""
    served = ServedCollector(tmp_path / "store", "--flags", str(file), workers=2)
    body = {"api_key": "phc_demo", "distinct_id": "u-1"}
    assert served.post("/flags/?v=2", body) == 200
    replace(file, json.dumps({"flags": [{"key": "new", "filters": {"groups": [{}]}}]}))

    def followed() -> bool:
        return all(b'"new"' in question(served.port, body) for _ in range(8))

    wait_for(followed, "the new file")
    assert served.stop() == 0


def question(port: int, body: object) -> bytes:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/flags/?v=2", json.dumps(body))
        return connection.getresponse().read()
    finally:
        connection.close()
