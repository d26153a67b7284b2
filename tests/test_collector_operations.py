"""Running a collector: rates, numbers, log lines, readiness, bounds on heads, deployment files."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from collector_kit import NOW_TEXT, V1_HEADERS, Bench, MemoryLog, basic, track, v1_event
from collector_process import ServedCollector
from patience import wait_for
from penstock.cli import main as command
from penstock.collector.config import CollectorConfig, Limits
from penstock.collector.handover import from_json, to_json
from penstock.collector.http import meters, protocol
from penstock.collector.http.board import Board
from penstock.collector.http.health import Health
from penstock.collector.http.load import Admission
from penstock.collector.http.metrics import exposition
from penstock.collector.http.rates import BURST_S, Rates
from penstock.collector.layout import Layout
from penstock.collector.log.commit import GroupCommit
from penstock.collector.log.lane import LaneLog
from penstock.collector.logs import FACTS, JsonLines
from penstock.collector.refusal import Reason, Refusal
from penstock.collector.sources import Sources
from penstock.collector.store import ledger
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
BATCH = {"batch": [track(1), track(2)]}


# -- how much a key may send -------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 500)), max_size=60))
def test_a_bucket_never_lets_more_through_than_it_may(steps: list[tuple[float, int]]) -> None:
    """Over any time: ten seconds' worth, the rate, and the one batch that was too big."""
    now = [1000.0]
    rates = Rates([0.0], 100, lambda: now[0])
    passed, most = 0, 0
    for wait, events in steps:
        now[0] += wait
        with contextlib.suppress(Refusal):
            rates.charge("web", events)
            passed, most = passed + events, max(most, events)
    assert passed <= 100 * (now[0] - 1000 + BURST_S) + most


def test_a_bucket_fills_again_when_it_said() -> None:
    """``Retry-After`` is a promise."""
    now = [50.0]
    rates = Rates([0.0], 10, lambda: now[0])
    rates.charge("web", 500)
    with pytest.raises(Refusal) as refused:
        rates.charge("web", 1)
    assert refused.value.reason is Reason.RATE
    now[0] += refused.value.retry_after
    rates.charge("web", 1)


def test_a_key_that_sends_too_much_hears_429_and_others_do_not() -> None:
    """In each vendor's words; PostHog's V1 hears 503, as it throws events away at 429."""
    bench = Bench("web=k", "app=k2", "rs:rudderstack=rk", "ph=phc_demo", "v1=phc_v1",
                  limits=Limits(events_per_second=0.1))  # fmt: skip
    v1_headers = {**V1_HEADERS, "Authorization": "Bearer phc_v1"}

    def send(name: str) -> Any:
        if name == "ph":
            event = {"event": "e", "distinct_id": "d"}
            return bench.post("/batch/", {"api_key": "phc_demo", "batch": [event] * 2})
        if name == "v1":
            body = {"created_at": NOW_TEXT, "batch": [v1_event(1), v1_event(2)]}
            return bench.post("/i/v1/analytics/events", body, v1_headers)
        return bench.post("/v1/batch", BATCH, basic(name))

    for name, status, body in (
        ("k", 429, b"rate_limited"),
        ("rk", 429, b"max requests limit reached\n"),
        ("ph", 429, b"rate limited"),
        ("v1", 503, b"rate_limited"),
    ):
        assert send(name).status == 200
        reply = send(name)
        assert (reply.status, reply.headers["retry-after"]) == (status, "10")
        assert body in reply.body
        assert ("x-ratelimit-reset" in reply.headers) == (name == "k")
    assert send("k2").status == 200
    assert len(bench.entries()) == 5


# -- numbers -----------------------------------------------------------------------------------


def test_numbers_of_all_processes_are_summed(tmp_path: Path) -> None:
    """Also those of processes that mapped the file by its number, and of dead ones."""
    board = Board.create(3)
    other = Board(os.dup(board.fd), 3)
    for rows in (board.row(0), other.row(2)):
        meter = meters.Meter(rows)
        meter.request("segment", meters.ACCEPTED)
        meter.request("posthog", Reason.RATE.value)
        meter.accepted("segment", 250, 25_000)
        meter.flush(0.003, 4)
        meter.flush(7.0, 1)
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(exposition(board, Layout(tmp_path)).decode())
        for sample in family.samples
    }
    assert found["penstock_requests_total", "segment", "accepted"] == 2
    assert found["penstock_requests_total", "posthog", "rate_limited"] == 2
    assert found["penstock_events_total", "segment"] == 500
    assert found["penstock_received_bytes_total", "segment"] == 50_000
    assert found["penstock_flush_seconds_bucket", "0.0025"] == 0
    assert found["penstock_flush_seconds_bucket", "0.005"] == 2
    assert found["penstock_flush_seconds_bucket", "+Inf"] == 4
    assert found["penstock_flush_seconds_count",] == 4
    assert found["penstock_flushed_requests_total",] == 10


def test_what_was_asked_and_answered_is_counted() -> None:
    """By dialect and outcome; nobody's key or path is in it."""
    bench = Bench("web=key-1", "rs:rudderstack=key-2")
    bench.post("/v1/batch", BATCH, basic("key-1"))
    bench.post("/v1/batch", BATCH, basic("key-2"))
    bench.post("/v1/batch", b"{", basic("key-1"))
    bench.post("/v1/batch", BATCH, basic("wrong"))
    text = bench.request("GET", "/metrics")
    assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = text.body.decode().splitlines()
    assert 'penstock_events_total{dialect="rudderstack"} 2.0' in lines
    assert 'penstock_requests_total{dialect="segment",outcome="accepted"} 1.0' in lines
    assert 'penstock_requests_total{dialect="segment",outcome="invalid_api_token"} 1.0' in lines
    for secret in ("key-1", "key-2", "wrong", "/v1/batch"):
        assert secret not in text.body.decode()


def test_the_board_has_room_for_all_numbers() -> None:
    """A row is a fixed size, and more outcomes take more places."""
    from penstock.collector.http.board import ROW

    assert meters.PLACES <= ROW


# -- log lines ---------------------------------------------------------------------------------


def test_json_lines_are_objects_with_facts() -> None:
    """One per line, with time, level, message, process and what belongs to the message."""
    facts = {"msg": "a %s ended\nbadly", "args": ("worker",), FACTS: {"code": -9}}
    record = logging.makeLogRecord({"levelname": "ERROR", **facts})
    line = JsonLines("worker 1").format(record)
    assert "\n" not in line
    found = orjson.loads(line)
    assert {**found, "time": "", "pid": 0} == {
        "time": "", "pid": 0, "level": "error", "message": "a worker ended\nbadly",
        "process": "worker 1", "code": -9,
    }  # fmt: skip


def test_a_served_collector_logs_json_and_no_secret(tmp_path: Path) -> None:
    """It starts, restarts its pipeline, refuses nonsense and stops: all lines are JSON."""
    served = ServedCollector(
        tmp_path, "--log-format", "json", "--key", "web=very-secret", "--rate", "1000"
    )
    assert served.post("/v1/batch", {"batch": [track(1)]}, basic("very-secret")) == 200
    assert served.post("/v1/batch", {"batch": [track(1)]}, basic("other-secret")) == 401
    with socket.create_connection(("127.0.0.1", served.port)) as raw:
        raw.sendall(b"NONSENSE other-secret\r\n\r\n")
        assert b"400" in raw.recv(100)
    os.kill(served.pipeline, 9)
    old = served.pipeline
    wait_for(lambda: [p for p in served.running("pipeline") if p != old], "a new pipeline")
    assert served.process.stderr is not None
    stderr = os.dup(served.process.stderr.fileno())
    assert served.stop() == 0
    with os.fdopen(stderr, "rb") as stream:
        text = stream.read()
    lines = [orjson.loads(line) for line in text.splitlines()]
    messages = [line["message"] for line in lines]
    assert messages[0] == "collecting"
    assert messages[-1] == "stopped"
    assert [line["code"] for line in lines if "code" in line] == [-9]
    assert b"secret" not in text


# -- memory ------------------------------------------------------------------------------------


def test_the_processes_load_only_what_a_collector_needs(tmp_path: Path) -> None:
    """Neither NumPy nor clients of S3, though both are here and PyArrow looks for them."""
    served = ServedCollector(tmp_path, debugger=True)
    assert served.post("/v1/track", track(1), basic("k")) == 200
    wait_for(lambda: ledger.load(Layout(tmp_path).sealed).counts.stored, "the store")
    (debugger,) = served.running("debugger")
    for pid in (served.pid, served.pipeline, debugger):
        maps = Path(f"/proc/{pid}/maps").read_text()
        for unwanted in ("numpy", "pandas", "libarrow_s3", "_s3fs"):
            assert unwanted not in maps, unwanted
    assert "libarrow" in Path(f"/proc/{served.pipeline}/maps").read_text()
    assert served.stop() == 0


def test_arrow_takes_its_memory_from_the_system_unless_told_otherwise() -> None:
    """Its own allocator keeps a lot; whoever wants another says so as Arrow has it."""
    code = (
        "from penstock.collector.processes.frugality import be_frugal; be_frugal();"
        "import pyarrow as pa; print(pa.default_memory_pool().backend_name)"
    )
    told = {}
    for wish in ({}, {"ARROW_DEFAULT_MEMORY_POOL": "mimalloc"}):
        environ = {k: v for k, v in os.environ.items() if k != "ARROW_DEFAULT_MEMORY_POOL"} | wish
        command = [sys.executable, "-c", code]
        told[len(wish)] = subprocess.run(
            command, env=environ, check=True, capture_output=True, timeout=60
        ).stdout.split()
    assert told == {0: [b"system"], 1: [b"mimalloc"]}


# -- health ------------------------------------------------------------------------------------


def test_a_collector_that_runs_is_healthy_and_one_that_cannot_store_is_not_ready() -> None:
    """Restarting does not help a full disk, sending requests elsewhere does."""
    bench = Bench()
    for path in ("/healthz", "/readyz", "/health"):
        assert bench.request("GET", path).json == {"status": "ok"}
    full = Bench(limits=Limits(log_bytes=1))
    assert full.request("GET", "/healthz").status == 200
    reply = full.request("GET", "/readyz")
    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    assert "pipeline" in reply.json["status"]


def test_readiness_comes_back_by_itself(tmp_path: Path) -> None:
    """Only requests can show that a disk has recovered, so after a while they are let in again."""
    commit = GroupCommit(MemoryLog)
    admission = Admission(1, 100)
    now = [100.0]
    health = Health(commit, admission, Limits(in_flight=1), tmp_path, lambda: now[0])
    assert health.trouble() == ""
    commit.healthy, commit.failed_at = False, 99.0
    assert "cannot be written" in health.trouble()
    now[0] = 105.0
    assert health.trouble() == ""
    with admission.enter():
        assert "in flight" in health.trouble()


def test_a_full_disk_is_503_until_there_is_room(tmp_path: Path) -> None:
    """A real collector whose files may not grow, and then may again."""
    # Not on Windows; and only Linux lets one process limit another, which nothing brings.
    resource = pytest.importorskip("resource")
    if not hasattr(resource, "prlimit"):
        pytest.skip("this system cannot limit another process")  # see above
    served = ServedCollector(tmp_path)
    resource.prlimit(served.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    assert served.post("/v1/batch", BATCH) == 503
    assert served.get("/readyz")[0] == 503
    assert served.get("/healthz")[0] == 200
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(served.pid, resource.RLIMIT_FSIZE, unlimited)
    assert served.post("/v1/batch", BATCH) == 200
    assert served.get("/readyz")[0] == 200
    assert served.stop() == 0


# -- heads -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedCollector]:
    """One collector for all of them."""
    made = ServedCollector(tmp_path_factory.mktemp("heads"))
    yield made
    assert made.stop() == 0


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 100_000,
        b"POST /v1/batch HTTP/1.1\r\nx: " + b"a" * 100_000,
        b"POST /v1/batch HTTP/1.1\r\n" + b"x: y\r\n" * 20_000,
        b"POST /v1/batch HTTP/1.1\r\n" + b"x" * 100_000,
    ],
)
def test_a_head_that_does_not_end_is_refused(served: ServedCollector, head: bytes) -> None:
    """Whatever part of it grows; the connection is closed."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as raw:
        try:
            for at in range(0, len(head), 8192):
                raw.sendall(head[at : at + 8192])
            answer = raw.recv(1000)
        except ConnectionError:  # closed while we were still sending
            answer = b" 431 "
    assert answer[8:13] in {b" 431 ", b" 400 "} or answer == b" 431 "
    assert served.get("/healthz")[0] == 200


@pytest.mark.parametrize(
    "text",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/batch HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/batch HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /v1/batch HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"POST /v1/batch HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
)
def test_nonsense_instead_of_http_is_answered_or_cut_off(
    served: ServedCollector, text: bytes
) -> None:
    """Never with a fault of ours, and others are served as before."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as raw:
        raw.sendall(text)
        raw.shutdown(socket.SHUT_WR)
        answer = raw.recv(1000)
    assert answer == b"" or re.match(rb"HTTP/1\.1 (200|400|401|404|426) ", answer), answer
    assert served.get("/healthz")[0] == 200


def test_a_head_that_never_comes_is_given_up() -> None:
    """A connection waits so long for its next request, and no longer."""
    aborted: list[str] = []
    late = protocol.BoundedProtocol.__new__(protocol.BoundedProtocol)
    late.transport = SimpleNamespace(abort=lambda: aborted.append("late"))  # type: ignore[assignment]
    late._head_since = 100.0
    protocol.close_late([late, object()], 100.0 + protocol.MOST_HEAD_S)
    assert aborted == []
    protocol.close_late([late], 100.1 + protocol.MOST_HEAD_S)
    assert aborted == ["late"]
    late._head_since = 0.0  # the head has come
    assert not late.is_late(time.monotonic())


# -- handing over and deploying ------------------------------------------------------------------


def test_a_configuration_can_be_handed_over(tmp_path: Path) -> None:
    """To another process, on one line, without a key in it."""
    config = CollectorConfig(
        store=tmp_path,
        sources=Sources.parse(["web=secret-1", "rs:rudderstack=secret-2"]),
        limits=Limits(events_per_second=5),
        origins=("https://shop.example",),
    )
    text = to_json(config)
    assert b"secret" not in text
    assert b"\n" not in text
    again = from_json(text)
    assert again.sources.find("secret-2", "segment") == ("rs", "rudderstack", True)
    assert again.sources.find("secret-3", "segment") is None
    assert (again.store, again.limits, again.origins) == (tmp_path, config.limits, config.origins)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"workers": 0}, "at least one"),
        ({"log_format": "xml"}, "text, json"),
        ({"trusted_proxies": ("nowhere",)}, "network"),
    ],
)
def test_impossible_settings_are_refused(
    tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    """At the start, with what would do."""
    with pytest.raises(ConfigError, match=said):
        CollectorConfig(store=tmp_path, **settings).checked()


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("penstock.service", r"(?s)ExecStart=\S+/penstock (serve.*?[^\\])\n"),
        ("Dockerfile", r"CMD (\[\"serve\".*\])\n"),
    ],
)
def test_deployment_files_use_options_that_exist(name: str, pattern: str) -> None:
    """They are not run here, so at least their command lines are read."""
    found = re.search(pattern, (ROOT / "deploy" / name).read_text("utf-8"))
    assert found
    line = found[1].replace("\\\n", " ")
    words = orjson.loads(line) if line.startswith("[") else shlex.split(line)
    serve = command.commands["serve"]  # type: ignore[attr-defined]
    context = serve.make_context("serve", words[1:], resilient_parsing=False)
    assert context.params["log_format"] == "json"


def test_a_probe_of_the_log_leaves_nothing_behind(tmp_path: Path) -> None:
    """A lane nobody wrote to holds no segment."""
    log = LaneLog(tmp_path, limit_bytes=0)
    log.close()
    assert [path.name for path in log.path.iterdir()] == ["lock"]
