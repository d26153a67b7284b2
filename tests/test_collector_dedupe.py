"""Deduplication: exact inside the window, bounded in memory."""

from __future__ import annotations

import os
import tracemalloc
from itertools import compress
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from penstock.collector.config import Window
from penstock.collector.store.dedupe import Seen
from penstock.collector.store.digests import DIGEST_BYTES, DigestSet, digest_of

HOUR = 3_600_000
DAY = 24 * HOUR


def admitted(seen: Seen, names: str, at: int, source: str = "web") -> str:
    """Of these ids, the new ones."""
    return "".join(compress(names, seen.admit(source, list(names), at)))


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
    """A day by default; at most twice as long."""
    for age, known in ((DAY - 1, True), (2 * DAY, False)):
        seen = Seen(Window(hours=24))
        admitted(seen, "a", 0)
        for hour in range(0, age, HOUR):
            admitted(seen, "b", hour)
        assert (admitted(seen, "a", age) == "") is known


def test_memory_is_bounded_under_a_flood() -> None:
    """The window gets shorter, never the memory bigger."""
    seen = Seen(Window(ids=100))
    ids = [str(number) for number in range(1000)]
    for start in range(0, 1000, 10):
        seen.admit("web", ids[start : start + 10], 0)
        assert len(seen) <= 100
    assert not any(seen.admit("web", ids[-50:], 0))


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


# -- digests ---------------------------------------------------------------------------------

#: Small numbers have digests of which one's end and another's beginning may look like a third's.
DIGESTS = st.integers(0, 1 << 20).map(lambda n: n.to_bytes(DIGEST_BYTES, "big")) | st.binary(
    min_size=DIGEST_BYTES, max_size=DIGEST_BYTES
)


@given(st.lists(st.lists(DIGESTS, max_size=60), max_size=8))
def test_a_digest_set_is_a_set(batches: list[list[bytes]]) -> None:
    """It says what Python's own would, while it grows."""
    ours, theirs = DigestSet(), set[bytes]()
    for batch in batches:
        assert ours.known(batch) == [digest in theirs for digest in batch]
        expected = []
        for digest in batch:
            expected.append(digest not in theirs)
            theirs.add(digest)
        assert ours.add(batch) == expected
        assert len(ours) == len(theirs)


def test_counting_ids_are_all_different() -> None:
    """UUIDs made of small numbers: nothing but zeros and a bit."""
    ours = DigestSet()
    digests = [
        digest_of(str(UUID(int=number << shift))) for shift in (0, 8) for number in range(4000)
    ]
    expected = len(set(digests))
    assert sum(ours.add(digests)) == len(ours) == expected
    assert all(ours.known(digests))


def test_an_id_costs_few_bytes() -> None:
    """A day of 10 million events fits a small machine."""
    count = 60_000
    ours = DigestSet()
    digests = [os.urandom(DIGEST_BYTES) for _ in range(1000)]
    tracemalloc.start()
    before, _peak = tracemalloc.get_traced_memory()
    for _ in range(count // len(digests)):
        digests = [os.urandom(DIGEST_BYTES) for _ in digests]
        ours.add(digests)
    after, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (after - before) / count < 28


@given(st.text(max_size=40), st.text(max_size=40))
def test_different_ids_have_different_digests(one: str, other: str) -> None:
    """UUIDs that differ in case and dashes are the same id, everything else is not."""
    if one != other:
        assert digest_of(one) != digest_of(other)


def test_a_uuid_is_one_however_it_is_written() -> None:
    """Vendors normalise it, so both are the same event."""
    text = "0195500a-1111-7000-8000-00000000abcd"
    assert digest_of(text) == digest_of(text.upper()) == UUID(text).bytes
    assert digest_of("x" + text[1:]) != digest_of(text)
