"""Sources that are switched off: their keys are known, and nothing of them is kept."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import orjson
import pytest

from collector_kit import NOW_TEXT, V1_HEADERS, Bench, MemoryLog, basic, call, track, v1_event
from penstock.collector.file import parse
from penstock.collector.handover import from_json, to_json
from penstock.collector.http.app import IngestApp
from penstock.collector.http.meters import ACCEPTED, REQUESTS
from penstock.collector.log.commit import GroupCommit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collector_kit import Reply

FILE = b"""
[sources.web]
key = "WK"
enabled = false

[sources.shop]
key = "rk"
dialect = "rudderstack"
enabled = false

[sources.product]
key = "phc_demo"
dialect = "posthog"
enabled = false

[sources.on]
key = "WK_on"
enabled = true
"""


@pytest.fixture
def bench() -> Bench:
    """A collector whose sources are switched off but for one, as its processes hear of it."""
    made = Bench()
    sources = parse(Path("c.toml"), FILE, {}).sources
    config = msgspec.structs.replace(made.config, sources=sources)
    made.config = from_json(to_json(config))
    return made


def counted(bench: Bench, dialect: str) -> dict[str, int]:
    """Requests of a dialect by outcome, where there were any."""
    row = bench.board.row(0)
    found = {outcome: int(row[place]) for (of, outcome), place in REQUESTS.items() if of == dialect}
    return {outcome: count for outcome, count in found.items() if count}


def test_rudderstack_says_so(bench: Bench) -> None:
    """404 and the gateway's words: its SDKs drop the events then, and log the text."""
    reply = bench.post("/v1/batch", {"batch": [track()]}, basic("rk"))
    assert (reply.status, reply.body) == (404, b"source is disabled\n")
    assert reply.headers["content-type"].startswith("text/plain")
    assert "retry-after" not in reply.headers
    reply = bench.post("/v1/track", track(), basic("rk"))
    assert reply.status == 404
    beacon = orjson.dumps({"batch": [track()]})
    reply = bench.request("POST", "/beacon/v1/batch", beacon, query="writeKey=rk")
    assert (reply.status, reply.body) == (404, b"source is disabled\n")
    assert counted(bench, "rudderstack") == {"source_disabled": 3}
    assert bench.entries() == []


def test_segment_says_success_and_keeps_nothing(bench: Bench) -> None:
    """Its documents promise 200 for everything but sizes and broken JSON, which stay errors."""
    reply = bench.post("/v1/batch", {"batch": [track()]}, basic("WK"))
    assert (reply.status, reply.json) == (200, {"success": True})
    keyed = {"batch": [track()], "writeKey": "WK"}
    reply = bench.post("/v1/batch", keyed, {"Content-Type": "application/json"})
    assert (reply.status, reply.json) == (200, {"success": True})
    assert bench.request("POST", "/v1/batch", b"{", basic("WK")).status == 400
    assert counted(bench, "segment") == {"source_disabled": 2, "request_parsing_error": 1}
    assert bench.entries() == []


def test_posthog_says_success_and_keeps_nothing(bench: Bench) -> None:
    """As its servers do with a project whose events are restricted; V1 tells it by event."""
    legacy = {"api_key": "phc_demo", "batch": [{"event": "e", "distinct_id": "d"}]}
    reply = bench.post("/batch/", legacy)
    assert (reply.status, reply.json) == (200, {"status": 1})
    events = [v1_event(1), v1_event(2, event="")]
    body = {"created_at": NOW_TEXT, "batch": events}
    reply = bench.post("/i/v1/analytics/events", body, V1_HEADERS)
    assert reply.status == 200
    unwanted = {"result": "drop", "details": "event_restriction_drop"}
    assert reply.json == {"results": {event["uuid"]: unwanted for event in events}}
    assert counted(bench, "posthog") == {"source_disabled": 2}
    assert bench.entries() == []


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/pixel/track", "writeKey=WK&userId=u&event=e"),
        ("/pixel/v1/track", "writeKey=rk&userId=u&event=e"),
    ],
)
def test_a_pixel_stays_a_picture(bench: Bench, path: str, query: str) -> None:
    """Whatever the vendor would say elsewhere."""
    reply = bench.request("GET", path, query=query)
    assert (reply.status, reply.headers["content-type"]) == (200, "image/gif")
    assert bench.entries() == []


def test_other_sources_go_on(bench: Bench) -> None:
    """One that is switched on is as ever, and an unknown key is still unknown."""
    assert bench.post("/v1/batch", {"batch": [track()]}, basic("WK_on")).status == 200
    assert bench.post("/v1/batch", {"batch": [track()]}, basic("nobody")).status == 401
    assert counted(bench, "segment")[ACCEPTED] == 1
    assert len(bench.entries()) == 1


def test_a_source_is_switched_off_and_on_while_the_collector_runs(tmp_path: Path) -> None:
    """The file is read again, and the next request hears of it."""
    path = tmp_path / "c.toml"
    source = '[sources.shop]\nkey = "rk"\ndialect = "rudderstack"\n'
    path.write_text(source)
    made = Bench(file=path, store=tmp_path)
    app = IngestApp(GroupCommit(MemoryLog), made.config, made.board)
    watched = app._watched
    assert watched is not None

    def sent(text: str, headers: Mapping[str, str]) -> Reply:
        path.write_text(text)
        watched._next_look = watched._next_read = 0.0
        app.tick()
        return asyncio.run(call(app, "POST", "/v1/track", orjson.dumps(track()), headers))

    off = source + "enabled = false\n"
    assert [sent(text, basic("rk")).status for text in (source, off, source)] == [200, 404, 200]
