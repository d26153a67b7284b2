"""Segment's wire format, both ways, and PostHog's own calls in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neutral import ATTEMPT, TIME, messages, neutral, record_of
from penstock.dialects import Accepted, Attempt, Malformed, Rejected, RetryLater, Unencodable
from penstock.dialects._receiving import Refused, with_envelope
from penstock.dialects.posthog import PostHogDialect
from penstock.dialects.posthog import receive as receive_posthog
from penstock.dialects.segment import SegmentDialect, receive
from penstock.journal.record import Record
from penstock.kinds import Kind
from penstock.transport import Response

SEGMENT = SegmentDialect("https://api.segment.io", "WK_demo")


def sent(*batch: dict[str, Any], attempt: Attempt = ATTEMPT) -> dict[str, Any]:
    """The body of a request with *batch*."""
    encoded = [SEGMENT.encode(record_of(message)) for message in batch]
    return json.loads(SEGMENT.request(encoded, attempt).body)


def translated(**fields: Any) -> dict[str, Any]:
    """One of PostHog's own calls as it goes out."""
    return sent(neutral(fields.pop("type"), **fields))["batch"][0]


# -- sending


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind <= Kind.ALIAS])
def test_a_neutral_message_is_sent_as_it_lies_in_the_journal(kind: Kind) -> None:
    """Not even parsed: the very same bytes."""
    record = Record(1, kind.value, 0, 0, b"{not json, not looked at}")
    assert SEGMENT.encode(record).wire is record.payload


def test_the_envelope_says_what_all_messages_share() -> None:
    """When it left, and which library sent it; no key in the body."""
    body = sent(neutral("track", userId="u", event="E"), neutral("alias", userId="u"))
    assert [message["type"] for message in body["batch"]] == ["track", "alias"]
    assert body["sentAt"] == ATTEMPT.sent_at
    assert body["context"]["library"]["name"] == "penstock"
    assert set(body) == {"sentAt", "messageId", "context", "batch"}


def test_each_attempt_has_its_own_sent_at_and_nothing_else_changes() -> None:
    """The skew of a client's clock is measured anew; the batch stays the same batch."""
    message = neutral("track", userId="u", event="E")
    first = sent(message)
    later = Attempt(2, "2026-03-01T10:21:00.000Z", ATTEMPT.created_at, ATTEMPT.request_id)
    second = sent(message, attempt=later)
    assert second.pop("sentAt") == later.sent_at != first.pop("sentAt")
    assert first == second


def test_the_key_is_the_user_of_basic_auth() -> None:
    """With an empty password, its colon included, at the endpoint's own path."""
    dialect = SegmentDialect("https://proxy.example/segment", "WK_demo")
    request = dialect.request([dialect.encode(record_of(neutral("track")))], ATTEMPT)
    assert request.headers["Authorization"] == "Basic V0tfZGVtbzo="
    assert request.url == "https://proxy.example/segment/v1/batch"
    assert request.method == "POST"


@given(st.lists(messages(), min_size=1, max_size=6))
def test_the_size_of_a_body_is_known_before_it_is_made(batch: list[dict[str, Any]]) -> None:
    """To the byte, envelope and commas included."""
    encoded = [SEGMENT.encode(record_of(message)) for message in batch]
    body = SEGMENT.request(encoded, ATTEMPT).body
    assert len(body) == SEGMENT.body_bytes(len(encoded), sum(len(one.wire) for one in encoded))


def test_all_messages_may_share_a_request() -> None:
    """There is one bucket, however many nodes."""
    encoded = SEGMENT.encode(record_of(neutral("track")))
    assert SEGMENT.bucket(encoded, 7) == 0


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, Accepted), (400, Malformed), (401, Rejected), (451, Rejected), (503, RetryLater)],
)
def test_an_answer_counts_by_its_status(status: int, outcome: type) -> None:
    """400 asks for a search, 451 means nothing here."""
    assert isinstance(SEGMENT.classify(Response(status, {}, b"words"), []), outcome)


# -- PostHog's own calls


def test_a_capture_becomes_a_track() -> None:
    """Properties stay, what belongs to the context moves there."""
    message = translated(
        type="capture",
        userId="u",
        event="Paid",
        properties={
            "revenue": 5,
            "$ip": "203.0.113.7",
            "$session_id": "s",
            "$os": "Linux",
            "utm_campaign": "spring",
            "$set": {"plan": "pro"},
            "$groups": {"company": "acme"},
            "$lib": "x",
            "$geoip_disable": True,
        },
        context={"os": {"version": "13"}, "locale": "da-DK"},
        integrations={"All": True},
    )
    context = message.pop("context")
    assert message == neutral("track", userId="u", event="Paid") | {
        "properties": {"revenue": 5, "$groups": {"company": "acme"}},
        "integrations": {"All": True},
    }
    assert context == {
        "ip": "203.0.113.7",
        "sessionId": "s",
        "os": {"name": "Linux", "version": "13"},
        "campaign": {"name": "spring"},
        "traits": {"plan": "pro"},
        "groupId": "acme",
        "locale": "da-DK",
    }


def test_what_the_caller_put_in_the_context_wins_over_a_property() -> None:
    """It was said in the right place."""
    message = translated(
        type="capture", userId="u", event="E", properties={"$ip": "1"}, context={"ip": "2"}
    )
    assert message["context"] == {"ip": "2"}


@pytest.mark.parametrize(
    ("event", "properties", "expected"),
    [
        (
            "$pageview",
            {"$current_url": "https://h/p", "title": "T", "category": "Docs"},
            {"type": "page", "name": "T", "category": "Docs"},
        ),
        ("$screen", {"$screen_name": "Settings"}, {"type": "screen", "name": "Settings"}),
        ("$identify", {"$set": {"plan": "pro"}}, {"type": "identify", "traits": {"plan": "pro"}}),
        ("$create_alias", {"alias": "a-1"}, {"type": "alias", "previousId": "a-1"}),
        (
            "$groupidentify",
            {"$group_type": "company", "$group_key": "acme"},
            {"type": "group", "groupId": "acme", "traits": {"groupType": "company"}},
        ),
        ("$autocapture", {}, {"type": "track", "event": "$autocapture"}),
    ],
)
def test_posthogs_event_names_become_the_familys_types(
    event: str, properties: dict[str, Any], expected: dict[str, Any]
) -> None:
    """By the table in the protocol reference, section 3.4."""
    message = translated(type="capture", userId="u", event=event, properties=properties)
    assert message.items() >= {"userId": "u", **expected}.items()


def test_a_personless_capture_is_anonymous() -> None:
    """Its random id names nobody."""
    message = translated(
        type="capture", anonymousId="r", event="E", properties={"$process_person_profile": False}
    )
    assert message["anonymousId"] == "r"
    assert "userId" not in message


def test_a_capture_with_both_ids_keeps_both() -> None:
    """As a track with both would."""
    message = translated(type="capture", userId="u", anonymousId="a", event="E")
    assert (message["userId"], message["anonymousId"]) == ("u", "a")


def test_a_group_identify_becomes_a_group() -> None:
    """Without a user, PostHog's made-up id is the anonymous one."""
    message = translated(
        type="group_identify", groupType="company", groupId="acme", traits={"n": 1}
    )
    assert message == neutral(
        "group",
        anonymousId="$company_acme",
        groupId="acme",
        traits={"n": 1, "groupType": "company"},
    )
    named = translated(type="group_identify", groupType="c", groupId="g", userId="u")
    assert named["userId"] == "u"


def test_a_create_alias_becomes_an_alias() -> None:
    """PostHog merges the alias into the distinct id, so that one stays."""
    message = translated(type="create_alias", distinctId="u", alias="a")
    assert message == neutral("alias", userId="u", previousId="a")


ERROR = [
    {"type": "RuntimeError", "value": "outer", "mechanism": {"type": "generic", "handled": True}},
    {
        "type": "KeyError",
        "value": "'sku'",
        "stacktrace": {
            "type": "raw",
            "frames": [
                {"filename": "shop/cart.py", "function": "add", "lineno": 7, "in_app": True},
                {"filename": "shop/stock.py", "function": "take", "in_app": True, "platform": "x"},
                {"filename": "lib/db.py", "function": "get", "lineno": 1, "in_app": False},
            ],
        },
    },
]


def test_an_error_becomes_a_track_call_with_the_essentials() -> None:
    """Type, message, level, handled, and the innermost frame of the application; no stacks."""
    message = translated(
        type="exception_event",
        userId="u",
        exceptions=ERROR,
        level="error",
        event="Oops",
        properties={"order": 7},
    )
    assert message == neutral(
        "track",
        userId="u",
        event="Oops",
        properties={
            "order": 7,
            "exception_type": "RuntimeError",
            "exception_message": "outer",
            "exception_level": "error",
            "exception_handled": True,
            "exception_frame": {"filename": "shop/stock.py", "function": "take"},
        },
    )


def test_an_error_of_an_odd_shape_becomes_what_can_be_told_of_it() -> None:
    """Others than Penstock's own client may have written it."""
    odd = [{"type": "E", "mechanism": 3, "stacktrace": {"frames": [1, None]}}]
    message = translated(type="exception_event", userId="u", exceptions=odd)
    assert message["event"] == "Exception Captured"
    assert message["properties"] == {"exception_type": "E"}


def test_a_collector_gets_the_whole_error() -> None:
    """As it gets one of PostHog's SDKs: a collector stores both alike."""
    message = {
        "type": "exception_event",
        "messageId": "0195500a-1111-7000-8000-000000000031",
        "timestamp": "2026-03-01T10:20:30.123Z",
        "anonymousId": "a",
        "exceptions": ERROR,
        "level": "fatal",
        "fingerprint": "cart",
        "steps": [{"message": "cart loaded", "properties": {"n": 1}}],
        "properties": {"order": 7, "$process_person_profile": False},
        "context": {"ip": "203.0.113.7"},
    }
    record = Record(
        1, Kind.EXCEPTION_EVENT, 0, 0, json.dumps(message, separators=(",", ":")).encode()
    )
    collector = SegmentDialect("http://h", "K", whole_exceptions=True)
    ours = receive(json.loads(collector.encode(record).wire))
    posthog = PostHogDialect("http://h", "phc", system={})
    theirs = receive_posthog(json.loads(posthog.encode(record).wire))
    assert ours["properties"]["$exception_list"] == ERROR
    del theirs["context"]["library"]
    assert ours == theirs


@pytest.mark.parametrize(
    ("kind", "payload", "reason"),
    [
        (Kind.CAPTURE, b"[1]", "malformed"),
        (Kind.CAPTURE, b'{"messageId":"m","properties":[]}', "malformed"),
        (Kind.CAPTURE, b'{"messageId":"m","event":"E"}', "rejected"),
        (Kind.GROUP_IDENTIFY, b'{"messageId":"m","groupType":"t"}', "rejected"),
        (Kind.CREATE_ALIAS, b'{"messageId":"m","distinctId":"u"}', "rejected"),
        (Kind.EXCEPTION_EVENT, b'{"messageId":"m","userId":"u","exceptions":3}', "malformed"),
        (99, b'{"messageId":"m"}', "malformed"),
    ],
)
def test_a_call_that_cannot_be_translated_says_why(kind: int, payload: bytes, reason: str) -> None:
    """And shows nothing of its content."""
    with pytest.raises(Unencodable) as caught:
        SEGMENT.encode(Record(1, int(kind), 0, 0, payload))
    assert caught.value.reason == reason


# -- receiving


@given(messages())
def test_what_was_sent_is_received(message: dict[str, Any]) -> None:
    """Sending and receiving are inverse, but for the library in the envelope."""
    body = sent(message)
    received = receive(with_envelope(body["batch"][0], body))
    assert received["context"].pop("library")["name"] == "penstock"
    if not received["context"] and "context" not in message:
        del received["context"]
    assert received == message


def test_the_path_says_the_type() -> None:
    """On the single-call routes, whatever the item says."""
    item = neutral("track", userId="u", previousId="a")
    assert receive(item, type="alias") == neutral("alias", userId="u", previousId="a")


def test_ids_and_names_may_be_any_scalar() -> None:
    """They become text; zero is an id, null and blanks are none."""
    item = neutral("track", userId=0, anonymousId=7.0, event=404, messageId=12.5)
    received = receive(item)
    assert received == neutral("track", userId="0", anonymousId="7", event="404", messageId="12.5")
    flags = receive({"type": "page", "userId": True, "anonymousId": " ", "name": None})
    assert flags == {"type": "page", "userId": "true"}
    assert receive({"type": "page", "userId": "a\0b"})["userId"] == "a\ufffdb"


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"type": "track", "event": "E"}, "no_user_anon_id"),
        ({"type": "page", "userId": {}, "anonymousId": []}, "no_user_anon_id"),
        ({"type": "track", "userId": "u"}, "no_event"),
        ({"type": "track", "userId": "u", "event": "  "}, "no_event"),
        ({"type": "track"}, "no_event"),
        ({"type": "group", "userId": "u"}, "no_group_id"),
        ({"type": "alias", "userId": "u"}, "no_previous_id"),
        ({"type": "alias", "previousId": "p"}, "no_user_anon_id"),
        ({"type": "alias", "anonymousId": "a", "previousId": "p"}, "no_user_anon_id"),
        ({"type": "Track", "userId": "u"}, "invalid_type"),
        ({"type": "capture", "userId": "u"}, "invalid_type"),
        ({"type": ["track"], "userId": "u"}, "invalid_type"),
        ({"userId": "u"}, "invalid_type"),
        ({"type": "track", "userId": "u", "event": "E", "properties": [1]}, "invalid_properties"),
        ({"type": "identify", "userId": "u", "traits": "x"}, "invalid_traits"),
        (["track"], "invalid_item"),
    ],
)
def test_what_cannot_become_an_event_is_refused_by_code(item: Any, code: str) -> None:
    """One code per reason, and none of the item's values in the text."""
    with pytest.raises(Refused) as caught:
        receive(item)
    assert caught.value.code == code
    assert code in str(caught.value)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-03-01T10:20:30Z", "2026-03-01T10:20:30.000Z"),
        ("2026-03-01T12:20:30.123456789+02:00", "2026-03-01T10:20:30.123Z"),
        ("2026-03-01t10:20:30.5z", "2026-03-01T10:20:30.500Z"),
        ("2026-03-01T10:20:30", "2026-03-01T10:20:30.000Z"),
        ("2026-03-01", "2026-03-01T00:00:00.000Z"),
        ("yesterday", None),
        ("2026-02-30T00:00:00Z", None),
        ("0001-01-01T00:00:00+05:00", None),
        (1_772_360_430, None),
        (None, None),
    ],
)
def test_a_time_is_read_or_absent(written: object, read: str | None) -> None:
    """In UTC and milliseconds; the collector dates the rest by arrival."""
    item = {"type": "page", "userId": "u", "timestamp": written}
    assert receive(item).get("timestamp") == read


def test_the_original_time_is_read_where_there_is_no_other() -> None:
    """Some senders of this dialect write only that."""
    item = {"type": "page", "userId": "u", "timestamp": "?", "originalTimestamp": TIME}
    assert receive(item)["timestamp"] == TIME


def test_the_envelope_lies_beneath_each_message() -> None:
    """Context and integrations of the batch fill what the message left open; neither is changed."""
    item = {"type": "page", "userId": "u", "context": {"ip": "1"}}
    envelope = {"context": {"ip": "2", "library": {"name": "x"}}, "integrations": {"All": False}}
    received = receive(with_envelope(item, envelope))
    assert received["context"] == {"ip": "1", "library": {"name": "x"}}
    assert received["integrations"] == {"All": False}
    assert item["context"] == {"ip": "1"}
    assert with_envelope(item, {"context": None, "integrations": []}) is item


def test_an_old_all_means_all() -> None:
    """Go clients before the fix write it in lower case; a right one wins."""
    item = {"type": "page", "userId": "u", "integrations": {"all": False, "X": True}}
    assert receive(item)["integrations"] == {"All": False, "X": True}
    item["integrations"]["All"] = True
    assert receive(item)["integrations"] == {"All": True, "X": True}
    assert "integrations" not in receive({"type": "page", "userId": "u", "integrations": 1})
