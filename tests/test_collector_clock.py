"""Reading times and undoing the sender's clock skew."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.collector.decoding.clock import SECOND, corrected_time, read_time

HOUR = 3600 * SECOND
NOON = 1_772_366_400 * SECOND
TIMES = st.integers(-(10**16), 10**17)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-03-01T10:20:30Z", 1_772_360_430_000_000),
        ("2026-03-01T10:20:30.123Z", 1_772_360_430_123_000),
        ("2026-03-01T10:20:30.123456789+02:00", 1_772_353_230_123_456),
        ("2026-03-01t10:20:30z", 1_772_360_430_000_000),
        ("2026-03-01 10:20:30+03", 1_772_349_630_000_000),
        ("2026-03-01T10:20:30", 1_772_360_430_000_000),
        ("2026-03-01", 1_772_323_200_000_000),
        (" 2026-03-01 ", 1_772_323_200_000_000),
        (1_772_360_430, 1_772_360_430_000_000),
        (1_772_360_430.5, 1_772_360_430_500_000),
        (1_772_360_430_123, 1_772_360_430_123_000),
    ],
)
def test_every_way_to_write_a_time_is_read(written: object, expected: int) -> None:
    """RFC 3339 in its variants, dates, short offsets, seconds and milliseconds."""
    assert read_time(written) == expected


@pytest.mark.parametrize(
    "written",
    ["", "soon", "2026-13-01", None, True, [], {}, float("nan"), float("inf"), 10**400, -(10**30),
     "0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"],
)  # fmt: skip
def test_what_is_no_time_is_none(written: object) -> None:
    """Nothing a client writes makes reading a time fail."""
    assert read_time(written) is None


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC)))
def test_reading_a_time_loses_no_microsecond(moment: datetime) -> None:
    """What isoformat writes is read to the microsecond."""
    assert read_time(moment.isoformat()) == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // (
        datetime.resolution
    )


def test_a_wrong_clock_is_undone() -> None:
    """An event 5 s before departure happened 5 s before arrival, whatever the sender's clock."""
    sent = NOON - 3 * HOUR
    assert corrected_time(sent - 5 * SECOND, sent, NOON) == NOON - 5 * SECOND


def test_network_time_is_no_wrong_clock() -> None:
    """Less than a second between departure and arrival corrects nothing."""
    original = NOON - HOUR
    assert corrected_time(original, NOON - SECOND + 1, NOON) == original
    assert corrected_time(original, None, NOON) == original


def test_an_event_without_a_time_happened_on_arrival() -> None:
    """Unknown is now."""
    assert corrected_time(None, NOON - HOUR, NOON) == NOON


def test_the_far_future_is_a_mistake() -> None:
    """More than 23 hours ahead becomes the time of arrival; less is kept."""
    assert corrected_time(NOON + 23 * HOUR, None, NOON) == NOON + 23 * HOUR
    assert corrected_time(NOON + 23 * HOUR + 1, None, NOON) == NOON


@given(TIMES, st.none() | TIMES, TIMES)
def test_the_corrected_time_is_never_far_ahead(
    original: int, sent: int | None, received: int
) -> None:
    """Whatever three clocks say, nothing is stored more than 23 hours in our future."""
    assert corrected_time(original, sent, received) <= received + 23 * HOUR


@given(TIMES, st.integers(-10 * HOUR, 10 * HOUR))
@example(SECOND, HOUR)  # corrected to the very epoch, which is a time like any other
def test_correction_keeps_the_gap(received: int, skew: int) -> None:
    """The time between call and departure is the same before and after."""
    sent = received + skew
    happened = corrected_time(sent - SECOND, sent, received)
    assert (received - happened if abs(skew) >= SECOND else sent - happened) == SECOND
