"""What a request to PostHog promises beyond the golden ones in ``wire``."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects._types import Attempt, Encoded
from penstock.dialects.posthog import PostHogDialect
from penstock.journal.record import FLAG_HISTORICAL, Record
from penstock.kinds import BY_WIRE

ATTEMPT = Attempt(
    number=3,
    sent_at="2026-03-01T10:20:35.500Z",
    created_at="2026-03-01T10:20:35.100Z",
    request_id="0195500a-3333-7000-8000-000000000001",
)
MODES = ("legacy", "v1")


def dialect(mode: str, **options: Any) -> PostHogDialect:
    return PostHogDialect("https://ph.test", "phc_demo", capture_mode=mode, system={}, **options)


def encoded(number: int, mode: str = "v1", flags: int = 0, **fields: Any) -> Encoded:
    message = {
        "type": "track",
        "messageId": f"0195500a-1111-7000-8000-{number:012d}",
        "timestamp": "2026-03-01T10:20:31.000Z",
        "userId": "u-77",
        "event": "Order Completed",
        **fields,
    }
    payload = json.dumps(message, separators=(",", ":")).encode()
    return dialect(mode).encode(Record(number, BY_WIRE["track"], flags, 1_772_360_431, payload))


@pytest.mark.parametrize("mode", MODES)
def test_the_body_never_holds_more_than_it_was_said_to(mode: str) -> None:
    """Batching by bytes may trust `body_bytes`, with any number of messages."""

    @given(
        count=st.integers(0, 5),
        flags=st.sampled_from([0, FLAG_HISTORICAL]),
        title=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        repeated=st.booleans(),
    )
    def check(count: int, flags: int, title: str, *, repeated: bool) -> None:
        messages = [
            encoded(0 if repeated else number, mode, flags, properties={"title": title})
            for number in range(count)
        ]
        body = dialect(mode).request(messages, ATTEMPT).body
        most = dialect(mode).body_bytes(count, sum(len(message.wire) for message in messages))
        assert len(body) <= most
        if mode == "legacy":  # "true" is a byte shorter than "false"
            assert len(body) == most - (1 if flags and count else 0)
        json.loads(body)

    check()


def test_legacy_stamps_each_attempt_anew() -> None:
    """``sent_at`` is this attempt's; nothing else changes between attempts."""
    messages = [encoded(1, "legacy"), encoded(2, "legacy")]
    later = Attempt(4, "2026-03-01T10:25:00.000Z", ATTEMPT.created_at, ATTEMPT.request_id)
    first, second = (dialect("legacy").request(messages, at) for at in (ATTEMPT, later))
    one, two = json.loads(first.body), json.loads(second.body)
    assert (one.pop("sent_at"), two.pop("sent_at")) == (ATTEMPT.sent_at, later.sent_at)
    assert one == two
    assert first.headers == second.headers


def test_v1_counts_attempts_and_keeps_the_batchs_identity() -> None:
    """Attempt and request time change; request id, ``created_at`` and events do not."""
    later = Attempt(4, "2026-03-01T10:25:00.000Z", ATTEMPT.created_at, ATTEMPT.request_id)
    first, second = (dialect("v1").request([encoded(1)], at) for at in (ATTEMPT, later))
    assert first.body == second.body
    changed = {name for name in first.headers if first.headers[name] != second.headers[name]}
    assert changed == {"PostHog-Attempt", "PostHog-Request-Timestamp"}
    assert first.headers["PostHog-Attempt"] == "3"


def test_v1_says_historical_only_when_it_is() -> None:
    """The key is absent from live batches."""
    live = json.loads(dialect("v1").request([encoded(1)], ATTEMPT).body)
    old = json.loads(dialect("v1").request([encoded(1, flags=FLAG_HISTORICAL)], ATTEMPT).body)
    assert "historical_migration" not in live
    assert old["historical_migration"] is True


def test_the_key_travels_where_the_protocol_wants_it() -> None:
    """In the body in legacy, in a header in V1, never in both."""
    legacy = dialect("legacy").request([encoded(1, "legacy")], ATTEMPT)
    v1 = dialect("v1").request([encoded(1)], ATTEMPT)
    assert json.loads(legacy.body)["api_key"] == "phc_demo"
    assert "Authorization" not in legacy.headers
    assert v1.headers["Authorization"] == "Bearer phc_demo"
    assert b"phc_demo" not in v1.body


def test_blanks_and_slashes_around_the_endpoint_do_not_matter() -> None:
    """The path is right however the base URL was written."""
    posthog = PostHogDialect(" https://ph.test/base// ", "k", system={})
    assert posthog.request([], ATTEMPT).url == "https://ph.test/base/batch/"


def test_a_v1_request_has_each_uuid_once() -> None:
    """The server would refuse the whole batch for a repeated one."""
    messages = [encoded(1), encoded(2), encoded(1), encoded(1, event="Other")]
    body = json.loads(dialect("v1").request(messages, ATTEMPT).body)
    assert [event["uuid"][-1] for event in body["batch"]] == ["1", "2"]
    assert [event["event"] for event in body["batch"]] == ["Order Completed"] * 2
