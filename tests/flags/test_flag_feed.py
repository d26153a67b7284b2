"""Definitions that keep themselves up to date, and what an outage does to them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import requirement
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
    until,
)
from penstock import Client, Config, ConfigError, FlagSettings, PostHog
from penstock.errors import ClosedError
from penstock.flags.shelf import Shelf
from penstock.testing import FakeClock

if TYPE_CHECKING:
    from penstock.flags.changes import Change


def threads() -> int:
    """Threads that load definitions."""
    return sum(one.name == "penstock-flags" for one in threading.enumerate())


def local(provider: FlagServer, **flags: Any) -> Client:
    """A client that has its definitions."""
    client = provider.client(secret=SECRET_KEY, **{"poll_interval": NEVER_S, **flags})
    assert client.flags.wait_until_ready(10)
    return client


def on_disk(provider: FlagServer, journal: Path, **flags: Any) -> Client:
    """A client with a journal on disk."""
    settings = FlagSettings(secret_key=SECRET_KEY, **{"poll_interval": NEVER_S, **flags})
    config = Config(journal=journal, flags=settings)
    return Client(PostHog(PROJECT_KEY, provider.sink.url), config=config)


# -- loading -----------------------------------------------------------------------------------


def test_definitions_are_loaded_when_the_client_is_made(provider: FlagServer) -> None:
    """With both keys, and without waiting for a read."""
    provider.definitions = definitions(flag("f"))
    with provider.client(secret=SECRET_KEY, poll_interval=NEVER_S) as client:
        until(lambda: client.flags.definitions)
        (look,) = provider.looks
        assert provider.query(look) == {"token": PROJECT_KEY, "send_cohorts": "true"}
        assert look.request.headers["authorization"] == f"Bearer {SECRET_KEY}"
        assert "if-none-match" not in look.request.headers


def test_flags_are_decided_here(provider: FlagServer) -> None:
    """No request, whatever is read."""
    gold = condition(filter_("tier", ["gold"]))
    provider.definitions = definitions(
        flag("f", gold, filters={"payloads": {"true": '{"a": 1}'}}), flag("off", active=False)
    )
    with local(provider, send_events=False) as client:
        asked = len(provider.sink.exchanges)
        found = client.flags.get("f", "u1", person_properties={"tier": "gold"})
        assert (found.value, found.source, found.reason) == (True, "local", "condition_match")
        assert (found.payload, found.flag_id, found.version) == ({"a": 1}, 41, 7)
        assert client.flags.payload("f", "u1", person_properties={"tier": "gold"}) == {"a": 1}
        options = {"person_properties": {"tier": "tin"}}
        assert client.flags.all("u1", **options) == {"f": False, "off": False}
        assert client.flags.evaluate("u1", **options).values == {"f": False, "off": False}
        assert len(provider.sink.exchanges) == asked


def test_what_cannot_be_decided_here_is_asked_for(provider: FlagServer) -> None:
    """Only that key; with `only_evaluate_locally` nobody is asked."""
    provider.definitions = definitions(flag("f", condition(filter_("tier", ["gold"]))), flag("g"))
    provider.flags = answer(record("f"))
    with local(provider, send_events=False) as client:
        alone = client.flags.get("f", "u1", only_evaluate_locally=True)
        assert (alone.value, alone.error) == (None, "local_evaluation_inconclusive")
        assert alone.reason == "missing_context"
        missing = client.flags.get("x", "u1", only_evaluate_locally=True)
        assert (missing.value, missing.error) == (None, "flag_missing")
        assert client.flags.all("u1", only_evaluate_locally=True) == {"g": True}
        assert provider.reads == []
        assert client.flags.get("f", "u1").source == "remote"
        assert client.flags.all("u1") == {"f": True, "g": True}
        assert [one.get("flag_keys_to_evaluate") for one in provider.reads] == [["f"], None]


def test_local_values_stay_where_the_provider_has_others(provider: FlagServer) -> None:
    """It fills gaps, in one request for all of them."""
    provider.definitions = definitions(flag("f", condition(filter_("tier", ["gold"]))), flag("g"))
    provider.flags = answer(record("f", "wide"), record("g", value=False))
    with local(provider, send_events=False) as client:
        snapshot = client.flags.evaluate("u1")
        assert snapshot.values == {"f": "wide", "g": True}
        assert snapshot.unresolved == {}
        provider.flags = status(500)
        snapshot = client.flags.evaluate("u1")
        assert snapshot.values == {"g": True}
        assert snapshot.unresolved == {"f": "missing_context"}
        error = "api_error_500,local_evaluation_inconclusive"
        assert snapshot.get("f").error == error
    assert len(provider.reads) == 2


def test_a_flag_for_browsers_alone_causes_no_request(provider: FlagServer) -> None:
    """That it cannot be decided here is as it should be."""
    gold = condition(filter_("tier", ["gold"]))
    provider.definitions = definitions(flag("f", gold, evaluation_runtime="client"), flag("g"))
    with local(provider) as client:
        assert client.flags.all("u1") == {"g": True}
        assert client.flags.runtime_of("f") == "client"
        assert client.flags.keys_for("server") == ["g"]
        assert client.flags.keys_for("client") == ["f", "g"]
    assert provider.reads == []


def test_flags_of_other_contexts_do_not_exist_here_either(provider: FlagServer) -> None:
    """As the provider would leave them out."""
    provider.definitions = definitions(
        flag("f"),
        flag("web", evaluation_contexts=["web"]),
        flag("app", evaluation_contexts=["app"]),
    )
    with local(provider, evaluation_contexts=["app", "cli"], send_events=False) as client:
        assert client.flags.all("u1") == {"f": True, "app": True}
        assert client.flags.all("u1", keys=["web", "app"]) == {"app": True}
        found = client.flags.get("web", "u1")
        assert (found.value, found.error) == (None, "flag_missing")
    assert provider.reads == []


def test_a_key_that_the_provider_does_not_have_is_asked_for_once(provider: FlagServer) -> None:
    """Until the next look at the definitions."""
    provider.definitions = definitions(flag("f"))
    with local(provider, send_events=False) as client:
        for _ in range(3):
            assert client.flags.get("x", "u1").error == "flag_missing"
            assert client.flags.all("u1", keys=["f", "x"]) == {"f": True}
        assert len(provider.reads) == 1
        assert client.flags.reload()
        client.flags.get("x", "u1")
        assert len(provider.reads) == 2
        provider.flags = answer(errorsWhileComputingFlags=True)
        assert client.flags.reload()
        client.flags.get("x", "u1")
        client.flags.get("x", "u1")  # that answer did not say that there is no such flag
        assert len(provider.reads) == 4


def test_a_read_before_the_first_load_waits_for_it(provider: FlagServer) -> None:
    """And is answered by it."""
    body = json.dumps(definitions(flag("f"))).encode()
    provider.definitions = Answer(body=body, wait_s=0.2)
    with provider.client(secret=SECRET_KEY, poll_interval=NEVER_S) as client:
        assert client.flags.get("f", "u1", send_events=False).source == "local"
    assert provider.reads == []


def test_a_first_load_that_takes_long_holds_no_read_up(provider: FlagServer) -> None:
    """Half the time is for waiting, the other half for asking."""
    provider.definitions = Answer(ending="hang")
    provider.flags = answer(record("f"))
    with provider.client(secret=SECRET_KEY, poll_interval=NEVER_S, bootstrap={"g": True}) as client:
        assert client.flags.get("g", "u1", send_events=False).reason == "bootstrap"
        assert client.flags.get("f", "u1", timeout=0.6, send_events=False).source == "remote"
        started = time.monotonic()
        alone = client.flags.get(
            "f", "u1", timeout=0.3, only_evaluate_locally=True, send_events=False
        )
        assert time.monotonic() - started <= 0.35
        assert alone.error == "flag_missing"


def test_no_read_waits_for_ever_for_a_first_load(
    provider: FlagServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once reads have waited long enough, none waits any more."""
    monkeypatch.setattr("penstock.flags.feed.PATIENCE_S", 0.3)
    provider.definitions = Answer(ending="hang")
    with provider.client(secret=SECRET_KEY, send_events=False) as client:
        started = time.monotonic()
        for _ in range(20):
            client.flags.get("f", "u1", timeout=1.0, only_evaluate_locally=True)
        assert time.monotonic() - started < 0.9


# -- refreshing --------------------------------------------------------------------------------


def test_an_etag_is_sent_back_and_304_confirms(provider: FlagServer) -> None:
    """The definitions stay, and are as good as new."""
    provider.definitions = definitions(flag("f"))
    provider.etag = '"v1"'
    with local(provider) as client:
        before = client.flags.definitions
        assert client.flags.reload()
        assert provider.looks[-1].request.headers["if-none-match"] == '"v1"'
        assert client.flags.definitions is before
        assert client.flags.definitions_age is not None
        assert client.flags.definitions_age < 5


def test_definitions_change_under_a_running_client(provider: FlagServer) -> None:
    """At the next look, in one step; who listens is told which flags differ."""
    provider.definitions = definitions(flag("f"), flag("g"))
    told: list[Change] = []
    with local(provider, poll_interval=0.1, send_events=False) as client:
        assert client.flags.reload()  # the first load has been told of
        unlisten = client.flags.listen(told.append)
        provider.definitions = definitions(flag("f", version=8, active=False), flag("g"))
        until(lambda: client.flags.get("f", "u1").value is False)
        until(lambda: told)
        assert told[0].keys == ("f",)
        unlisten()


OUTAGES = {
    "500": status(500),
    "503": status(503),
    "403": status(403),
    "429": status(429),
    "404": status(404),
    "rubbish": Answer(body=b"<html>"),
    "no flags": Answer(body=b'{"cohorts": {}}'),
    "reset": Answer(ending="reset"),
    "cut": Answer(ending="cut"),
    "redirect": status(302),
}


@pytest.mark.parametrize("case", OUTAGES)
def test_an_outage_leaves_the_last_good_definitions(provider: FlagServer, case: str) -> None:
    """Without limit of age; a reload says that it failed, and no read looks."""
    provider.definitions = definitions(flag("f"))
    with local(provider, send_events=False) as client:
        provider.definitions = OUTAGES[case]
        assert not client.flags.reload()
        assert client.flags.trouble
        looks = len(provider.looks)
        for user in range(50):
            assert client.flags.get("f", f"u{user}").source == "local"
        assert len(provider.looks) == looks
    assert provider.reads == []


@pytest.mark.parametrize("code", [401, 402])
def test_a_refused_key_takes_the_definitions_away(
    provider: FlagServer, code: int, tmp_path: Path
) -> None:
    """Also from the disk; reads go to the provider, and nobody looks before the wait is over."""
    provider.definitions = definitions(flag("f"))
    provider.flags = answer(record("f", value=False))
    with on_disk(provider, tmp_path) as client:
        assert client.flags.wait_until_ready(10)
        until(lambda: list(tmp_path.glob("flags/*.definitions")))
        provider.definitions = status(code)
        assert not client.flags.reload()
        assert client.flags.definitions is None
        assert client.flags.get("f", "u1", send_events=False).source == "remote"
        assert list(tmp_path.glob("flags/*")) == []
        looks = len(provider.looks)
        assert not client.flags.reload()
        assert len(provider.looks) == looks


def test_no_read_fetches_while_definitions_cannot_be_loaded(provider: FlagServer) -> None:
    """The poller does, on its own schedule; reads go to the provider at once."""
    provider.definitions = status(500)
    provider.flags = answer(record("f"))
    with provider.client(secret=SECRET_KEY, poll_interval=NEVER_S, send_events=False) as client:
        until(lambda: client.flags.trouble)
        for _ in range(5):
            assert client.flags.get("f", "u1").source == "remote"
        assert len(provider.looks) <= 2


def test_an_outage_that_ends_is_noticed_soon(provider: FlagServer) -> None:
    """Seconds, not an interval."""
    provider.definitions = status(500)
    with provider.client(secret=SECRET_KEY, poll_interval=NEVER_S) as client:
        until(lambda: provider.looks)
        provider.definitions = definitions(flag("f"))
        assert client.flags.wait_until_ready(5)
        until(lambda: client.flags.trouble == "")


def test_a_flapping_provider_disturbs_nobody(provider: FlagServer) -> None:
    """Every other look fails, in a way of its own; every read is answered here."""
    good = json.dumps(definitions(flag("f"))).encode()
    troubles = iter([*OUTAGES.values()] * 50)

    def flap(exchange: Any) -> Answer | None:
        if "/flags/definitions" not in exchange.request.path:
            return None
        return Answer(body=good) if len(provider.looks) % 2 == 0 else next(troubles)

    provider.sink.plan(flap)
    with local(provider, poll_interval=0.1, send_events=False) as client:
        deadline = time.monotonic() + 2.0
        while time.monotonic() < deadline:
            assert client.flags.get("f", "u1").source == "local"
    assert provider.reads == []


def test_definitions_larger_than_an_answer_to_events_are_loaded(provider: FlagServer) -> None:
    """A thousand flags with cohorts take more than a mebibyte."""
    padding = "x" * 3000
    provider.definitions = definitions(*(flag(f"f{n}", name=padding) for n in range(1000)))
    with local(provider, send_events=False) as client:
        assert len(client.flags.definitions or ()) == 1000
        assert client.flags.get("f999", "u1").source == "local"


# -- when things fail that never should ----------------------------------------------------------


def test_a_machine_without_threads_reads_all_the_same(
    provider: FlagServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By asking, on the caller's own thread; nobody waits for definitions that cannot come."""
    begin = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith("penstock-flags"):
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    provider.definitions = definitions(flag("f"))
    provider.flags = answer(record("f"))
    with provider.client(secret=SECRET_KEY, send_events=False) as client:
        started = time.monotonic()
        assert client.flags.get("f", "u1").source == "remote"
        assert not client.flags.reload()
        assert time.monotonic() - started < 1.0


def test_a_listener_that_raises_disturbs_nobody(
    provider: FlagServer, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told of in the log; the others are told of the change."""
    provider.definitions = definitions(flag("f"))
    told: list[Change] = []

    def broken(_: Change) -> None:
        raise ValueError("of the host's")

    with local(provider) as client:
        assert client.flags.reload()  # the first load has been told of
        client.flags.listen(broken)
        client.flags.listen(told.append)
        provider.definitions = definitions(flag("g"))
        assert client.flags.reload()
        assert told[0].keys == ("g", "f")
    assert "a listener to flags raised ValueError" in caplog.text


def test_the_poller_survives_a_fault_of_its_own(
    provider: FlagServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads go on with what there is, and so do the looks."""
    provider.definitions = definitions(flag("f"))
    with local(provider, send_events=False) as client:
        with monkeypatch.context() as patch:
            patch.setattr("penstock.flags.feed.compile_flags", lambda _: 1 / 0)
            provider.definitions = definitions(flag("g"))
            assert not client.flags.reload()
            assert client.flags.trouble == "ZeroDivisionError"
            assert client.flags.get("f", "u1").source == "local"
        assert client.flags.reload()
        assert client.flags.get("g", "u1").source == "local"


def test_relative_dates_follow_the_clock_of_the_settings(provider: FlagServer) -> None:
    """As timestamps do."""
    recent = filter_("since", "7d", "is_date_after")
    provider.definitions = definitions(flag("f", condition(recent)))
    clock = FakeClock()
    settings = FlagSettings(secret_key=SECRET_KEY, poll_interval=NEVER_S, send_events=False)
    config = Config(journal=None, flags=settings, clock=clock)
    with Client(PostHog(PROJECT_KEY, provider.sink.url), config=config) as client:
        assert client.flags.wait_until_ready(10)
        options: Any = {"person_properties": {"since": "2025-12-30"}}
        assert client.flags.get("f", "u1", **options).value is True
        assert client.flags.all("u1", **options) == {"f": True}
        clock.advance(7 * 86400)
        assert client.flags.get("f", "u1", **options).value is False
        assert client.flags.evaluate("u1", **options).value("f") is False


# -- one per process ---------------------------------------------------------------------------


def test_clients_of_one_project_share_one_poller(provider: FlagServer) -> None:
    """Its thread ends with the last of them."""
    provider.definitions = definitions(flag("f"))
    clients = [local(provider) for _ in range(5)]
    assert len(provider.looks) == 1
    assert threads() == 1
    for client in clients[:4]:
        client.close()
    assert clients[4].flags.get("f", "u1", send_events=False).source == "local"
    assert clients[4].flags.reload()
    clients[4].close()
    until(lambda: threads() == 0)


def test_a_client_that_wants_fresher_definitions_hurries_the_poller(provider: FlagServer) -> None:
    """The shortest interval of all clients holds."""
    provider.definitions = definitions(flag("f"))
    with local(provider), local(provider, poll_interval=0.1):
        until(lambda: len(provider.looks) >= 4)
        assert threads() == 1


def test_another_key_is_another_poller(provider: FlagServer) -> None:
    """Keys are not mixed."""
    provider.definitions = definitions(flag("f"))
    with local(provider), provider.client(secret="phs_other", poll_interval=NEVER_S) as other:
        assert other.flags.wait_until_ready(10)
        assert threads() == 2


def test_a_client_that_is_dropped_ends_its_poller(provider: FlagServer) -> None:
    """Without a close, when the collector finds it."""
    import gc

    provider.definitions = definitions(flag("f"))
    client = local(provider)
    assert threads() == 1
    del client
    gc.collect()
    until(lambda: threads() == 0)


def test_a_closed_client_gets_no_flags(provider: FlagServer) -> None:
    """Nor a thread to look for them."""
    client = Client(PostHog(PROJECT_KEY, provider.sink.url), config=Config(journal=None))
    client.close()
    for read in (lambda: client.flags, lambda: client.capture("e", "u1", send_feature_flags=True)):
        with pytest.raises(ClosedError):
            read()


def test_older_deployments_have_their_definitions_elsewhere(provider: FlagServer) -> None:
    """Found by a 404 at the newer place, and remembered."""
    body = json.dumps(definitions(flag("f"))).encode()
    older = "/api/feature_flag/local_evaluation/"

    def serve(exchange: Any) -> Answer | None:
        return Answer(body=body) if exchange.request.path.startswith(older) else status(404)

    provider.sink.plan(serve)
    with local(provider, send_events=False) as client:
        assert client.flags.reload()
        assert client.flags.get("f", "u1").source == "local"
    paths = [one.request.path.partition("?")[0] for one in provider.sink.exchanges]
    assert paths == ["/flags/definitions", older, older]


def test_close_does_not_wait_for_a_look(provider: FlagServer) -> None:
    """A provider that hangs holds no close up."""
    provider.definitions = Answer(ending="hang")
    client = provider.client(secret=SECRET_KEY)
    until(lambda: provider.looks)
    started = time.monotonic()
    client.close(timeout=1)
    assert time.monotonic() - started < 0.5


@requirement.FORK
def test_a_forked_child_reads_at_once_and_polls_for_itself(provider: FlagServer) -> None:
    """Its parent's definitions are its own; its thread is a new one, started by a read."""
    provider.definitions = definitions(flag("f"))
    with local(provider, send_events=False) as client:
        readable, writable = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: threads are running
            child = os.fork()
        if not child:  # pragma: no cover - the child's own interpreter
            try:
                here = client.flags.get("f", "u1", only_evaluate_locally=True)
                told = {"source": here.source, "threads": threads()}
                told["reloaded"] = client.flags.reload(5)
                os.write(writable, json.dumps(told).encode())
            finally:
                os._exit(0)
        os.close(writable)
        with os.fdopen(readable) as pipe:
            told = json.loads(pipe.read())
        os.waitpid(child, 0)
        assert told == {"source": "local", "threads": 1, "reloaded": True}
        assert client.flags.reload()


@requirement.FORK
def test_a_fork_in_the_middle_of_reads_hangs_no_child(provider: FlagServer) -> None:
    """Whatever lock a thread of the parent held."""
    gold = condition(filter_("tier", ["gold"]))
    provider.definitions = definitions(flag("here"), flag("there", gold))
    provider.flags = answer(record("there", "wide"))
    program = Path(__file__).parent / "programs" / "fork_while_reading.py"
    run = subprocess.run(
        [sys.executable, "-W", "ignore", str(program), provider.sink.url, "15"],
        check=True,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.stdout == "0\n", run.stderr


# -- shared with other processes ---------------------------------------------------------------


class Cache:
    """A host's cache, in memory."""

    def __init__(self, data: Any = None, *, leads: bool = True) -> None:
        self.data = data
        self.leads = leads
        self.closed = False

    def should_fetch_flag_definitions(self) -> bool:
        return self.leads

    def get_flag_definitions(self) -> Any:
        return self.data

    def on_flag_definitions_received(self, data: Any) -> None:
        self.data = data

    def shutdown(self) -> None:
        self.closed = True


class AsyncCache:
    """The same for a program on asyncio."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache

    async def should_fetch_flag_definitions(self) -> bool:
        return self.cache.should_fetch_flag_definitions()

    async def get_flag_definitions(self) -> Any:
        return self.cache.get_flag_definitions()

    async def on_flag_definitions_received(self, data: Any) -> None:
        self.cache.on_flag_definitions_received(data)

    async def shutdown(self) -> None:
        self.cache.shutdown()


@pytest.mark.parametrize("wrap", [lambda cache: cache, AsyncCache])
def test_one_process_loads_for_all(provider: FlagServer, wrap: Any) -> None:
    """The others read what it shares, with a key or without."""
    provider.definitions = definitions(flag("f"))
    shared = Cache()
    with local(provider, definitions_cache=wrap(shared), send_events=False) as leader:
        assert leader.flags.get("f", "u1").source == "local"
        until(lambda: shared.data)
        assert set(shared.data) == {"flags", "group_type_mapping", "cohorts"}
        looks = len(provider.looks)
        follower = Cache(shared.data, leads=False)
        for secret in (SECRET_KEY, None):
            settings = {"definitions_cache": wrap(follower), "send_events": False}
            with provider.client(secret=secret, **settings) as other:
                assert other.flags.wait_until_ready(10)
                assert other.flags.get("f", "u1").source == "local"
                follower.data = None
                assert other.flags.reload()  # nothing new: what is here stays
                assert other.flags.get("f", "u1").source == "local"
                follower.data = {"flags": "all of them"}
                assert not other.flags.reload()
                assert other.flags.get("f", "u1").source == "local"
                follower.data = shared.data
        assert len(provider.looks) == looks
    until(lambda: shared.closed)
    until(lambda: follower.closed)


class Broken(Cache):
    """A cache that is down."""

    def should_fetch_flag_definitions(self) -> bool:
        raise ConnectionError

    def on_flag_definitions_received(self, data: Any) -> None:  # noqa: ARG002 - the protocol's
        raise ConnectionError


def test_a_cache_that_fails_is_done_without(
    provider: FlagServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The process looks for itself; so does one whose cache is still empty."""
    provider.definitions = definitions(flag("f"))
    for cache in (Broken(), Cache(leads=False)):
        with local(provider, definitions_cache=cache) as client:
            assert client.flags.get("f", "u1", send_events=False).source == "local"
    assert "the cache of flag definitions: ConnectionError" in caplog.text
    with provider.client(definitions_cache=Cache()) as alone:
        until(lambda: alone.flags.trouble)
        assert alone.flags.definitions is None


# -- on disk -----------------------------------------------------------------------------------


def test_a_cold_start_with_the_provider_down_answers_at_once(
    provider: FlagServer, tmp_path: Path
) -> None:
    """From disk, says that it is stale, and stops saying so when the provider stands by it."""
    provider.definitions = definitions(flag("f"))
    provider.etag = '"v1"'
    with on_disk(provider, tmp_path) as client:
        assert client.flags.wait_until_ready(10)
        until(lambda: list(tmp_path.glob("flags/*.definitions")))
    provider.sink.stop()
    with on_disk(provider, tmp_path, send_events=False) as client:
        started = time.monotonic()
        found = client.flags.get("f", "u1")
        assert time.monotonic() - started < 0.5
        assert (found.value, found.reason, found.source) == (True, "stale", "local")
        assert client.flags.definitions_age is not None
        provider.sink.start()
        until(client.flags.reload, 20)
        assert provider.looks[-1].request.headers["if-none-match"] == '"v1"'
        assert client.flags.get("f", "u1").reason == "condition_match"


def test_the_file_is_private_and_holds_no_key(provider: FlagServer, tmp_path: Path) -> None:
    """0600 in a directory of 0700, under a name that tells nobody."""
    provider.definitions = definitions(flag("f"))
    journal = tmp_path / "journal"
    with on_disk(provider, journal) as client:
        assert client.flags.wait_until_ready(10)
        until(lambda: list(journal.glob("flags/*.definitions")))
    (path,) = journal.glob("flags/*")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for key in (PROJECT_KEY, SECRET_KEY):
        assert key.encode() not in path.read_bytes()
        assert key not in path.name


@pytest.mark.parametrize("damage", ["torn", "other", "empty", "garbage"])
def test_a_damaged_file_is_none(tmp_path: Path, damage: str) -> None:
    """A reader trusts what is whole, and nothing else."""
    shelf = Shelf(tmp_path, "http://127.0.0.1", PROJECT_KEY)
    assert shelf.load() is None
    shelf.save(b'{"flags":[]}', '"v1"', 5.0)
    kept = shelf.load()
    assert kept is not None
    assert (kept.body, kept.etag, kept.confirmed_at) == (b'{"flags":[]}', '"v1"', 5.0)
    whole = shelf.path.read_bytes()
    ruined = {"torn": whole[:-3], "other": whole + b" ", "empty": b"", "garbage": b"\0\xff\n{}"}
    shelf.path.write_bytes(ruined[damage])
    assert shelf.load() is None


def test_a_disk_that_refuses_is_only_told(
    provider: FlagServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Flags are read all the same."""
    (tmp_path / "flags").write_text("in the way", "utf-8")
    provider.definitions = definitions(flag("f"))
    with on_disk(provider, tmp_path, send_events=False) as client:
        assert client.flags.wait_until_ready(10)
        until(lambda: "could not be kept on disk" in caplog.text)
        assert client.flags.get("f", "u1").source == "local"


def test_a_journal_in_memory_writes_no_file(
    provider: FlagServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the client touches the disk, wherever it might."""
    for name in ("PENSTOCK_JOURNAL", "XDG_STATE_HOME", "XDG_CACHE_HOME", "HOME", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)  # it is kept for those who asked before
    monkeypatch.chdir(tmp_path)
    provider.definitions = definitions(flag("f"))
    with local(provider):
        assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


# -- secrets and settings ----------------------------------------------------------------------


def test_nothing_logs_a_key(
    provider: FlagServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong, and however much is logged."""
    monkeypatch.setenv("DEBUG", "penstock")
    caplog.set_level("DEBUG")
    for trouble in (status(401), status(429), Answer(body=b"x"), Answer(ending="reset")):
        provider.definitions = provider.flags = trouble
        with provider.client(secret=SECRET_KEY) as client:
            until(lambda: client.flags.trouble)
            client.flags.get("f", "u1", send_events=False)
            client.flags.remote_config("f")
            assert SECRET_KEY not in repr(client.flags) + repr(client.config)
    ours = [one.getMessage() for one in caplog.records if one.name.startswith("penstock")]
    assert ours
    assert not any("loopback_only" in text for text in ours)


def test_a_project_key_is_refused_as_a_secret_one() -> None:
    """It would load nothing."""
    with pytest.raises(ConfigError, match="project key") as caught:
        FlagSettings(secret_key="phc_abcdefgh")
    assert "abcdefgh" not in str(caught.value)


def test_the_secret_key_may_come_from_the_environment(
    provider: FlagServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for `Client.from_env`."""
    provider.definitions = definitions(flag("f"))
    monkeypatch.setenv("PENSTOCK_FLAGS_SECRET_KEY", "phx_from_env")
    url = provider.sink.url.replace("http://", f"posthog+http://{PROJECT_KEY}@")
    monkeypatch.setenv("PENSTOCK_URL", url)
    with Client.from_env(Config(journal=None)) as client:
        assert client.flags.wait_until_ready(10)
    assert provider.looks[0].request.headers["authorization"] == "Bearer phx_from_env"


def test_reading_flags_costs_a_program_nothing_until_it_does() -> None:
    """Neither the import nor a client loads a module of flags."""
    script = (
        "import sys; from penstock import Client, Config, PostHog\n"
        "with Client(PostHog('phc_x'), config=Config(journal=None)) as client: pass\n"
        "print(sorted(name for name in sys.modules if name.startswith('penstock.flags')))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    assert run.stdout.strip() == "[]"
