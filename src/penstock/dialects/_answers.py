"""
What a server's answer means, as far as every dialect agrees.

One policy for all vendors: network trouble, 408, 429 and 5xx except 501 and 505 are retried; 413
says the request is too big; 400 and 422 say that something in it is wrong; the rest is final.
The vendors' own SDKs differ here from each other, and two of them retry a 401 ten times.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.dialects._types import Accepted, Malformed, Rejected, RetryLater, TooLarge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.dialects._types import Outcome
    from penstock.transport import Response

#: A server may ask for at most this long a pause, in seconds; without a bound it could stall a
#: client for hours.
MAX_RETRY_AFTER_S = 300.0
#: Longest quote from an answer, in characters: enough for a reason, too short for a payload.
MAX_WORDS = 200

#: Bytes in which a web page says that it is one, after whatever blanks there are.
_PAGE_LOOK = 200
_TRANSIENT = frozenset({408, 429})
_CONTENT = frozenset({400, 422})
#: "Not implemented" and "HTTP version not supported" do not pass with time.
_PERMANENT_5XX = frozenset({501, 505})

_REASONS = ("message", "error_description", "detail", "details")
_CODES = ("code", "error", "type")


def is_success(status: int) -> bool:
    """Whether *status* is 200 to 299."""
    return 200 <= status < 300  # noqa: PLR2004 - the class of success codes


def _is_web_page(body: bytes) -> bool:
    """Whether somebody else answered: no server of events does so with a page to look at."""
    return body[:_PAGE_LOOK].lstrip().lower().startswith((b"<!doctype html", b"<html"))


def is_transient(status: int) -> bool:
    """Whether the same request may succeed later."""
    return status in _TRANSIENT or (500 <= status < 600 and status not in _PERMANENT_5XX)  # noqa: PLR2004 - the class of server errors


def classify_status(response: Response, now: float | None = None) -> Outcome:
    """
    What *response* means when only its status counts.

    Args:
        response: The answer; its body is read for a reason and may be anything.
        now: Seconds since 1970, see `retry_after_s`.
    """
    status = response.status
    if is_success(status):
        return RetryLater(None, "a web page") if _is_web_page(response.body) else Accepted()
    words = server_words(response)
    if is_transient(status):
        return RetryLater(retry_after_s(response.headers, now), words)
    if status == 413:  # noqa: PLR2004 - content too large
        return TooLarge(words)
    return Malformed(words) if status in _CONTENT else Rejected(words)


def retry_after_s(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """
    The pause a server asks for.

    A date is measured against the answer's own ``Date``, so a wrong clock here does no harm.

    Args:
        headers: Names in lower case.
        now: Seconds since 1970, used when the answer carries no ``Date``.

    Returns:
        Seconds from 0 to `MAX_RETRY_AFTER_S`; a negative number or a past date is 0. None when
        there is no header, or one that says nothing.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    wait = _whole_seconds(text)
    if wait is None:
        wait = _seconds_until(text, headers.get("date", ""), now)
    return None if wait is None else min(max(wait, 0.0), MAX_RETRY_AFTER_S)


def _whole_seconds(text: str) -> float | None:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        return None
    return float(text)


def _seconds_until(text: str, date: str, now: float | None) -> float | None:
    then = _http_date(text)
    start = _http_date(date)
    start = now if start is None else start
    return None if then is None or start is None else then - start


def _http_date(text: str) -> float | None:
    """Seconds since 1970; None when *text* is no date. A date without a zone is UTC."""
    from email.utils import parsedate_to_datetime

    try:
        moment: datetime = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def server_words(response: Response) -> str:
    """
    The server's reason in at most `MAX_WORDS` characters; empty when it gave none.

    Reads the vendors' JSON shapes (``message`` and ``code``, ``error`` and
    ``error_description``) and plain text. A web page, as proxies like to send, says nothing.
    """
    try:
        return _printable(_from_json(msgspec.json.decode(response.body)))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        text = response.body[: 4 * MAX_WORDS].decode("utf-8", "replace").strip()
        return "" if text.startswith("<") else _printable(text)


def _from_json(answer: Any) -> str:
    if isinstance(answer, str):
        return answer
    if not isinstance(answer, dict):
        return ""
    if isinstance(answer.get("error"), dict):
        return _from_json(answer["error"])
    parts = (_first_text(answer, _CODES), _first_text(answer, _REASONS))
    return ": ".join(part for part in parts if part)


def _first_text(answer: dict[str, Any], keys: tuple[str, ...]) -> str:
    texts = (answer.get(key) for key in keys)
    return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def _printable(text: str) -> str:
    words = " ".join(text[: 4 * MAX_WORDS].split())
    shown = "".join(letter for letter in words if letter.isprintable())
    return shown if len(shown) <= MAX_WORDS else shown[: MAX_WORDS - 1] + "…"
