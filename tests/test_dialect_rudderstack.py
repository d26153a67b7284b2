"""RudderStack's wire format, its routing, and the way back."""

from __future__ import annotations

import json
import zlib
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neutral import ATTEMPT, TIME, messages, neutral, record_of
from penstock.dialects import Attempt, Rerouted, RetryLater, Unencodable
from penstock.dialects._receiving import Refused
from penstock.dialects.rudderstack import RudderStackDialect, anonymous_id, receive
from penstock.journal.record import Record
from penstock.kinds import Kind
from penstock.transport import Response

RUDDER = RudderStackDialect("https://dp.example", "WK_demo")


def sent(message: dict[str, Any], attempt: Attempt = ATTEMPT) -> dict[str, Any]:
    """The one message of a request."""
    request = RUDDER.request([RUDDER.encode(record_of(message))], attempt)
    (only,) = json.loads(request.body, object_pairs_hook=unique)["batch"]
    return only


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Fail on a JSON object that says a key twice."""
    held = dict(pairs)
    assert len(held) == len(pairs)
    return held


# -- sending


def test_a_message_carries_its_own_stamps() -> None:
    """The gateway reads nothing but the batch."""
    message = sent(neutral("track", userId="u", anonymousId="a", event="E", properties={"x": 1}))
    library = message["context"]["library"]
    assert library["name"] == "penstock"
    assert message == {
        "type": "track",
        "messageId": "m-1",
        "userId": "u",
        "anonymousId": "a",
        "event": "E",
        "properties": {"x": 1},
        "originalTimestamp": TIME,
        "sentAt": ATTEMPT.sent_at,
        "channel": "server",
        "context": {"library": library},
    }


def test_the_body_is_the_batch_and_nothing_more() -> None:
    """With a fresh departure in every message on every attempt."""
    encoded = [RUDDER.encode(record_of(neutral("page", userId="u")))] * 3
    later = Attempt(2, "2026-03-01T10:21:00.000Z", ATTEMPT.created_at, ATTEMPT.request_id)
    for attempt in (ATTEMPT, later):
        body = json.loads(RUDDER.request(encoded, attempt).body)
        assert set(body) == {"batch"}
        assert [message["sentAt"] for message in body["batch"]] == [attempt.sent_at] * 3


@given(messages())
def test_everything_the_caller_said_is_sent(message: dict[str, Any]) -> None:
    """Field by field, nested values unchanged."""
    wire = sent(message)
    library = wire["context"].pop("library")
    assert library["name"] == "penstock"
    assert wire["context"] == message.get("context", {})
    for field in message.keys() - {"timestamp", "context"}:
        assert wire[field] == message[field]
    assert wire["originalTimestamp"] == message["timestamp"]


@pytest.mark.parametrize("context", [{}, {"library": {"name": "other"}}, {"ip": "1", "library": 1}])
def test_the_library_is_always_ours(context: dict[str, Any]) -> None:
    """Also on an event that came from another SDK through a collector."""
    message = sent(neutral("track", userId="u", event="E", context=context))
    assert message["context"].pop("library")["name"] == "penstock"
    assert "name" not in message["context"]


@pytest.mark.parametrize("kind", ["track", "page", "screen", "group"])
def test_an_anonymous_id_is_made_where_the_vendors_sdk_makes_one(kind: str) -> None:
    """A UUID, even beside a user id, and the same on each attempt and in each process."""
    message = neutral(kind, messageId="m-7", userId="u")
    made = sent(message)["anonymousId"]
    assert UUID(made).version == 5
    assert sent(message)["anonymousId"] == made == anonymous_id("m-7")
    assert made != sent(neutral(kind, messageId="m-8", userId="u"))["anonymousId"]
    assert made == str(uuid5(uuid5(NAMESPACE_URL, "penstock:anonymousId"), "m-7"))


@pytest.mark.parametrize("kind", ["identify", "alias"])
def test_no_anonymous_id_is_made_elsewhere(kind: str) -> None:
    """Identify and alias say who somebody is."""
    assert "anonymousId" not in sent(neutral(kind, userId="u", previousId="p"))


def test_a_given_anonymous_id_stays() -> None:
    """Ours is only a filler."""
    assert sent(neutral("track", anonymousId="a", event="E"))["anonymousId"] == "a"


@given(st.lists(messages(), min_size=1, max_size=6))
def test_the_size_of_a_body_is_known_before_it_is_made(batch: list[dict[str, Any]]) -> None:
    """To the byte, stamps and commas included."""
    encoded = [RUDDER.encode(record_of(message)) for message in batch]
    body = RUDDER.request(encoded, ATTEMPT).body
    assert len(body) == RUDDER.body_bytes(len(encoded), sum(len(one.wire) for one in encoded))


def test_posthogs_own_calls_are_translated() -> None:
    """By Segment's rules, with this dialect's stamps."""
    message = sent(
        neutral("capture", userId="u", event="$screen", properties={"$screen_name": "S"})
    )
    assert (message["type"], message["name"], message["channel"]) == ("screen", "S", "server")


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b'{"type":"track"}', b'{"type":"track","messageId":"m","context":"x"}'],
)
def test_a_record_that_is_not_neutral_is_malformed(payload: bytes) -> None:
    """It is told, and shows nothing of its content."""
    with pytest.raises(Unencodable) as caught:
        RUDDER.encode(Record(1, Kind.TRACK.value, 0, 0, payload))
    assert caught.value.reason == "malformed"


# -- routing

VECTORS = [
    ("user-1", "anon-1", 2883336124, 1, 4),
    ("user-1", None, 246072324, 0, 4),
    (None, "anon-1", 606956315, 2, 0),
]


@pytest.mark.parametrize(("user", "anonymous", "crc", "of_three", "of_five"), VECTORS)
def test_a_user_belongs_to_a_node(
    user: str | None, anonymous: str | None, crc: int, of_three: int, of_five: int
) -> None:
    """The vectors of the protocol reference; identify makes up no id."""
    encoded = RUDDER.encode(record_of(neutral("identify", userId=user, anonymousId=anonymous)))
    assert encoded.route == crc
    assert [RUDDER.bucket(encoded, nodes) for nodes in (1, 3, 5)] == [0, of_three, of_five]


def test_a_made_up_anonymous_id_counts_for_the_node() -> None:
    """The proxy hashes what it reads on the wire, so we do as well."""
    encoded = RUDDER.encode(record_of(neutral("track", userId="user-1", event="E")))
    assert encoded.route == zlib.crc32(f"user-1:{anonymous_id('m-1')}".encode())


def test_a_request_names_its_node() -> None:
    """And how many there are, and that this is a server."""
    encoded = RUDDER.encode(record_of(neutral("track", userId="user-1", anonymousId="anon-1")))
    attempt = Attempt(1, ATTEMPT.sent_at, ATTEMPT.created_at, ATTEMPT.request_id, node_count=5)
    headers = RUDDER.request([encoded], attempt).headers
    assert headers["RS-targetNode"] == "4"
    assert headers["RS-nodeCount"] == "5"
    assert headers["RS-userAgent"] == "serverSDK"
    assert headers["Authorization"] == "Basic V0tfZGVtbzo="


def test_without_proxy_support_there_are_no_routing_headers() -> None:
    """For gateways older than they are."""
    plain = RudderStackDialect("https://dp.example", "WK_demo", no_proxy_support=True)
    encoded = plain.encode(record_of(neutral("track", userId="u")))
    assert not [name for name in plain.request([encoded], ATTEMPT).headers if "RS-" in name]


def test_451_asks_for_the_number_of_nodes() -> None:
    """Everything else is as anywhere."""
    assert RUDDER.classify(Response(451, {}, b""), []) == Rerouted()
    assert RUDDER.classify(Response(503, {"retry-after": "1"}, b""), []) == RetryLater(1.0)


def test_the_number_of_nodes_is_asked_for_with_the_key() -> None:
    """At the same base URL."""
    request = RUDDER.node_count_request()
    assert (request.method, request.url) == ("GET", "https://dp.example/cluster-info")
    assert request.headers["Authorization"] == "Basic V0tfZGVtbzo="
    assert request.body == b""


@pytest.mark.parametrize(
    ("status", "body", "count"),
    [
        (200, b'{"nodeCount":5}', 5),
        (200, b'{"nodeCount":1,"x":2}', 1),
        (200, b'{"nodeCount":0}', None),
        (200, b'{"nodeCount":-3}', None),
        (200, b'{"nodeCount":true}', None),
        (200, b'{"nodeCount":"5"}', None),
        (200, b"{}", None),
        (200, b"ok", None),
        (200, b"[" * 5000, None),
        (404, b'{"nodeCount":5}', None),
        (503, b"", None),
    ],
)
def test_only_a_sound_number_of_nodes_is_believed(
    status: int, body: bytes, count: int | None
) -> None:
    """Otherwise the old one stays."""
    assert RUDDER.parse_node_count(Response(status, {}, body)) == count


# -- receiving


@given(messages())
def test_what_was_sent_is_received(message: dict[str, Any]) -> None:
    """But for the library, and an anonymous id where the dialect makes one."""
    received = receive(sent(message))
    assert received["context"].pop("library")["name"] == "penstock"
    if not received["context"] and "context" not in message:
        del received["context"]
    if "anonymousId" not in message and message["type"] not in ("identify", "alias"):
        assert received.pop("anonymousId") == anonymous_id(message["messageId"])
    assert received == message


def test_the_original_time_is_the_events_time() -> None:
    """``timestamp`` is the Python SDK's, and only second best."""
    item = {"type": "page", "userId": "u", "originalTimestamp": TIME, "timestamp": "2020-01-01"}
    assert receive(item)["timestamp"] == TIME
    assert receive(item | {"originalTimestamp": None})["timestamp"] == "2020-01-01T00:00:00.000Z"


def test_the_gateway_asks_for_ids_and_nothing_else() -> None:
    """A track without a name is taken; ids lose the blanks around them."""
    assert receive({"type": "track", "userId": " u "}) == {
        "type": "track",
        "userId": "u",
        "event": "",
    }
    assert receive({"type": "group", "anonymousId": "a"})["groupId"] == ""
    assert receive({"type": "alias", "userId": "u"})["previousId"] == ""
    with pytest.raises(Refused, match="no_user_anon_id"):
        receive({"type": "track", "event": "E", "userId": "  "})


def test_traits_in_the_context_of_an_identify_are_its_traits() -> None:
    """The vendor's Python SDK sends them there; elsewhere the context keeps them."""
    context = {"traits": {"plan": "pro"}, "ip": "1"}
    identify = receive({"type": "identify", "userId": "u", "context": context})
    assert (identify["traits"], identify["context"]) == ({"plan": "pro"}, {"ip": "1"})
    assert receive({"type": "page", "userId": "u", "context": context})["context"] == context
    own = receive({"type": "identify", "userId": "u", "context": context, "traits": {}})
    assert (own["traits"], own["context"]) == ({}, context)


def test_integrations_that_are_no_object_enable_nothing() -> None:
    """As the processor reads them; null is absent."""
    item = {"type": "page", "userId": "u"}
    assert receive(item | {"integrations": "all"})["integrations"] == {"All": False}
    assert "integrations" not in receive(item | {"integrations": None})
