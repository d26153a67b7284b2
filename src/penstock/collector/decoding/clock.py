"""
Reading times and correcting the sender's clock; pure.

Times are microseconds since 1970 UTC as plain ints: exact, cheap to compare, and what the
store's columns hold.
"""

from __future__ import annotations

from datetime import UTC, datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000
_HOUR = 3600 * SECOND
#: Smaller differences between two clocks are network time, not a wrong clock.
JITTER = SECOND
#: An event dated further ahead than this (a day, less one hour for time zones) is a mistake.
AHEAD = 23 * _HOUR
#: Numbers from here on are milliseconds, not seconds (it would be the year 5138).
_MILLISECONDS_FROM = 100_000_000_000
#: The years 1 to 9999, a day kept free at both ends for time zones.
EARLIEST = -62_135_510_400 * SECOND
LATEST = 253_402_214_400 * SECOND


def read_time(value: object) -> int | None:
    """
    A time as clients write it, in microseconds since 1970, or None when it is none.

    Understood are RFC 3339 in all its precisions, a space instead of the ``T``, a date alone,
    short offsets, no offset (UTC then), and numbers: seconds or milliseconds since 1970.
    """
    if isinstance(value, str):
        return _read_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    scale = SECOND if abs(value) < _MILLISECONDS_FROM else 1000
    try:
        return _within(int(value * scale))
    except (OverflowError, ValueError):  # infinite, or not a number
        return None


def _read_text(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        tidied = text.strip().upper()  # RFC 3339 allows "t" and "z"
        return None if tidied == text else _read_text(tidied)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - EPOCH
    return _within((since.days * 86_400 + since.seconds) * SECOND + since.microseconds)


def _within(moment: int) -> int | None:
    return moment if EARLIEST <= moment <= LATEST else None


def corrected_time(original: int | None, sent: int | None, received: int) -> int:
    """
    Undo the sender's clock skew.

    The gap between *original* and *sent* was measured on one clock, so it is trusted; only the
    wall time is replaced by ours. Nothing is corrected when *sent* is unknown or within a second
    of *received*. What would lie more than 23 hours ahead of us becomes *received*.

    Args:
        original: When the call was made, by the sender's clock.
        sent: When the request left, by the same clock.
        received: When we read the request, by our clock.

    Returns:
        *received* when *original* is unknown.

    Source: segment-docs, connections/spec/common, "Timestamps"; PostHog common/types timestamp.rs.
    """
    if original is None:
        return received
    if sent is not None and abs(sent - received) >= JITTER:
        corrected = _within(received - (sent - original))
        original = received if corrected is None else corrected
    return original if original <= received + AHEAD else received
