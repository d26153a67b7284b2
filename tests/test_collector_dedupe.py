"""Deduplication: exact inside the window, bounded in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from collector_kit import track
from penstock.collector.config import Window
from penstock.collector.decoding import decode_entry
from penstock.collector.dedupe import Seen
from test_collector_decoding import entry

if TYPE_CHECKING:
    from penstock.collector.rows import Event

HOUR = 3_600_000
DAY = 24 * HOUR


def event(message_id: str) -> Event:
    """A row with this id."""
    batch = {"batch": [track(messageId=message_id)]}
    return decode_entry(entry(batch), "lane-a", 1).events[0]


ROWS = {name: event(name) for name in "abcdefgh"}


def admitted(seen: Seen, names: str, at: int, source: str = "web") -> str:
    """Of these ids, the new ones."""
    fresh = seen.admit(source, [ROWS[name] for name in names], at)
    return "".join(row.message_id for row in fresh)


def test_an_id_is_new_once() -> None:
    """Also inside one request."""
    seen = Seen(Window())
    assert admitted(seen, "aab", 0) == "ab"
    assert admitted(seen, "bca", 0) == "c"
    assert len(seen) == 3


def test_sources_do_not_know_each_other() -> None:
    """Two programs may use the same id."""
    seen = Seen(Window())
    assert admitted(seen, "a", 0) == "a"
    assert admitted(seen, "a", 0, source="app") == "a"


def test_an_id_is_known_for_the_window_and_forgotten_after() -> None:
    """A day by default; at most a quarter more."""
    for age, known in ((DAY - 1, True), (DAY + DAY // 4, False)):
        seen = Seen(Window(hours=24))
        admitted(seen, "a", 0)
        for hour in range(0, age, HOUR):
            admitted(seen, "b", hour)
        assert (admitted(seen, "a", age) == "") is known


def test_memory_is_bounded_under_a_flood() -> None:
    """The window gets shorter, never the memory bigger."""
    seen = Seen(Window(ids=100))
    rows = [ROWS["a"]._replace(message_id=str(number)) for number in range(1000)]
    for start in range(0, 1000, 10):
        seen.admit("web", rows[start : start + 10], 0)
        assert len(seen) <= 100
    assert seen.admit("web", rows[-70:], 0) == []


def test_restored_ids_are_known() -> None:
    """What the store holds is no news after a restart."""
    seen = Seen(Window())
    seen.restore("web", ["a", "b"], 0)
    assert admitted(seen, "abc", HOUR) == "c"


@given(st.lists(st.tuples(st.text("abcdefgh", max_size=5), st.integers(0, 5 * HOUR)), max_size=30))
def test_the_window_never_loses_a_duplicate(requests: list[tuple[str, int]]) -> None:
    """Inside the window it says what a set would say, in whatever order clocks say it came."""
    seen, known = Seen(Window()), set()
    for names, at in requests:
        expected = "".join(name for name in dict.fromkeys(names) if name not in known)
        assert admitted(seen, names, at) == expected
        known.update(names)
