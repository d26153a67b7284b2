"""Any bytes sent to any route give a documented answer, and never disturb another event."""

from __future__ import annotations

import base64
import gzip
import time
import tracemalloc
import zlib
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import brotli
import orjson
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector_kit import NOW_TEXT, V1_HEADERS, Bench, basic, track, v1_event
from penstock.collector.decoding.rows import Event
from penstock.collector.decoding.surrogates import mended
from penstock.collector.http.app import _OTHERS
from penstock.collector.http.routes import INTAKES

if TYPE_CHECKING:
    from penstock.collector.decoding.rows import Decoded

pytestmark = pytest.mark.slow

PATHS = st.sampled_from([*INTAKES, *_OTHERS, "/", "/v1", "/v1/batch/", "//", "/é"])
METHODS = st.sampled_from(["POST", "POST", "POST", "GET", "HEAD", "PUT", "OPTIONS", "BREW"])
#: Every status docs/collector.md lists; 503 means a fault of ours when nothing is overloaded.
DOCUMENTED = {200, 204, 400, 401, 403, 404, 405, 413, 415}

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["", " ", "\0", "track", "$identify", NOW_TEXT, "NaN", "\u2028"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
#: Names the decoders look for, so that wrong types land where they hurt.
NAMES = st.sampled_from(
    ["type", "messageId", "userId", "anonymousId", "groupId", "previousId", "event", "name",
     "category", "timestamp", "originalTimestamp", "sentAt", "properties", "traits", "context",
     "integrations", "channel", "writeKey", "uuid", "distinct_id", "options", "offset", "$set",
     "$set_once", "session_id", "token", "api_key", "library"]
)  # fmt: skip
ITEMS = st.dictionaries(NAMES, JSON, max_size=10) | JSON
ENVELOPES = st.dictionaries(
    st.sampled_from(["context", "integrations", "sentAt", "writeKey", "api_key", "token",
                     "sent_at", "historical_migration", "created_at", "messageId"]),
    JSON,
)  # fmt: skip
BODIES = (
    st.binary(max_size=60)
    | JSON.map(orjson.dumps)
    | st.tuples(ENVELOPES, st.lists(ITEMS, max_size=4)).map(
        lambda pair: orjson.dumps({**pair[0], "batch": pair[1]})
    )
)
DIALECTS = st.sampled_from(["segment", "rudderstack", "dreamdata"])
SQUEEZES = st.sampled_from([bytes, gzip.compress, zlib.compress, lambda b: gzip.compress(b)[:-3]])
HEADERS = st.dictionaries(
    st.sampled_from(["Authorization", "Content-Type", "Content-Encoding", "Origin", *V1_HEADERS]),
    st.sampled_from(["", "gzip", "deflate", "zstd", "br", "application/json", "text/plain",
                     "application/x-www-form-urlencoded", "Basic azo=", "Basic \xff", "é",
                     "http://localhost:1"])
    | st.text(st.characters(max_codepoint=255), max_size=12),
)  # fmt: skip
#: What a query may say, and what it should not.
QUERIES = st.dictionaries(
    st.sampled_from(["compression", "data", "_", "ver", "beacon", "writeKey", "userId", "event",
                     "a.b", "a", "..", ""]),
    st.sampled_from(["gzip", "gzip-js", "base64", "lz64", "1", "eyJ9", "{", "[]"])
    | JSON.map(orjson.dumps).map(bytes.decode)
    | JSON.map(orjson.dumps).map(base64.b64encode).map(bytes.decode)
    | st.text(max_size=8),
).map(urlencode) | st.text(st.characters(max_codepoint=255), max_size=20)  # fmt: skip
WRAPPED = SQUEEZES | st.sampled_from(
    [base64.b64encode, lambda b: b"data=" + base64.b64encode(b), lambda b: b"data=" + b]
)


def unfaulted(bench: Bench) -> list[Decoded]:
    """What the pipeline makes of it; nothing may meet a fault of ours."""
    found = bench.decoded()
    assert not [bad for one in found for bad in one.quarantined if bad.reason == "undecodable"]
    return found


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(METHODS, PATHS, BODIES, WRAPPED, HEADERS, QUERIES, st.booleans())
def test_every_request_gets_a_documented_answer(
    method: str,
    path: str,
    body: bytes,
    squeeze: Any,
    headers: dict[str, str],
    query: str,
    polite: bool,
) -> None:
    """Never a 500, and what was answered with 200 can be decoded."""
    bench = Bench()
    given_headers = {**(V1_HEADERS if polite else {}), **(basic("k") if polite else {}), **headers}
    reply = bench.request(method, path, squeeze(body), given_headers, query)
    assert reply.status in DOCUMENTED
    for head, decoded in zip(bench.entries(), unfaulted(bench), strict=True):
        assert len(decoded.events) + len(decoded.quarantined) == head[0].count


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(ITEMS, max_size=5), st.sampled_from(["segment", "rudderstack", "dreamdata"]), ENVELOPES
)
def test_neighbours_of_a_bad_message_are_stored(
    items: list[Any], dialect: str, envelope: dict[str, Any]
) -> None:
    """Whatever lies between two good messages, both arrive, in order."""
    bench = Bench(f"web:{dialect}=k")
    body = {**envelope, "batch": [track(1), *items, track(2)]}
    assert bench.post("/v1/batch", body, basic("k")).status == 200
    (decoded,) = unfaulted(bench)
    places = [event.position for event in decoded.events]
    assert places[0] == 0
    assert places[-1] == len(items) + 1
    assert places == sorted(places)
    assert len(decoded.events) + len(decoded.quarantined) == len(items) + 2


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ITEMS, max_size=5), ENVELOPES)
def test_neighbours_of_a_bad_posthog_event_are_stored(
    items: list[Any], envelope: dict[str, Any]
) -> None:
    """The same in PostHog's legacy format."""
    bench = Bench()
    body = {**envelope, "api_key": "k", "token": "k", "batch": [v1_event(1), *items, v1_event(2)]}
    assert bench.post("/batch/", body).status == 200
    (decoded,) = unfaulted(bench)
    assert {0, len(items) + 1} <= {event.position for event in decoded.events}
    assert len(decoded.events) + len(decoded.quarantined) == len(items) + 2


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ITEMS, min_size=1, max_size=6), st.sampled_from(["segment", "rudderstack"]))
def test_stored_json_is_json(items: list[Any], dialect: str) -> None:
    """What lies in a JSON column can be read back by a strict parser, as an object."""
    bench = Bench(f"web:{dialect}=k")
    assert bench.post("/v1/batch", {"batch": items}, basic("k")).status == 200
    for event in unfaulted(bench)[0].events:
        for name in ("properties", "traits", "context", "integrations", "rest"):
            text = getattr(event, name)
            assert text is None or isinstance(orjson.loads(text), dict)
        assert isinstance(event, Event)
        assert event.message_id


@pytest.mark.parametrize("escape", [b"\\ud83d", b"\\n", b"\\u0041", b"\\ud83d\\ude00", b"a\\\\"])
def test_half_characters_among_millions_of_escapes_are_found_quickly(escape: bytes) -> None:
    """Mending a body must not hold up everybody else; 20 MB took seconds once."""
    text = b'"\\ud83d' + escape * (6_000_000 // len(escape)) + b'"'
    began = time.process_time()
    mended(text)
    assert time.process_time() - began < 1.5  # 0.2 s when nobody else runs


@pytest.mark.parametrize("path", ["/v1/batch", "/batch/", "/i/v1/analytics/events"])
@pytest.mark.parametrize("encoding", ["deflate", "zstd", "br"])
def test_a_bomb_in_any_coding_is_refused(path: str, encoding: str) -> None:
    """Inflating stops at the bound, whatever the coding claims."""
    headers = V1_HEADERS if path[1] == "i" else basic("k")
    body = bombs()[encoding]
    tracemalloc.start()
    reply = Bench().post(path, body, {**headers, "Content-Encoding": encoding})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reply.status in {400, 413}
    assert peak < 60_000_000  # Brotli joins its pieces, so it holds more than the 20 MiB allowed


@cache
def bombs() -> dict[str, bytes]:
    """A hundred megabytes of nothing, in few kilobytes."""
    whole = b'{"batch":[' + b" " * 100_000_000
    return {
        "deflate": zlib.compress(whole, 1),
        "zstd": zstandard.compress(whole),
        "br": brotli.compress(whole, quality=1),
    }


def test_an_event_with_a_million_members_costs_itself_only() -> None:
    """It is quarantined, and its neighbour is stored."""
    names = b",".join(b'"%x":0' % number for number in range(300_000))
    body = b'{"batch":[%b,{"type":"track","userId":"u","event":"e","properties":{%b}}]}'
    bench = Bench()
    assert bench.post("/v1/batch", body % (orjson.dumps(track(1)), names), basic("k")).status == 200
    (decoded,) = unfaulted(bench)
    assert [bad.reason for bad in decoded.quarantined] == ["event_too_big"]
    assert [event.position for event in decoded.events] == [0]


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("path", ["/v1/batch", "/v1/track", "/batch/", "/i/v1/analytics/events"])
def test_deep_json_is_refused_or_quarantined(path: str, opening: bytes) -> None:
    """A hundred thousand levels, alone or within a batch, crash nothing."""
    deep = opening * 100_000
    headers = V1_HEADERS if path[1] == "i" else basic("k")
    for body in (deep, b'{"batch":[' + deep, b'{"api_key":"k","properties":' + deep):
        bench = Bench()
        assert bench.post(path, body, headers).status == 400
    closed = (
        b'{"api_key":"k","writeKey":"k","batch":[{"properties":' + b"[" * 900 + b"]" * 900 + b"}]}"
    )
    bench = Bench()
    assert bench.post(path, closed, headers).status in {200, 400}
    unfaulted(bench)
