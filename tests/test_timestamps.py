"""Points in time have one form on the wire, and naive means UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import timestamps

TOKYO = timezone(timedelta(hours=9))


class Nowhere(tzinfo):
    """A zone that knows no offset: such a datetime is naive."""

    def utcoffset(self, _: datetime | None, /) -> None:
        return None


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 3, 1, 10, 20, 30, 123_456, UTC), "2026-03-01T10:20:30.123Z"),
        (datetime(2026, 3, 1, 1, tzinfo=TOKYO), "2026-02-28T16:00:00.000Z"),
        (datetime(2026, 3, 1, 10), "2026-03-01T10:00:00.000Z"),
        (datetime(2026, 3, 1, 10, tzinfo=Nowhere()), "2026-03-01T10:00:00.000Z"),
        (datetime(1, 1, 1), "0001-01-01T00:00:00.000Z"),
        (datetime(1, 1, 1, tzinfo=TOKYO), "0001-01-01T00:00:00.000+09:00"),
        (datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC), "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_moment_is_utc_with_milliseconds(moment: datetime, text: str) -> None:
    """Cut, not rounded: an event never lies after its time."""
    assert timestamps.wire(moment) == text


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T10:20:30Z", datetime(2026, 3, 1, 10, 20, 30, tzinfo=UTC)),
        ("2026-03-01t10:20:30z", datetime(2026, 3, 1, 10, 20, 30, tzinfo=UTC)),
        ("2026-03-01 10:20:30.5", datetime(2026, 3, 1, 10, 20, 30, 500_000, UTC)),
        ("2026-03-01T10:20:30.123456789+09:00", datetime(2026, 3, 1, 1, 20, 30, 123_456, UTC)),
        ("2026-03-01T10:20:30-00:00", datetime(2026, 3, 1, 10, 20, 30, tzinfo=UTC)),
    ],
)
def test_rfc_3339_is_read(text: str, moment: datetime) -> None:
    """With or without fraction and offset, of any case."""
    found = timestamps.parse(text)
    assert (found, found.tzinfo) == (moment, UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "1772360430",
        "2026-03-01",
        "20260301T102030Z",
        "2026-W09-7T10:20:30Z",
        "2026-03-01T10:20Z",
        "2026-02-30T10:20:30Z",
        "2026-03-01T25:20:30Z",
        "2026-03-01X10:20:30Z",
        "2026-03-01T10:20:30Zulu",
        "0001-01-01T00:00:00+09:00",
        "٢٠٢٦-03-01T10:20:30Z",
    ],
)
def test_anything_else_is_a_value_error(text: str) -> None:
    """Other ISO 8601 forms too: a vendor's server reads RFC 3339 only."""
    with pytest.raises(ValueError, match=r"."):
        timestamps.parse(text)


@given(st.datetimes(timezones=st.sampled_from([UTC, TOKYO]), min_value=datetime(2, 1, 1)))
def test_what_is_written_is_read_again(moment: datetime) -> None:
    """To the millisecond."""
    found = timestamps.parse(timestamps.wire(moment))
    assert timedelta(0) <= moment - found < timedelta(milliseconds=1)


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_milliseconds_since_1970_have_the_same_form(milliseconds: int) -> None:
    """Both ways to a text agree, over all years."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    assert timestamps.from_epoch_ms(milliseconds) == timestamps.wire(moment)


def test_a_clock_that_steps_back_is_followed() -> None:
    """The text of the last second is kept for that second only."""
    later, earlier = 1_772_360_430_001, 1_772_360_429_999
    texts = [timestamps.from_epoch_ms(at) for at in (later, earlier, later)]
    assert texts == [
        "2026-03-01T10:20:30.001Z",
        "2026-03-01T10:20:29.999Z",
        "2026-03-01T10:20:30.001Z",
    ]
