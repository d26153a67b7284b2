"""Events by other ways than a JSON body: pixels, beacons, forms, base64, lz-string, queries."""

from __future__ import annotations

import base64
import contextlib
import gzip
import zlib
from typing import Any
from urllib.parse import quote, urlencode

import brotli
import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from collector_kit import NOW_TEXT, NOW_US, V1_HEADERS, Bench, basic, track, v1_event
from penstock.collector.config import Limits
from penstock.collector.http import lz_string
from penstock.collector.http.parcel import form_fields
from penstock.collector.http.pixel import nested
from penstock.collector.http.routes import INTAKES, Carrier
from penstock.collector.refusal import Refusal

EVENT = {
    "event": "Order Completed",
    "uuid": "0195500a-1111-7000-8000-000000000001",
    "timestamp": NOW_TEXT,
    "properties": {"distinct_id": "u-1", "token": "phc_demo"},
}
RAW = orjson.dumps(EVENT)
B64 = base64.b64encode(RAW).decode()
#: Packed by lz-string 1.5.0: an event with a name of two scripts and a smile.
LZ64 = (
    "N4IgpgbmB2AuIC4QHkBOATMqAEBhA9gLYAOANmLGOiADQjGr7FawCWYAzoqOqx29ADGsAPqtqSAK4BaAIy0QsfAGsYieg"
    "AtBIzIXwLoAQ0Jh1AcVQAfgPthsgXg3AAHsgAvi6A=="
)
LEGACY = [path for path, route in INTAKES.items() if route.carrier is Carrier.LEGACY]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
WITHIN = quote(B64, safe="")


def only_event(bench: Bench) -> Any:
    (decoded,) = bench.decoded()
    assert decoded.quarantined == []
    (event,) = decoded.events
    return event


# -- every route ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [path for path, route in INTAKES.items() if route.dialect != "posthog"]
)
def test_every_route_of_the_family_takes_an_event(path: str) -> None:
    """Whatever its name and its carrier; what arrives is an event of the route's type."""
    bench, route = Bench(), INTAKES[path]
    message = track(1, groupId="g", previousId="p")
    if "pixel" in route.carrier.value:
        query = urlencode({"writeKey": "k", "userId": "u", "event": "e", "groupId": "g",
                           "previousId": "p"})  # fmt: skip
        reply = bench.request("GET", path, query=query)
        assert reply.headers["content-type"] == "image/gif"
        assert (reply.body[:6], len(reply.body)) == (b"GIF89a", 43)
    elif route.type:
        reply = bench.post(path, message, basic("k"))
    else:
        reply = bench.post(path, {"batch": [message]}, basic("k"))
    assert reply.status == 200
    if route.type == "merge":
        assert [bad.reason for bad in bench.decoded()[0].quarantined] == ["invalid_type"]
    else:
        assert only_event(bench).type == (route.type or "track")


@pytest.mark.parametrize(
    "path", [path for path, route in INTAKES.items() if route.dialect == "posthog"]
)
def test_every_route_of_posthog_takes_an_event(path: str) -> None:
    """With and without a slash at the end."""
    bench = Bench()
    body = {"created_at": NOW_TEXT, "api_key": "phc_demo", "batch": [v1_event(1)]}
    assert bench.post(path, body, V1_HEADERS).status == 200
    assert only_event(bench).event == "Order Completed"


def test_engage_names_its_events() -> None:
    """An event of ``/engage`` without a name sets the person's properties."""
    bench = Bench()
    body = {"token": "phc_demo", "distinct_id": "u", "$set": {"plan": "pro"}}
    assert bench.post("/engage/", body).status == 200
    event = only_event(bench)
    assert (event.type, event.traits) == ("identify", b'{"plan":"pro"}')


# -- PostHog's older bodies ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "headers", "query"),
    [
        (RAW, {"Content-Type": "text/plain"}, ""),
        (gzip.compress(RAW), {"Content-Type": "text/plain"}, "compression=gzip-js&ver=1.2&_=7"),
        (gzip.compress(RAW), FORM, ""),
        (f"data={WITHIN}".encode(), FORM, ""),
        (f"data={B64}".encode(), {}, "compression=base64"),
        (f"compression=base64&data={WITHIN}".encode(), FORM, ""),
        (f"data={quote(RAW)}".encode(), FORM, ""),
        (f"data={quote(RAW, safe='')}&ip=1".encode(), {"Content-Type": "text/plain"}, ""),
        (B64.encode(), {}, "compression=base64"),
        (base64.b64encode(gzip.compress(RAW)), {}, "compression=b64"),
        (base64.urlsafe_b64encode(RAW).rstrip(b"="), {}, "compression=base64"),
        (zlib.compress(RAW), {"Content-Encoding": "deflate"}, ""),
        (zstandard.compress(RAW), {"Content-Encoding": "zstd"}, ""),
        (zstandard.compress(RAW), {}, ""),
        (brotli.compress(RAW), {"Content-Encoding": "br"}, ""),
        (RAW, {"Content-Encoding": "gzip"}, "compression=gzip-js"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/capture/", "/e", "/batch/"])
def test_old_bodies_become_the_same_event(
    path: str, body: bytes, headers: dict[str, str], query: str
) -> None:
    """Whatever the SDK wrapped it in, and whatever it called that."""
    bench = Bench("web=phc_demo")
    reply = bench.request("POST", path, body, headers, query)
    assert (reply.status, reply.body) == (200, b'{"status":1}')
    event = only_event(bench)
    assert (event.event, event.user_id) == ("Order Completed", "u-1")
    assert (event.message_id, event.timestamp) == (EVENT["uuid"], NOW_US)


@pytest.mark.parametrize("path", LEGACY)
def test_an_event_in_the_query_arrives(path: str) -> None:
    """GET with ``data``: base64, or plain."""
    for data in (B64, RAW.decode()):
        bench = Bench()
        assert bench.request("GET", path, query=urlencode({"data": data})).status == 200
        assert only_event(bench).event == "Order Completed"


@pytest.mark.parametrize(
    ("body", "query"),
    [
        (LZ64.encode(), "compression=lz64"),
        (f"data={quote(LZ64)}".encode(), "compression=lz-string"),
        (f"compression=lz64&data={LZ64}".encode(), ""),
    ],
)
def test_lz_string_is_unpacked(body: bytes, query: str) -> None:
    """What PostHog's SDK in browsers sent before it had gzip, all of Unicode included."""
    bench = Bench()
    assert bench.request("POST", "/e/", body, FORM, query).status == 200
    event = only_event(bench)
    assert (event.event, event.properties) == (
        "Order Completed",
        '{"name":"Grüße 😀"}'.encode(),
    )


@given(st.binary(max_size=300))
def test_any_bytes_are_lz_string_or_refused(data: bytes) -> None:
    """Never anything else, and never more than was allowed."""
    with contextlib.suppress(Refusal):
        assert len(lz_string.decompress(base64.b64encode(data), 50)) <= 200


def test_a_beacon_of_posthog_gets_no_body() -> None:
    """204, as browsers' beacons are answered."""
    reply = Bench().post("/e/", EVENT, query="beacon=1")
    assert (reply.status, reply.body) == (204, b"")


def test_the_query_says_when_and_with_what_it_was_sent() -> None:
    """``_`` moves the clock, ``ver`` names the library; a year before 2021 is no time."""
    for told, moved in (("1772360371000", 60), ("1", 0), ("9" * 400, 0), ("²", 0)):
        bench = Bench()
        bench.post("/e/", {**EVENT, "timestamp": "2026-03-01T10:19:31Z"}, query=f"_={told}&ver=1.5")
        event = only_event(bench)
        assert event.timestamp == NOW_US - 60_000_000 + moved * 1_000_000
        assert event.library == "web/1.5"


@pytest.mark.parametrize(
    ("body", "query"),
    [
        (b"data=%%%", ""),
        (b"data=!", ""),
        (b"data=", ""),
        (b"!!!!", "compression=base64"),
        (b"AAA!", "compression=lz64"),
        (b"\xff\xfe", "compression=lz64"),
        (b"", "data=*"),
        (base64.b64encode(gzip.compress(RAW)[:-9]), "compression=base64"),
    ],
)
def test_damaged_wrappings_are_400(body: bytes, query: str) -> None:
    """Nothing is stored."""
    bench = Bench()
    assert bench.request("POST" if body else "GET", "/e/", body, FORM, query).status == 400
    assert bench.entries() == []


@pytest.mark.parametrize(
    ("body", "query"),
    [
        (b"data=" + b"A" * 3_000_000, ""),
        (b"A" * 3_000_000, "compression=base64"),
        (b"A" * 300_000, "compression=lz64"),
        (base64.b64encode(gzip.compress(b" " * 30_000_000)), "compression=base64"),
        (b"&".join([b"a=b"] * 700_000), ""),
    ],
)
def test_large_wrappings_are_413(body: bytes, query: str) -> None:
    """Unwrapping costs more than inflating, so it has a bound of its own."""
    assert Bench().request("POST", "/e/", body, FORM, query).status == 413


@given(st.text(max_size=40))
def test_forms_are_read_as_browsers_write_them(text: str) -> None:
    """Every text survives its way through a form."""
    fields = form_fields(urlencode({"data": text, "compression": "x"}).encode())
    assert fields == {b"data": text.encode(), b"compression": b"x"}


# -- pixels --------------------------------------------------------------------------------


def test_segment_pixels_carry_base64() -> None:
    """The message with its key inside, in either alphabet of base64."""
    message = {"writeKey": "k", **track(1, properties={"subject": "Hello?>"})}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        bench = Bench("web=k")
        data = encode(orjson.dumps(message)).decode()
        reply = bench.request("GET", "/v1/pixel/track", query=urlencode({"data": data}))
        assert (reply.status, len(reply.body)) == (200, 43)
        event = only_event(bench)
        assert (event.message_id, event.properties) == (
            message["messageId"],
            b'{"subject":"Hello?>"}',
        )


def test_pixels_spell_objects_with_dots() -> None:
    """And a name that is a text and an object at once is an object."""
    query = {"properties.a.b": "1", "properties.c": "2", "x": "3", "x.y": "4"}
    assert nested(query) == {"properties": {"a": {"b": "1"}, "c": "2"}, "x": {"y": "4"}}
    assert orjson.dumps(nested({"a" + ".a" * 2000: "1"}))


def test_rudderstack_pixels_have_its_defaults() -> None:
    """Channel, integrations, times, an unquoted id, and a name for a page without one."""
    bench = Bench("rs:rudderstack=k")
    query = urlencode({"writeKey": "k", "anonymousId": '"a-1"', "name": "", "properties.x": "1"})
    assert bench.request("GET", "/pixel/v1/page", query=query).status == 200
    event = only_event(bench)
    assert (event.type, event.name, event.anonymous_id) == ("page", "Unknown Page", "a-1")
    assert (event.integrations, event.rest) == (b'{"All":true}', b'{"channel":"web"}')
    assert event.timestamp == event.original_timestamp == NOW_US


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/pixel/track", ""),
        ("/v1/pixel/track", "writeKey=wrong&userId=u&event=e"),
        ("/v1/pixel/track", "data=!!!"),
        ("/v1/pixel/track", "data=AAAA"),
        ("/v1/pixel/track", "&".join(f"a{n}=1" for n in range(2000))),
        ("/pixel/v1/track", "writeKey=k&userId=u&event="),
    ],
)
def test_a_bad_pixel_is_still_a_picture(path: str, query: str) -> None:
    """Browsers show what they get; nothing is stored."""
    bench = Bench("web=k")
    reply = bench.request("GET", path, query=query)
    assert (reply.status, reply.headers["content-type"]) == (200, "image/gif")
    assert bench.entries() == []


def test_a_pixel_that_cannot_be_stored_says_so() -> None:
    """Still a picture, but no success: a mail program may ask again."""
    bench = Bench()
    bench.log.append_error = OSError(28, "No space left on device")
    reply = bench.request("GET", "/v1/pixel/track", query="writeKey=k&userId=u&event=e")
    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    assert reply.body[:6] == b"GIF89a"


def test_beacons_have_their_key_in_the_query() -> None:
    """As text, so that browsers ask nobody before."""
    bench = Bench("rs:rudderstack=k")
    plain = {"Content-Type": "text/plain;charset=UTF-8"}
    body = {"batch": [track(1)]}
    reply = bench.post("/beacon/v1/batch", body, plain, query="writeKey=k")
    assert (reply.status, reply.body) == (200, b"ok")
    assert only_event(bench).dialect == "rudderstack"
    reply = bench.post("/beacon/v1/batch", body, plain)
    assert (reply.status, reply.body) == (401, b"failed to read writekey from query params\n")
    assert bench.post("/v1/batch", body, plain, query="writeKey=k").status == 401


def test_an_import_may_be_empty() -> None:
    """RudderStack's batch may not."""
    bench = Bench("rs:rudderstack=k")
    assert bench.post("/v1/import", {"batch": []}, basic("k")).body == b"ok"
    assert bench.post("/v1/batch", {"batch": []}, basic("k")).status == 400


# -- one event's size ------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/batch", "/batch/", "/i/v1/analytics/events", "/v1/track"])
def test_an_event_that_is_too_big_is_quarantined(path: str) -> None:
    """Under its own id; its neighbours are stored, and PostHog's V1 is told which one it was."""
    bench = Bench(limits=Limits(event_bytes=2000))
    big = {"properties": {"text": "x" * 2000}}
    if path == "/v1/track":
        assert bench.post(path, track(1, **big), basic("k")).status == 200
    elif path == "/v1/batch":
        body: dict[str, Any] = {"batch": [track(0), track(1, **big), track(2)]}
        assert bench.post(path, body, basic("k")).status == 200
    else:
        items = [v1_event(0), v1_event(1, **big), v1_event(2)]
        body = {"created_at": NOW_TEXT, "api_key": "phc_demo", "batch": items}
        reply = bench.post(path, body, V1_HEADERS)
        assert reply.status == 200
        if "v1" in path:
            results = [verdict["result"] for verdict in reply.json["results"].values()]
            assert results == ["ok", "drop", "ok"]
            assert reply.json["results"][items[1]["uuid"]]["details"] == "event_too_big"
    (decoded,) = bench.decoded()
    (bad,) = decoded.quarantined
    assert (bad.reason, bad.message_id) == ("event_too_big", track(1)["messageId"])
    assert len(decoded.events) == (0 if path == "/v1/track" else 2)


def test_gzip_may_call_itself_a_form() -> None:
    """RudderStack's node SDK does; a form that is none is refused still."""
    bench, body = Bench("rs:rudderstack=k"), orjson.dumps({"batch": [track(1)]})
    headers = {**basic("k"), **FORM, "Content-Encoding": "gzip"}
    assert bench.post("/v1/batch", gzip.compress(body), headers).status == 200
    assert bench.post("/v1/batch", body, {**basic("k"), **FORM}).status == 415
