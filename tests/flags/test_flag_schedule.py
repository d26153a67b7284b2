"""When definitions are looked for again, and what each answer means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.flags.schedule import Schedule, failure, verdict


def middle(least: float, most: float) -> float:
    """No jitter."""
    return (least + most) / 2


@pytest.mark.parametrize(
    ("status", "action", "refused"),
    [
        (200, "replace", False),
        (304, "confirm", False),
        (401, "clear", True),
        (402, "clear", True),
        (403, "keep", True),
        (429, "keep", True),
        (404, "keep", False),
        (500, "keep", False),
        (503, "keep", False),
    ],
)
def test_what_each_status_means(status: int, action: str, refused: bool) -> None:
    """A refused key and a used up quota take the definitions away; nothing else does."""
    found = verdict(status)
    assert (found.action, found.refused) == (action, refused)
    assert bool(found.trouble) == (status not in {200, 304})


def test_all_is_well_every_interval() -> None:
    """A success forgets the failures before it."""
    schedule = Schedule(30.0, middle)
    assert schedule.after(verdict(429)) == 60.0
    assert schedule.after(verdict(304)) == 30.0
    assert schedule.after(verdict(200)) == 30.0
    assert schedule.after(verdict(429)) == 60.0


def test_refusals_double_the_interval_up_to_a_minute() -> None:
    """With a short interval it takes several."""
    schedule = Schedule(5.0, middle)
    assert [schedule.after(verdict(401)) for _ in range(6)] == [10, 20, 40, 60, 60, 60]


def test_failures_double_from_a_second_up_to_the_interval() -> None:
    """An outage is often over before the next regular look."""
    schedule = Schedule(30.0, middle)
    assert [schedule.after(failure("timeout")) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]


def test_an_interval_above_a_minute_is_kept_when_refused() -> None:
    """Backing off never means asking more often."""
    assert Schedule(300.0, middle).after(verdict(403)) == 300.0


def test_retry_after_is_honoured_within_bounds() -> None:
    """Five minutes at most, and never less than our own wait."""
    schedule = Schedule(1.0, middle)
    assert schedule.after(verdict(429), 90.0) == 90.0
    assert schedule.after(verdict(503), 9999.0) == 300.0
    assert Schedule(30.0, middle).after(verdict(429), 1.0) == 60.0


def test_without_an_interval_there_is_one_look_that_succeeds() -> None:
    """A failed one is repeated."""
    schedule = Schedule(None, middle)
    assert schedule.after(failure("connect")) == 1.0
    assert schedule.after(verdict(401)) is not None
    assert schedule.after(verdict(200)) is None


@given(
    st.lists(st.sampled_from([200, 304, 401, 402, 403, 429, 500, 0]), max_size=40),
    st.floats(0.1, 1000.0),
)
def test_no_wait_leaves_its_bounds(statuses: list[int], interval: float) -> None:
    """Whatever the provider answers, and give or take a tenth."""
    schedule = Schedule(interval)
    for status in statuses:
        wait = schedule.after(verdict(status) if status else failure("reset"))
        assert wait is not None
        assert min(1.0, interval) * 0.9 <= wait <= max(60.0, interval) * 1.1
