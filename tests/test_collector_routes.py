"""What the ingest app answers, route by route, in each vendor's words."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import orjson
import pytest

from collector_kit import NOW_TEXT, V1_HEADERS, Bench, basic, track, v1_event
from penstock.collector.config import Limits

TYPES = ("identify", "track", "page", "screen", "group", "alias")
EVERY_ROUTE = ("/v1/batch", *(f"/v1/{t}" for t in TYPES), "/batch", "/batch/")
RUDDER = "rs:rudderstack=rk"
DEEP = b'{"batch":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}"


def legacy(*events: dict[str, Any], **envelope: Any) -> dict[str, Any]:
    """A PostHog legacy body."""
    return {"api_key": "phc_demo", "batch": list(events), **envelope}


def v1(*events: dict[str, Any], **envelope: Any) -> dict[str, Any]:
    """A PostHog V1 body."""
    return {"created_at": NOW_TEXT, "batch": list(events), **envelope}


# -- success -------------------------------------------------------------------------------


def test_segment_batches_are_accepted() -> None:
    """A batch is written whole, and the answer is the one Segment's SDKs know."""
    bench = Bench()
    reply = bench.post("/v1/batch", {"batch": [track(1), track(2)]}, basic("k"))
    assert (reply.status, reply.json) == (200, {"success": True})
    ((head, _body),) = bench.entries()
    assert (head.count, head.source, head.dialect) == (2, "segment", "segment")


@pytest.mark.parametrize("kind", TYPES)
def test_single_calls_get_their_type_from_the_path(kind: str) -> None:
    """``/v1/track`` and its siblings need no ``type`` in the body."""
    bench = Bench()
    body = {"userId": "u", "previousId": "p", "groupId": "g", "event": "e"}
    assert bench.post(f"/v1/{kind}", body, basic("k")).status == 200
    assert bench.decoded()[0].events[0].type == kind


def test_rudderstack_sources_hear_ok() -> None:
    """A source that declares RudderStack gets that gateway's answer, without a newline."""
    reply = Bench(RUDDER).post("/v1/batch", {"batch": [track()]}, basic("rk"))
    assert (reply.status, reply.body) == (200, b"ok")
    assert reply.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("path", ["/batch", "/batch/"])
def test_posthog_legacy_is_accepted(path: str) -> None:
    """With and without the slash; the key is in the body."""
    bench = Bench()
    reply = bench.post(path, legacy({"event": "e", "distinct_id": "d"}))
    assert (reply.status, reply.json) == (200, {"status": 1})
    assert bench.entries()[0][0].source == "posthog"


@pytest.mark.parametrize(
    "body",
    [
        {"event": "e", "distinct_id": "d", "token": "phc_demo"},
        {"event": "e", "properties": {"distinct_id": "d", "token": "phc_demo"}},
        [{"event": "e", "distinct_id": "d", "api_key": "phc_demo"}],
        {"batch": [{"event": "e", "$distinct_id": "d", "$token": "phc_demo"}]},
    ],
)
def test_posthog_legacy_takes_all_its_shapes(body: object) -> None:
    """One event, an array, a batch; the key wherever old SDKs put it."""
    bench = Bench("web=phc_demo")
    assert bench.post("/batch/", body).status == 200
    (decoded,) = bench.decoded()
    assert [event.user_id for event in decoded.events] == ["d"]


def test_posthog_v1_gives_a_verdict_per_event() -> None:
    """In the order of the batch, with the request's id, and the bad one says why."""
    bench = Bench()
    batch = [v1_event(1), v1_event(2, distinct_id=" "), v1_event(3, distinct_id="Guest")]
    reply = bench.post("/i/v1/analytics/events", v1(*batch), V1_HEADERS)
    assert reply.status == 200
    assert reply.headers["posthog-request-id"] == V1_HEADERS["PostHog-Request-Id"]
    assert list(reply.json["results"].items()) == [
        (batch[0]["uuid"], {"result": "ok"}),
        (batch[1]["uuid"], {"result": "drop", "details": "missing_distinct_id"}),
        (batch[2]["uuid"], {"result": "warning", "details": "person_processing_disabled"}),
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"event": " "}, "missing_event_name"),
        ({"event": "x" * 201}, "event_name_too_long"),
        ({"distinct_id": ""}, "missing_distinct_id"),
        ({"distinct_id": "x" * 201}, "distinct_id_too_large"),
        ({"timestamp": "2026-03-01T10:20:31"}, "invalid_event_timestamp"),
        ({"timestamp": "soon"}, "invalid_event_timestamp"),
        ({"properties": []}, "malformed_event_properties"),
        ({"options": 3}, "invalid_options"),
        ({"options": {"process_person_profile": []}}, "invalid_options"),
    ],
)
def test_posthog_v1_quarantines_what_it_calls_dropped(changes: dict[str, Any], code: str) -> None:
    """The answer and the store never disagree about an event."""
    bench = Bench()
    event = v1_event(1, **changes)
    reply = bench.post("/i/v1/analytics/events", v1(event, v1_event(2)), V1_HEADERS)
    assert reply.json["results"][event["uuid"]] == {"result": "drop", "details": code}
    (decoded,) = bench.decoded()
    assert [bad.reason for bad in decoded.quarantined] == [code]
    assert len(decoded.events) == 1


# -- one bad event never refuses its batch ---------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"type": "track", "event": "e"}, "no_user_anon_id"),
        ({"type": "track", "userId": "u"}, "no_event"),
        ({"type": "group", "userId": "u"}, "no_group_id"),
        ({"type": "alias", "userId": "u"}, "no_previous_id"),
        ({"type": "dance", "userId": "u"}, "invalid_type"),
        ({"userId": "u"}, "invalid_type"),
        (7, "invalid_item"),
        (None, "invalid_item"),
        ({"type": "track", "userId": "u", "event": "e", "properties": 3}, "invalid_properties"),
    ],
)
def test_a_bad_message_is_quarantined_and_the_rest_kept(bad: object, reason: str) -> None:
    """The client hears 200, so it does not throw the other 249 away."""
    bench = Bench()
    reply = bench.post("/v1/batch", {"batch": [track(1), bad, track(2)]}, basic("k"))
    assert reply.status == 200
    (decoded,) = bench.decoded()
    assert [event.message_id for event in decoded.events] == [track(n)["messageId"] for n in (1, 2)]
    assert [(row.reason, row.position) for row in decoded.quarantined] == [(reason, 1)]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"event": "e"}, "missing_distinct_id"),
        ({"distinct_id": "d"}, "missing_event_name"),
        ({"event": "e", "distinct_id": "d", "properties": []}, "malformed_event_properties"),
        ("x", "invalid_item"),
    ],
)
def test_a_bad_posthog_event_is_quarantined_and_the_rest_kept(bad: object, reason: str) -> None:
    """Here too, where the vendor would refuse the batch."""
    bench = Bench()
    body = {"api_key": "phc_demo", "batch": [bad, {"event": "e", "distinct_id": "d"}]}
    assert bench.post("/batch/", body).status == 200
    (decoded,) = bench.decoded()
    assert len(decoded.events) == 1
    assert [row.reason for row in decoded.quarantined] == [reason]


def test_half_an_emoji_costs_one_character() -> None:
    """JavaScript cuts strings in the middle of a character; that is no reason to lose a batch."""
    bench = Bench()
    body = b'{"batch":[{"type":"track","userId":"u","event":"cut \\ud83d!"}]}'
    assert bench.post("/v1/batch", body, basic("k")).status == 200
    assert bench.decoded()[0].events[0].event == "cut \ufffd!"


def test_an_event_that_is_no_utf8_is_quarantined_alone() -> None:
    """Its bytes are kept readable."""
    bench = Bench()
    good = b'{"type":"track","userId":"u","event":"e"}'
    body = b'{"batch":[' + good + b',{"type":"track","userId":"u","event":"\xff"},' + good + b"]}"
    assert bench.post("/v1/batch", body, basic("k")).status == 200
    (decoded,) = bench.decoded()
    assert len(decoded.events) == 2
    assert decoded.quarantined[0].reason == "invalid_json"
    assert "\\xff" in decoded.quarantined[0].raw


# -- who may send ----------------------------------------------------------------------------


def test_the_key_may_be_in_the_header_or_the_body() -> None:
    """Basic user, Bearer token, ``writeKey``; an OAuth token beside a ``writeKey`` is no key."""
    bench = Bench("web=secret")
    batch = {"batch": [track()]}
    json = {"Content-Type": "application/json"}
    assert bench.post("/v1/batch", batch, basic("secret")).status == 200
    assert bench.post("/v1/batch", batch, {**json, "Authorization": "Bearer secret"}).status == 200
    keyed = {**batch, "writeKey": "secret"}
    assert bench.post("/v1/batch", keyed, json).status == 200
    assert bench.post("/v1/batch", keyed, {**json, "Authorization": "Bearer oauth"}).status == 200
    assert bench.post("/v1/track", {**track(), "writeKey": "secret"}, json).status == 200
    assert {head.source for head, _ in bench.entries()} == {"web"}


@pytest.mark.parametrize("given", ["wrong", ""])
def test_unknown_keys_are_refused_in_each_vendors_words(given: str) -> None:
    """401 everywhere, and nothing is written."""
    bench = Bench("web=secret")
    reply = bench.post("/v1/batch", {"batch": [track()]}, basic(given))
    assert (reply.status, reply.json["code"]) == (401, "unauthorized")
    reply = bench.post("/batch/", legacy({"event": "e", "distinct_id": "d"}, api_key=given))
    assert reply.status == 401
    assert b"api_key" in reply.body or b"API key" in reply.body
    headers = {**V1_HEADERS, "Authorization": f"Bearer {given}"}
    reply = bench.post("/i/v1/analytics/events", v1(v1_event()), headers)
    assert (reply.status, reply.json["error"]) == (401, "invalid_api_token")
    assert bench.entries() == []


def test_an_open_collector_still_wants_a_key() -> None:
    """A client without one is misconfigured, and should learn it here."""
    json = {"Content-Type": "application/json"}
    assert Bench().post("/v1/batch", {"batch": [track()]}, json).status == 401


def test_cluster_info_tells_one_node_to_who_has_a_key() -> None:
    """RudderStack clients ask for it after a 451."""
    bench = Bench(RUDDER)
    assert bench.request("GET", "/cluster-info", headers=basic("rk")).json == {"nodeCount": 1}
    assert bench.request("GET", "/cluster-info", headers=basic("no")).status == 401
    assert bench.request("GET", "/cluster-info").status == 401


# -- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EVERY_ROUTE)
@pytest.mark.parametrize("body", [b"", b"{", b"nope", b"\xff", b'"x"', b"[1", b"{}trailing", DEEP])
def test_what_is_no_json_is_400(path: str, body: bytes) -> None:
    """Malformed, empty, truncated, nested beyond reading: the whole request is refused."""
    bench = Bench()
    reply = bench.post(path, body, basic("k"))
    assert reply.status == 400
    assert bench.entries() == []


@pytest.mark.parametrize("body", [b"{}", b'{"batch":{}}', b'{"batch":null}', b"[]", b"3"])
def test_what_is_no_batch_is_400(body: bytes) -> None:
    """JSON of another shape."""
    assert Bench().post("/v1/batch", body, basic("k")).json["code"] == "invalid_request"
    assert Bench(RUDDER).post("/v1/batch", body, basic("rk")).body == b"invalid json\n"


def test_empty_batches_are_told_as_each_vendor_does() -> None:
    """Segment takes one, the others do not; nothing is written either way."""
    bench = Bench(RUDDER, "web=k", "ph=phc_demo")
    assert bench.post("/v1/batch", {"batch": []}, basic("k")).status == 200
    reply = bench.post("/v1/batch", {"batch": []}, basic("rk"))
    assert (reply.status, reply.body) == (400, b"empty batch payload\n")
    reply = bench.post("/batch/", legacy())
    assert (reply.status, reply.body) == (400, b"request holds no event")
    reply = bench.post("/i/v1/analytics/events", v1(), V1_HEADERS)
    assert (reply.status, reply.json["error"]) == (400, "empty_batch")
    assert bench.entries() == []


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/v1/batch", "web=k", 400),
        ("/v1/batch", "web:rudderstack=k", 413),
        ("/batch/", "web=k", 413),
        ("/i/v1/analytics/events", "web=k", 413),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_too_much_is_refused_before_it_is_held(
    path: str, key: str, status: int, compressed: bool
) -> None:
    """By the bytes as they come, by the bytes they become, and by the number of events."""
    small = {"body_bytes": 2000, "inflated_bytes": 5000, "posthog_body_bytes": 2000}
    limits = Limits(**small, posthog_inflated_bytes=5000, events=3)
    bench = Bench(key, limits=limits)
    headers = {**V1_HEADERS, **({} if path[1] == "i" else basic("k"))}
    headers["Authorization"] = "Bearer k" if path[1] == "i" else headers["Authorization"]
    body = b'{"api_key":"k","batch":[' + b" " * 9000 + b"]}"
    if compressed:
        body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
    assert bench.post(path, body, headers).status == status
    many = {"created_at": NOW_TEXT, "api_key": "k", "batch": [v1_event(n) for n in range(4)]}
    reply = bench.post(path, gzip.compress(orjson.dumps(many)), headers)
    assert reply.status == status
    assert bench.entries() == []


@pytest.mark.parametrize("path", ["/v1/batch", "/batch/", "/i/v1/analytics/events"])
def test_a_decompression_bomb_is_refused(path: str) -> None:
    """A kilobyte that claims to be a hundred megabytes is not inflated."""
    bomb = gzip.compress(b'{"batch":[' + b" " * 100_000_000)
    headers = {**basic("k"), "Content-Encoding": "gzip"}
    reply = Bench().post(path, bomb, V1_HEADERS if path[1] == "i" else headers)
    assert reply.status in {400, 413}
    assert b"large" in reply.body or b"exceeded" in reply.body


@pytest.mark.parametrize("path", ["/v1/batch", "/batch/", "/i/v1/analytics/events"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_bodies_are_read(path: str, encoding: str) -> None:
    """Gzip and zlib-wrapped deflate, on every route; the log keeps the bytes as they came."""
    bench = Bench()
    body = orjson.dumps({**v1(v1_event()), "api_key": "phc_demo"})
    packed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    headers = V1_HEADERS if path[1] == "i" else basic("phc_demo")
    reply = bench.post(path, packed, {**headers, "Content-Encoding": encoding})
    assert reply.status == 200
    ((head, stored),) = bench.entries()
    assert (head.encoding, stored) == (encoding, packed)


def test_gzip_is_recognised_without_a_header() -> None:
    """PostHog's SDKs say it in the query, or not at all."""
    bench = Bench()
    packed = gzip.compress(orjson.dumps(legacy({"event": "e", "distinct_id": "d"})))
    assert bench.post("/batch/", packed, query="compression=gzip-js").status == 200
    assert bench.post("/batch/", packed).status == 200
    assert bench.post("/v1/batch", gzip.compress(b'{"batch":[]}'), basic("k")).status == 200


@pytest.mark.parametrize(
    "body", [b"\x1f\x8bgarbage", gzip.compress(b'{"batch":[]}' * 99, mtime=0)[:-12]]
)
def test_a_damaged_gzip_body_is_400(body: bytes) -> None:
    """Garbage and truncation alike, as something a retry does not mend."""
    headers = {**basic("k"), "Content-Encoding": "gzip"}
    assert Bench().post("/v1/batch", body, headers).status == 400
    assert Bench().post("/batch/", body).status == 400
    reply = Bench().post("/i/v1/analytics/events", body, V1_HEADERS)
    assert (reply.status, reply.json["error"]) == (400, "request_decoding_error")


def test_unknown_encodings_and_types_are_415() -> None:
    """Nothing is guessed."""
    odd = {"Content-Encoding": "rot13"}
    batch = {"batch": [track()]}
    assert Bench().post("/v1/batch", batch, {**basic("k"), **odd}).status == 415
    assert Bench().post("/batch/", legacy(), odd).status == 415
    reply = Bench().post("/i/v1/analytics/events", v1(), {**V1_HEADERS, **odd})
    assert (reply.status, reply.json["error"]) == (415, "unsupported_encoding")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert Bench().post("/v1/batch", batch, {**basic("k"), **form}).status == 415
    charset = {"Content-Type": "application/json; charset=utf-8"}
    assert Bench().post("/v1/batch", batch, {**basic("k"), **charset}).status == 200


def test_unknown_routes_and_methods_are_404_and_405() -> None:
    """With the methods that would do."""
    assert Bench().post("/v1/dance", {}).status == 404
    reply = Bench().request("GET", "/v1/batch")
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert Bench().post("/healthz", {}).headers["allow"] == "GET, HEAD"


# -- PostHog V1's headers --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"Authorization": ""}, 401, "missing_authorization"),
        ({"User-Agent": "", "PostHog-Attempt": ""}, 400, "missing_required_headers"),
        ({"Authorization": "Basic azo="}, 400, "invalid_header_value"),
        ({"Authorization": "Bearer phx_personal"}, 401, "invalid_api_token"),
        ({"Content-Type": "text/plain"}, 415, "unsupported_content_type"),
        ({"PostHog-Request-Id": "7"}, 400, "invalid_header_value"),
        ({"PostHog-Attempt": "0"}, 400, "invalid_header_value"),
        ({"PostHog-Attempt": "²"}, 400, "invalid_header_value"),
        ({"PostHog-Request-Timestamp": "soon"}, 400, "invalid_header_value"),
    ],
)
def test_v1_headers_are_checked(changes: dict[str, str], status: int, code: str) -> None:
    """As the vendor checks them, with its codes."""
    headers = {name: value for name, value in {**V1_HEADERS, **changes}.items() if value}
    reply = Bench().post("/i/v1/analytics/events", v1(v1_event()), headers)
    assert (reply.status, reply.json["error"]) == (status, code)


def test_v1_lists_every_missing_header() -> None:
    """So that an SDK's author sees all of them at once."""
    reply = Bench().post("/i/v1/analytics/events", v1(), {"Authorization": "Bearer k"})
    for name in ("Content-Type", "User-Agent", "PostHog-Sdk-Info", "PostHog-Request-Timestamp"):
        assert name in reply.json["error_description"]


@pytest.mark.parametrize(
    ("batch", "code"),
    [
        ([v1_event(uuid="")], "missing_event_uuid"),
        ([v1_event(uuid="7")], "invalid_event_uuid"),
        ([v1_event(1), v1_event(1)], "duplicate_event_uuid"),
        ([{"event": "e"}], "request_parsing_error"),
        ([v1_event(timestamp=7)], "request_parsing_error"),
        ([7], "request_parsing_error"),
    ],
)
def test_v1_refuses_batches_without_a_verdict_per_event(batch: list[Any], code: str) -> None:
    """Verdicts are told by uuid: without one each, there is nothing to tell."""
    reply = Bench().post("/i/v1/analytics/events", v1(*batch), V1_HEADERS)
    assert (reply.status, reply.json["error"]) == (400, code)


def test_v1_wants_a_readable_date_on_its_batch() -> None:
    """``created_at`` is RFC 3339."""
    reply = Bench().post("/i/v1/analytics/events", v1(v1_event(), created_at="x"), V1_HEADERS)
    assert (reply.status, reply.json["error"]) == (400, "invalid_batch")


# -- trouble ---------------------------------------------------------------------------------


def test_a_disk_that_cannot_be_written_is_503() -> None:
    """With a hint when to come back, in each vendor's words, and never 429."""
    bench = Bench(RUDDER, "web=k", "ph=phc_demo")
    bench.log.append_error = OSError(28, "No space left on device")
    replies = [
        bench.post("/v1/batch", {"batch": [track()]}, basic("k")),
        bench.post("/v1/batch", {"batch": [track()]}, basic("rk")),
        bench.post("/batch/", legacy({"event": "e", "distinct_id": "d"})),
        bench.post("/i/v1/analytics/events", v1(v1_event()), V1_HEADERS),
    ]
    assert {(r.status, r.headers["retry-after"]) for r in replies} == {(503, "1")}


def test_health_is_ok() -> None:
    """For whoever watches the process."""
    assert Bench().request("GET", "/healthz").json == {"status": "ok"}
    assert Bench().request("HEAD", "/healthz").body == b""
