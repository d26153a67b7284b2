"""What PostHog's answers mean for the events of a request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.dialects._types import (
    Accepted,
    Encoded,
    Malformed,
    Mixed,
    Outcome,
    Rejected,
    RetryLater,
    TooLarge,
    Verdict,
)
from penstock.dialects.posthog import PostHogDialect
from penstock.transport import Response

LEGACY = PostHogDialect("https://ph.test", "phc_demo", system={})
V1 = PostHogDialect("https://ph.test", "phc_demo", capture_mode="v1", system={})
EVENTS = [Encoded(b'{"n":%d}' % number, 0, f"uuid-{number}") for number in (1, 2, 3)]


def answer(status: int, body: Any = b"", **headers: str) -> Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): text for name, text in headers.items()}, raw)


def v1(status: int, body: Any = b"", **headers: str) -> Outcome:
    return V1.classify(answer(status, body, **headers), EVENTS)


def results(*words: str | None, **headers: str) -> Outcome:
    given = {
        f"uuid-{number}": {"result": word, "details": f"why-{number}"}
        for number, word in enumerate(words, 1)
        if word is not None
    }
    return v1(200, {"results": given}, **headers)


class TestLegacy:
    @pytest.mark.parametrize("status", [200, 201, 204, 299])
    def test_any_2xx_accepts_the_batch(self, status: int) -> None:
        """Whatever the body says, also that a quota is used up: the event was taken."""
        body = {"status": 1, "quota_limited": ["events"]}
        assert LEGACY.classify(answer(status, body), EVENTS) == Accepted()

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, Malformed),
            (401, Rejected),
            (403, Rejected),
            (404, Rejected),
            (302, Rejected),
            (413, TooLarge),
            (408, RetryLater),
            (429, RetryLater),
            (500, RetryLater),
            (503, RetryLater),
            (501, Rejected),
        ],
    )
    def test_other_statuses_mean_what_they_mean_everywhere(
        self, status: int, kind: type[Outcome]
    ) -> None:
        """One policy for all dialects; a poison event is searched for after a 400."""
        assert isinstance(LEGACY.classify(answer(status, b"why"), EVENTS), kind)

    def test_the_servers_pause_is_honoured(self) -> None:
        """``Retry-After`` reaches delivery."""
        assert LEGACY.classify(answer(503, retry_after="7"), EVENTS) == RetryLater(7.0)


class TestV1Verdicts:
    def test_ok_warning_unknown_and_absent_are_delivered(self) -> None:
        """A newer server may know more words."""
        assert results("ok", "warning", "queued") == Accepted()
        assert results("ok", None, None) == Accepted()
        assert v1(200, {}) == Accepted()
        assert v1(200, {"results": None}) == Accepted()
        assert v1(200, {"results": {"uuid-1": "drop"}}) == Accepted()

    def test_drop_is_dead_with_the_servers_reason(self) -> None:
        """Only that event."""
        outcome = results("ok", "drop", "ok")
        assert isinstance(outcome, Mixed)
        assert outcome.verdicts == (
            Verdict("delivered"),
            Verdict("dead", "why-2"),
            Verdict("delivered"),
        )

    def test_retry_is_sent_again(self) -> None:
        """Only that event, and not before the server wants it."""
        outcome = results("retry", "ok", "drop", retry_after="2")
        assert isinstance(outcome, Mixed)
        assert [verdict.fate for verdict in outcome.verdicts] == ["retry", "delivered", "dead"]
        assert outcome.after_s == 2.0
        assert isinstance(quick := results("retry"), Mixed)
        assert quick.after_s is None

    @pytest.mark.parametrize("details", [None, 5, ["x"]])
    def test_details_may_be_missing_or_odd(self, details: object) -> None:
        """The verdict counts, not the words."""
        body = {"results": {"uuid-1": {"result": "drop", "details": details}}}
        outcome = v1(200, body)
        assert isinstance(outcome, Mixed)
        assert outcome.verdicts[0] == Verdict("dead", "")

    @pytest.mark.parametrize("body", [b"", b"ok", b"<html>", b"\xff", b"[]", b'"ok"', b"null"])
    def test_a_2xx_that_is_not_the_protocol_is_final(self, body: bytes) -> None:
        """Something else answers at this address; asking again would go on for ever."""
        assert isinstance(v1(200, body), Rejected)

    def test_a_body_nested_too_deeply_is_final(self) -> None:
        """No answer can bring delivery down."""
        assert isinstance(v1(200, b"[" * 100_000), Rejected)


class TestV1RepeatedUuids:
    def test_equal_events_share_a_verdict(self) -> None:
        """They are one event."""
        twice = [EVENTS[0], EVENTS[1], EVENTS[0]]
        body = {"results": {"uuid-1": {"result": "drop", "details": "d"}}}
        outcome = V1.classify(answer(200, body), twice)
        assert isinstance(outcome, Mixed)
        assert [verdict.fate for verdict in outcome.verdicts] == ["dead", "delivered", "dead"]

    def test_different_events_under_one_uuid_are_sent_one_after_the_other(self) -> None:
        """The second was not sent, so it is neither delivered nor dead."""
        other = Encoded(b'{"n":99}', 0, "uuid-1")
        body = {"results": {"uuid-1": {"result": "ok"}}}
        outcome = V1.classify(answer(200, body), [EVENTS[0], other])
        assert isinstance(outcome, Mixed)
        assert [verdict.fate for verdict in outcome.verdicts] == ["delivered", "retry"]
        assert V1.classify(answer(200, body), [other]) == Accepted()


class TestV1Statuses:
    def test_429_is_retried_only_where_the_server_says_when(self) -> None:
        """Overload is 503 in this protocol."""
        assert v1(429, {"error": "rate_limited"}, retry_after="3") == RetryLater(
            3.0, "rate_limited"
        )
        assert isinstance(v1(429, {"error": "rate_limited"}), Rejected)

    @pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
    def test_transient_trouble_is_retried_with_or_without_a_pause(self, status: int) -> None:
        """As everywhere."""
        assert v1(status, retry_after="1") == RetryLater(1.0)
        assert v1(status) == RetryLater(None)

    @pytest.mark.parametrize("status", [401, 402, 403, 404, 415, 301, 501, 505])
    def test_the_rest_is_final(self, status: int) -> None:
        """A bad key or a used-up quota does not pass with a retry."""
        assert isinstance(v1(status), Rejected)

    def test_413_halves_the_batch(self) -> None:
        """And a single event is too large."""
        assert isinstance(v1(413, {"error": "payload_too_large"}), TooLarge)

    @pytest.mark.parametrize(
        "code", ["request_parsing_error", "invalid_event_uuid", "duplicate_event_uuid", "other"]
    )
    def test_a_bad_event_is_searched_for(self, code: str) -> None:
        """The other events of the batch are worth the search."""
        outcome = v1(400, {"error": code, "error_description": "what"})
        assert outcome == Malformed(f"{code}: what")

    @pytest.mark.parametrize(
        "code", ["missing_required_headers", "invalid_header_value", "invalid_batch", "empty_batch"]
    )
    def test_a_bad_request_is_not_cut_to_pieces(self, code: str) -> None:
        """Every piece would be refused for the same reason."""
        assert isinstance(v1(400, {"error": code}), Rejected)

    @pytest.mark.parametrize(
        "body", [b"", b"<html>", b"plain", b"[1]", b"\xff\xfe", b'{"error":5}']
    )
    def test_error_bodies_may_be_anything(self, body: bytes) -> None:
        """A proxy's page is no reason to fail differently."""
        assert isinstance(v1(400, body), Malformed)
