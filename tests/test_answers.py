"""What a status, a Retry-After and an error body mean."""

from __future__ import annotations

import json
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects import Accepted, Malformed, Outcome, Rejected, RetryLater, TooLarge
from penstock.dialects._answers import (
    MAX_RETRY_AFTER_S,
    MAX_WORDS,
    classify_status,
    retry_after_s,
    server_words,
)
from penstock.transport import Response

NOW = 1_772_000_000.0


def answer(status: int, body: bytes = b"", **headers: str) -> Response:
    return Response(status, {name.replace("_", "-"): text for name, text in headers.items()}, body)


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        ((200, 201, 202, 204, 299), Accepted),
        ((408, 429, 500, 502, 503, 504, 507, 511, 599), RetryLater),
        ((413,), TooLarge),
        ((400, 422), Malformed),
        ((401, 402, 403, 404, 405, 410, 415, 451, 460, 501, 505), Rejected),
        ((100, 301, 302, 304, 307, 399, 600, 0), Rejected),
    ],
)
def test_each_status_has_one_meaning(statuses: tuple[int, ...], outcome: type[Outcome]) -> None:
    """Transient, too big, something wrong inside, or final."""
    assert {type(classify_status(answer(status))) for status in statuses} == {outcome}


@pytest.mark.parametrize("page", [b"<html>", b"\n <!DOCTYPE html><title>Log in</title>"])
def test_a_web_page_is_no_success(page: bytes) -> None:
    """A captive portal says 200 to everything; what it was sent must be sent again."""
    assert isinstance(classify_status(answer(200, page)), RetryLater)
    assert isinstance(classify_status(answer(200, b"OK <html>")), Accepted)


def test_the_reason_and_the_pause_are_passed_on() -> None:
    """In the server's words, and by its wish."""
    assert classify_status(answer(503, b"busy\n", retry_after="7")) == RetryLater(7.0, "busy")
    assert classify_status(answer(503)) == RetryLater(None, "")
    assert classify_status(answer(401, b"invalid write key\n")) == Rejected("invalid write key")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 12 ", 12.0),
        ("-5", 0.0),
        ("301", MAX_RETRY_AFTER_S),
        ("9" * 400, MAX_RETRY_AFTER_S),
        ("", None),
        ("soon", None),
        ("1.5", None),
        ("--1", None),
        ("٣", None),
        ("2026-03-01T00:00:00Z", None),
        (formatdate(NOW + 30, usegmt=True), 30.0),
        (formatdate(NOW - 30, usegmt=True), 0.0),
        (formatdate(NOW + 86_400, usegmt=True), MAX_RETRY_AFTER_S),
        ("Fri, 99 Feb 2026 06:13:20 GMT", None),
    ],
)
def test_a_pause_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    """Past is zero, far is clamped, nonsense is nothing."""
    assert retry_after_s({"retry-after": text}, NOW) == seconds


def test_a_date_is_measured_by_the_servers_clock() -> None:
    """Ours may be wrong by years; without either clock there is nothing to measure by."""
    headers = {"retry-after": formatdate(NOW + 9, usegmt=True)}
    dated = {**headers, "date": formatdate(NOW, usegmt=True)}
    assert retry_after_s(dated, now=0.0) == 9.0
    assert retry_after_s(headers) is None


@given(st.text())
def test_any_header_gives_a_pause_within_bounds(text: str) -> None:
    """Never an error, never more than the clamp."""
    wait = retry_after_s({"retry-after": text, "date": text}, NOW)
    assert wait is None or 0.0 <= wait <= MAX_RETRY_AFTER_S


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {"success": False, "message": "malformed JSON", "code": "invalid_request"},
            "invalid_request: malformed JSON",
        ),
        (
            {"error": "empty_batch", "error_description": "no events", "error_uri": "u"},
            "empty_batch: no events",
        ),
        ({"message": "no code here"}, "no code here"),
        ({"error": {"message": "nested", "code": 7}}, "nested"),
        ({"type": "authentication_error", "detail": "bad"}, "authentication_error: bad"),
        ({"status": 1}, ""),
        ([1, 2], ""),
        ("just text", "just text"),
        (None, ""),
    ],
)
def test_the_vendors_error_bodies_are_read(body: object, words: str) -> None:
    """Whatever is missing in them is no error of ours."""
    assert server_words(answer(400, json.dumps(body).encode())) == words


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"invalid json\n", "invalid json"),
        (b"two\r\n  lines\x00\x1b[31m", "two lines[31m"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"<!DOCTYPE html><h1>502</h1>", ""),
        (b"[" * 100_000, "[" * (MAX_WORDS - 1) + "…"),
        (b"", ""),
    ],
)
def test_text_is_shown_in_one_clean_line(body: bytes, words: str) -> None:
    """No control characters, no web pages, no stack overflow."""
    assert server_words(answer(400, body)) == words


@given(st.binary(max_size=2000))
def test_any_body_gives_a_short_line(body: bytes) -> None:
    """Whatever a server sends fits a log."""
    words = server_words(answer(500, body))
    assert len(words) <= MAX_WORDS
    assert words.isprintable()
