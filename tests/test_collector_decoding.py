"""From what clients send to rows: both ways of the Segment family, PostHog, times, ids."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_kit import NOW_TEXT, NOW_US, V1_HEADERS, Bench, basic, entry, track, v1_event
from penstock.collector.decoding import family
from penstock.collector.decoding.requests import decode_entry
from penstock.collector.decoding.rows import Event
from penstock.collector.decoding.surrogates import mended
from penstock.collector.decoding.wire import PostHogV1Event
from penstock.collector.http.verdicts import judge
from penstock.collector.log.entry import Head, packed, unpacked
from penstock.dialects._receiving import Refused
from penstock.dialects.posthog import receive_v1

SECOND = 1_000_000
JSON_COLUMNS = ("properties", "traits", "context", "integrations", "rest")

TEXT = st.text(max_size=12) | st.sampled_from(["", " ", " x", "x ", "u-1", "é", NOW_TEXT, "\0"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(
    TEXT | st.sampled_from(["library", "ip", "All", "all", "traits"]), VALUES, max_size=4
)
MEMBERS = {
    **dict.fromkeys(["messageId", "userId", "anonymousId", "groupId", "previousId"], TEXT),
    **dict.fromkeys(["event", "name", "category", "channel"], TEXT),
    **dict.fromkeys(["timestamp", "originalTimestamp", "sentAt"], TEXT),
    **dict.fromkeys(["properties", "traits", "context", "integrations"], st.none() | OBJECTS),
}
KINDS = st.sampled_from(["identify", "track", "page", "screen", "group", "alias"])
MESSAGES = st.builds(
    lambda kind, members: {"type": kind, **members},
    KINDS,
    st.fixed_dictionaries({}, optional=MEMBERS),
)


def events_of(body: Any, *args: Any, **head: Any) -> list[Event]:
    return decode_entry(entry(body, *args, **head), "lane-a", 1).events


def event_of(message: dict[str, Any], dialect: str = "segment", **envelope: Any) -> Event:
    (event,) = events_of({**envelope, "batch": [message]}, dialect)
    return event


def comparable(rows: list[Event]) -> list[tuple[Any, ...]]:
    """Rows with their JSON parsed: the two ways may write it differently."""
    parsed = [
        row._replace(
            **{name: orjson.loads(text) for name in JSON_COLUMNS if (text := getattr(row, name))}
        )
        for row in rows
    ]
    return [tuple(row) for row in parsed]


# -- both ways are one ---------------------------------------------------------------------


@given(
    st.lists(MESSAGES, max_size=4),
    st.sampled_from(["segment", "rudderstack"]),
    st.fixed_dictionaries(
        {}, optional={"context": OBJECTS, "integrations": OBJECTS, "sentAt": TEXT}
    ),
)
def test_the_plain_way_gives_what_the_careful_way_gives(
    messages: list[dict[str, Any]], dialect: str, envelope: dict[str, Any]
) -> None:
    """Speed changes nothing: same rows, same quarantine."""
    payload = entry({**envelope, "batch": messages}, dialect)
    quick = decode_entry(payload, "lane-a", 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(family, "_plainly", lambda _decoder, _body: None)
        careful = decode_entry(payload, "lane-a", 1)
    assert comparable(quick.events) == comparable(careful.events)
    assert quick.quarantined == careful.quarantined


def test_messages_as_sdks_send_them_take_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it would be of no use."""
    monkeypatch.setattr(family, "_careful", None)
    library = {"library": {"name": "a", "version": "1"}}
    assert event_of(track(), context=library).library == "a/1"
    rudder = {**track(), "channel": "server", "context": library, "originalTimestamp": NOW_TEXT}
    assert event_of(rudder, "rudderstack").rest == b'{"channel":"server"}'


@given(st.binary(max_size=40))
def test_log_entries_come_back_as_they_were(body: bytes) -> None:
    """The body is kept to the byte."""
    head = Head(1, "s", "segment", "batch", "gzip", 3, refused=((1, "x"),))
    assert unpacked(packed(head, body)) == (head, body)


@pytest.mark.parametrize("payload", [b"", b"\xff\xff\xff\xff", b"\x01\0\0\0\xc0"])
def test_what_is_no_log_entry_is_told(payload: bytes) -> None:
    """A ValueError, whatever the bytes."""
    with pytest.raises(ValueError, match=r".+"):
        unpacked(payload)


def test_a_body_that_cannot_be_read_any_more_is_kept() -> None:
    """A form this version does not know is quarantined whole, not skipped."""
    decoded = decode_entry(entry(b"{}", form="from_the_future"), "lane-a", 1)
    assert decoded.quarantined[0].reason == "unknown_form"
    decoded = decode_entry(entry(b"nope", count=250), "lane-a", 1)
    assert (decoded.quarantined[0].raw, decoded.events) == ("nope", [])


@pytest.mark.parametrize(
    ("place", "body", "form"),
    [
        (
            "penstock.collector.decoding.family._receive",
            {"batch": [track(1), {"type": 3}]},
            "batch",
        ),
        ("penstock.collector.decoding.posthog_rows._receive", {"batch": [v1_event()]}, "posthog"),
    ],
)
def test_a_fault_of_ours_costs_one_event(
    monkeypatch: pytest.MonkeyPatch, place: str, body: object, form: str
) -> None:
    """It is kept with its bytes; the pipeline goes on."""

    def faulty(*_args: object, **_options: object) -> None:
        raise KeyError("payload")

    monkeypatch.setattr(place, faulty)
    dialect = "segment" if form == "batch" else "posthog"
    decoded = decode_entry(entry(body, dialect, form), "lane-a", 1)
    assert len(decoded.events) == (1 if form == "batch" else 0)
    assert [(bad.reason, bad.detail) for bad in decoded.quarantined] == [
        ("undecodable", "KeyError")
    ]


# -- the Segment family ----------------------------------------------------------------------


def test_every_member_has_its_column() -> None:
    """And what has none is in ``rest``."""
    event = event_of(
        {
            **track(anonymousId="a", context={"ip": "203.0.113.7"}, integrations={"All": True}),
            "_metadata": {"nodeVersion": "22"},
        }
    )
    assert event._asdict() == {
        **dict.fromkeys(Event._fields),
        "message_id": track()["messageId"],
        "type": "track",
        "event": "Order Completed",
        "user_id": "u-0",
        "anonymous_id": "a",
        "timestamp": NOW_US,
        "original_timestamp": NOW_US,
        "received_at": NOW_US,
        "dialect": "segment",
        "properties": b'{"revenue":49.5}',
        "context": b'{"ip":"203.0.113.7"}',
        "integrations": b'{"All":true}',
        "rest": b'{"_metadata":{"nodeVersion":"22"}}',
        "request": 1,
        "position": 0,
    }


def test_the_envelope_lies_beneath_each_message() -> None:
    """Context and integrations of the batch, the message's own on top."""
    shared = {"context": {"ip": "1", "app": 2}, "integrations": {"All": False}}
    event = event_of(track(context={"ip": "own"}), **shared)
    assert orjson.loads(event.context or b"") == {"ip": "own", "app": 2}
    assert orjson.loads(event.integrations or b"") == {"All": False}


def test_ids_are_read_as_the_vendors_read_them() -> None:
    """Numbers become text; RudderStack removes blanks, Segment keeps them."""
    assert event_of(track(userId=12.0)).user_id == "12"
    assert event_of(track(userId=" u ")).user_id == " u "
    assert event_of(track(userId=" u "), "rudderstack").user_id == "u"


def test_an_event_without_an_id_gets_one_that_stays() -> None:
    """It follows from its place in the log, so sealing a run twice gives the same."""
    message = {"type": "track", "userId": "u", "event": "e"}
    body = {"batch": [message, message]}
    first, second = events_of(body)
    assert first.message_id != second.message_id
    assert [event.message_id for event in events_of(body)] == [first.message_id, second.message_id]
    other = decode_entry(entry(body), "lane-b", 1).events[0]
    assert other.message_id != first.message_id


def test_write_keys_are_not_stored() -> None:
    """Neither in a column nor in the rest."""
    event = event_of({**track(), "writeKey": "secret"})
    assert "secret" not in repr(event)


# -- times -----------------------------------------------------------------------------------


def test_segment_times_are_corrected_by_the_envelope() -> None:
    """The sender's clock is an hour late: five seconds before departure is before arrival."""
    event = event_of(track(timestamp="2026-03-01T09:20:26Z"), sentAt="2026-03-01T09:20:31Z")
    assert event.timestamp == NOW_US - 5 * SECOND
    assert event.original_timestamp == NOW_US - 3605 * SECOND
    assert event.sent_at == NOW_US - 3600 * SECOND


def test_rudderstack_takes_a_timestamp_as_it_is() -> None:
    """Only ``originalTimestamp`` is corrected."""
    late = {"sentAt": "2026-03-01T09:20:31Z", "originalTimestamp": "2026-03-01T09:20:26Z"}
    plain = {key: value for key, value in track().items() if key != "timestamp"}
    assert event_of({**plain, **late}, "rudderstack").timestamp == NOW_US - 5 * SECOND
    stated = event_of({**plain, **late, "timestamp": "2026-01-01T00:00:00Z"}, "rudderstack")
    assert stated.timestamp == 1_767_225_600 * SECOND


def test_history_keeps_its_dates() -> None:
    """A sale of 1997 that was imported just now happened in 1997."""
    event = event_of(track(timestamp="1997-01-12T00:00:00.000Z"), sentAt=NOW_TEXT)
    assert event.timestamp == event.original_timestamp == 853_027_200 * SECOND


def test_posthog_times_follow_posthogs_rules() -> None:
    """``sent_at`` corrects, an event may opt out, and ``offset`` wins over all."""
    late = {"event": "e", "distinct_id": "d", "timestamp": "2026-03-01T09:20:26Z"}
    events = events_of(
        {
            "sent_at": "2026-03-01T09:20:31Z",
            "batch": [
                late,
                {**late, "properties": {"$ignore_sent_at": True}},
                {**late, "offset": 2000},
            ],
        },
        "posthog",
        "posthog",
    )
    happened = [event.timestamp for event in events]
    assert happened == [NOW_US - 5 * SECOND, NOW_US - 3605 * SECOND, NOW_US - 2 * SECOND]


def test_v1_times_are_corrected_by_the_request_header() -> None:
    """``PostHog-Request-Timestamp`` is when it left."""
    late = v1_event(timestamp="2026-03-01T09:20:26Z")
    batch = [late, {**late, "options": {"disable_skew_correction": True}}]
    head = {"sent_at": "2026-03-01T09:20:31Z", "sdk": "posthog-go/1.2"}
    events = events_of({"batch": batch}, "posthog", "posthog_v1", **head)
    assert [e.timestamp for e in events] == [NOW_US - 5 * SECOND, NOW_US - 3605 * SECOND]
    assert events[0].library == "posthog-go/1.2"


# -- PostHog ---------------------------------------------------------------------------------


def test_posthog_events_become_neutral_messages() -> None:
    """By the dialect's own rules; unknown members are kept in ``rest``."""
    batch = [
        {"event": "$identify", "distinct_id": "u", "$set": {"plan": "pro"}},
        {"event": "paid", "distinct_id": "u", "properties": {"$lib": "web", "$lib_version": "1"}},
        {"event": "paid", "distinct_id": "u", "team": 7},
    ]
    events = events_of({"api_key": "k", "batch": batch}, "posthog", "posthog")
    assert [event.type for event in events] == ["identify", "track", "track"]
    assert events[0].traits == b'{"plan":"pro"}'
    assert events[1].library == "web/1"
    assert events[2].rest == b'{"team":7}'


EVENTS = st.fixed_dictionaries(
    {
        "event": TEXT | st.just("x" * 201),
        "uuid": st.just("0195500a-1111-7000-8000-000000000001"),
        "distinct_id": TEXT | st.just("x" * 201),
        "timestamp": st.sampled_from([NOW_TEXT, "2026-03-01T10:20:31", "", "2026-03-01"]) | TEXT,
        "properties": st.dictionaries(TEXT, VALUES, max_size=2) | VALUES,
    },
    optional={
        "options": st.dictionaries(
            st.sampled_from(["process_person_profile", "cookieless_mode", "product_tour_id", "x"]),
            VALUES,
        )
        | VALUES
    },
)


@given(EVENTS)
def test_v1_verdicts_agree_with_the_dialect(event: dict[str, Any]) -> None:
    """Ingest calls an event dropped exactly when the dialect would refuse it."""
    raw = {name: orjson.dumps(event[name]) for name in ("properties", "options") if name in event}
    members = {name: event[name] for name in ("event", "uuid", "distinct_id", "timestamp")}
    (verdict,) = judge(NOW_TEXT, [PostHogV1Event(**members, **raw)]).values()  # type: ignore[arg-type]
    try:
        receive_v1(event)
        refused = False
    except Refused:
        refused = True
    assert (verdict[0] == "drop") == refused


# -- small things ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (rb'"\ud83d\ude00"', rb'"\ud83d\ude00"'),
        (rb'"\ud83d"', rb'"\ufffd"'),
        (rb'"\uDE00x"', rb'"\ufffdx"'),
        (rb'"\ud83d\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"'),
        (rb'"\\ud83d"', rb'"\\ud83d"'),
        (rb'"\\\ud83d"', rb'"\\\ufffd"'),
    ],
)
def test_only_lone_halves_are_mended(text: bytes, expected: bytes) -> None:
    """Pairs stay, and a backslash before a ``u`` is not always an escape."""
    assert mended(text) == expected


@given(st.lists(st.sampled_from([r"\ud83d", r"\ude00", "\\\\", r"\n", "ud83d", "x"])))
def test_mended_text_is_json(parts: list[str]) -> None:
    """Whatever halves there were, a strict parser takes the result."""
    orjson.loads(mended(f'"{"".join(parts)}"'.encode()))


def test_the_clients_address_and_library_are_in_the_log() -> None:
    """For the page that will show a request's story."""
    bench = Bench()
    bench.post(
        "/i/v1/analytics/events", {"created_at": NOW_TEXT, "batch": [v1_event()]}, V1_HEADERS
    )
    bench.post("/v1/track", track(), basic("k"))
    (first, _), (second, _) = bench.entries()
    assert (first.ip, first.sdk, first.sent_at) == ("203.0.113.9", "posthog-go/1.23.1", NOW_TEXT)
    assert (second.type, second.sdk) == ("track", "")


# -- what was changed is told ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({}, None),
        ({"messageId": None}, "id_made"),
        ({"timestamp": None}, "no_time"),
        ({"timestamp": "2026-03-05T00:00:00Z"}, "future_time"),
        (
            {"timestamp": "2026-03-01T09:00:00Z", "sentAt": "2026-03-01T09:00:05Z"},
            "clock_corrected",
        ),
        (
            {"timestamp": "2026-03-01T09:00:00Z", "sentAt": "2026-03-01T09:00:00Z"},
            "clock_corrected",
        ),
        ({"userId": 7}, "id_rewritten"),
        ({"context": [], "messageId": ""}, "id_made,member_ignored"),
    ],
)
def test_a_row_says_what_was_changed(message: dict[str, Any], words: str | None) -> None:
    """In words, and nothing at all for an event that is stored as it came."""
    assert event_of(track(**message)).changes == words


def test_a_mended_text_is_told() -> None:
    """In both formats."""
    body = b'{"batch":[' + orjson.dumps(track(event="?")).replace(b"?", b"\\ud83d") + b"]}"
    assert [row.changes for row in events_of(body)] == ["text_mended"]
    legacy = b'{"batch":[{"event":"\\ud83d","distinct_id":7,"timestamp":"%b"}]}' % NOW_TEXT.encode()
    (row,) = events_of(legacy, "posthog", "posthog")
    assert row.changes == "id_made,id_rewritten,text_mended"


def test_an_event_says_nothing_about_its_way() -> None:
    """Address and time of arrival are what we saw, whatever the message claims."""
    claimed = {"receivedAt": "1999-01-01T00:00:00Z", "request_ip": "198.51.100.1"}
    (row,) = events_of({"batch": [track(**claimed)]}, ip="203.0.113.9")
    assert (row.ip, row.received_at, row.rest) == ("203.0.113.9", NOW_US, None)


def test_traits_in_the_context_of_a_rudderstack_identify_are_its_traits() -> None:
    """The vendor's Python SDK sends them nowhere else."""
    message = {"type": "identify", "userId": "u", "context": {"traits": {"plan": "pro"}, "ip": "1"}}
    event = event_of(message, "rudderstack")
    assert (event.traits, event.context) == (b'{"plan":"pro"}', b'{"ip":"1"}')
