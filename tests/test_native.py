"""The native part does what its twins in Python do; test_journal.py runs over both pens."""

from __future__ import annotations

import gc
import sys
import threading
import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import requirement
from penstock import Context, Properties
from penstock.journal._pen import NEVER, Pen
from penstock.journal.record import ALIGN, Record, Wanted, checksum, run_of, scan
from penstock.native import NATIVE
from penstock.timestamps import _from_epoch_ms, _now, from_epoch_ms, now, parse
from penstock.values._quick import _python_json, quick_json

FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_999


@pytest.fixture(autouse=True, scope="module")
def _native() -> None:
    requirement.native_part()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4).map(Properties)
    ),
    max_leaves=20,
)


@given(json_values, st.integers(0, 6))
@example({"a": Context({"b": [None, 1.5]})}, 3)
@example([float("nan")], 3)
@example({"a": 1 << 64}, 3)
def test_both_ways_to_json_agree(value: Any, levels: int) -> None:
    """The same bytes, or both leave it to the careful way; too deep is too deep for both."""
    assert quick_json(value, levels) == _python_json(value, levels)


def test_a_structure_that_shares_its_parts_is_left_alone() -> None:
    """Thirty lists that stand for a thousand million are not walked to the end."""
    value: list[Any] = []
    for _ in range(30):
        value = [value, value]
    assert quick_json(value, 64) is None


@given(st.integers(FIRST_MS, LAST_MS))
@example(FIRST_MS)
@example(LAST_MS)
@example(-1)
@example(951_782_400_000)
def test_both_clocks_agree(milliseconds: int) -> None:
    """Every millisecond of the years 1 to 9999 has the same text."""
    assert from_epoch_ms(milliseconds) == _from_epoch_ms(milliseconds)


def test_both_know_this_moment() -> None:
    """The same second, the same text, but for the time between the two calls."""
    earlier, between, later = _now(), now(), _now()
    assert earlier <= between <= later
    assert parse(between[1]).timestamp() // 1 == between[0]


@pytest.mark.parametrize("outside", [FIRST_MS - 1, LAST_MS + 1, 1 << 70])
def test_a_time_beyond_the_calendar_is_refused(outside: int) -> None:
    """An error, not another year."""
    with pytest.raises((ValueError, OverflowError)):
        from_epoch_ms(outside)


payloads = st.lists(st.binary(max_size=300), max_size=20)


@given(payloads, st.integers(0, 3), st.integers(0, (1 << 32) - 1))
def test_both_pens_write_the_same_bytes(written: list[bytes], flags: int, captured_at: int) -> None:
    """Byte for byte, ordinals and room included."""
    pages = []
    for pen in (Pen(checksum, threading.RLock(), lambda: None), NATIVE.Pen(checksum)):
        page = bytearray(2048)
        pen.turn(page, 32)
        pen.limit = len(page)
        pen.wake_ordinal = 7
        told = [pen.append(2, flags, captured_at, payload) for payload in written]
        pages.append((bytes(page), told, pen.tail, pen.ordinal))
    assert pages[0] == pages[1]


@given(payloads, st.binary(max_size=400), st.integers(0, 2000), st.booleans(), st.integers(1, 9))
def test_both_readers_find_the_same(
    written: list[bytes], noise: bytes, place: int, verify: bool, count: int
) -> None:
    """Also behind bytes that are no record, and when fewer are asked for than there are."""
    pen = NATIVE.Pen(checksum)
    page = bytearray(4096)
    pen.turn(page, 32)
    pen.limit = len(page)
    for payload in written:
        pen.append(2, 0, 1, payload)
    page[place : place + len(noise)] = noise[: len(page) - place]
    found = []
    for native in (NATIVE, None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("penstock.journal.record.NATIVE", native)
            found.append(scan(page, 32, 4096, verify=verify, max_records=count, max_bytes=900))
    assert found[0] == found[1]
    assert all(type(record) is Record for record in found[0].records)


rows = st.tuples(
    st.sampled_from([1, 2, 2, 2, 9]),
    st.sampled_from([0, 0, 0, 1, 2]),
    st.sampled_from([5, 5, 5, 1]),
    st.binary(max_size=60),
)


@given(
    st.lists(rows, max_size=20),
    st.binary(max_size=40),
    st.integers(0, 2000) | st.just(4096),
    st.builds(
        Wanted,
        records=st.integers(0, 20),
        room=st.integers(0, 900),
        between=st.sampled_from([b"", b",", b",\n"]),
        largest=st.sampled_from([30, 60]),
        below=st.sampled_from([3, 10]),
        without=st.sampled_from([0, 1]),
        oldest=st.sampled_from([0.0, 4.5]),
    ),
    st.booleans(),
)
def test_both_find_the_same_run(
    written: list[Any], noise: bytes, place: int, wanted: Wanted, verify: bool
) -> None:
    """Of records that may be in its way, and among bytes that are none."""
    pen, page = NATIVE.Pen(checksum), bytearray(4096)
    pen.turn(page, 32)
    pen.limit = len(page)
    for row in written:
        pen.append(*row)
    page[place : place + len(noise)] = noise[: len(page) - place]
    found = []
    for native in (NATIVE, None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("penstock.journal.record.NATIVE", native)
            found.append(run_of(page, 32, pen.tail, 0, wanted, verify=verify))
    assert found[0] == found[1]


def test_a_pen_without_a_page_writes_nothing() -> None:
    """Whatever limit it is given."""
    pen = NATIVE.Pen(checksum)
    pen.limit = 1 << 40
    assert pen.append(2, 0, 1, b"{}") == 0
    pen.turn(bytearray(64), 0)
    assert pen.append(2, 0, 1, b"{}") == 0  # turning a page takes the limit back
    pen.limit = 65
    assert pen.append(2, 0, 1, b"{}") == 0  # a limit beyond the page is none


def test_a_pen_lets_go_of_its_page() -> None:
    """A mapping can be closed once another page was turned to."""
    pen, first = NATIVE.Pen(checksum), bytearray(64)
    pen.turn(first, 0)
    with pytest.raises(BufferError):
        first.append(1)
    pen.turn(bytearray(64), 0)
    first.append(1)
    assert pen.wake_ordinal == NEVER


def test_threads_share_a_pen() -> None:
    """Eight writers at once: every ordinal once, every record whole."""
    pen, page = NATIVE.Pen(checksum), bytearray(1 << 22)
    pen.turn(page, 32)
    pen.limit = len(page)
    ordinals: list[int] = []
    interval = sys.getswitchinterval()

    def write(name: int) -> None:
        payload = b"%d" % name * 50
        ordinals.extend([pen.append(2, 0, 1, payload) for _ in range(2000)])

    threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert sorted(ordinals) == list(range(1, 16_001))
    found = scan(page, 32, pen.tail, verify=True, max_records=1 << 20, max_bytes=1 << 30)
    assert [record.ordinal for record in found.records] == list(range(1, 16_001))
    assert pen.tail % ALIGN == 0


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: NATIVE.is_plain(1),
        lambda: NATIVE.is_plain(1, "x"),
        lambda: NATIVE.wire_time("x"),
        lambda: NATIVE.Pen(),  # noqa: PLW0108 - there may be none
        lambda: NATIVE.Pen(checksum).turn(b"read only", 0),
        lambda: NATIVE.Pen(checksum).append(1, 2, 3),
        lambda: NATIVE.Pen(checksum).append(1, 2, 3, "text"),
        lambda: NATIVE.Pen(checksum).append("x", 2, 3, b"x"),
        lambda: NATIVE.run_of(b"", -8, 0, 0, None, 1, 1, b",", 1, 1, 1, 1.0),
        lambda: NATIVE.run_of(b"", 0, 0, 0, None, 1, 1, b",", -1, 1, 1, 1.0),
        lambda: NATIVE.run_of(b"", 0, 0, 0, None, 1, 1, ",", 1, 1, 1, 1.0),
        lambda: NATIVE.scan(b"", 0, 0, 1, 1, int, None),
        lambda: NATIVE.scan(b"", -8, 0, 1, 1, tuple, None),
    ],
)
def test_misuse_is_an_error(misuse: Any) -> None:
    """It is called by Penstock alone, and still never crashes."""
    with pytest.raises((TypeError, ValueError, BufferError)):
        misuse()


def test_a_checksum_that_raises_writes_nothing() -> None:
    """Its error comes out, and the place is still free."""
    pen = NATIVE.Pen(lambda _payload: 1 // 0)
    pen.turn(bytearray(64), 0)
    pen.limit = 64
    with pytest.raises(ZeroDivisionError):
        pen.append(2, 0, 1, b"{}")
    assert (pen.tail, pen.ordinal) == (0, 0)


def test_nothing_leaks() -> None:
    """Ten thousand turns of everything leave the memory as it was."""

    def turn() -> None:
        pen, page = NATIVE.Pen(checksum), bytearray(512)
        pen.turn(page, 0)
        pen.limit = 512
        while pen.append(2, 0, 1, b"x" * 50):
            pass
        assert len(NATIVE.scan(page, 0, 512, 100, 1000, Record, checksum)[0]) == 6
        assert NATIVE.run_of(page, 0, 480, 0, checksum, 9, 999, b",", 99, 9, 0, 0.0)
        assert not NATIVE.run_of(page, 0, 480, 7, None, 9, 999, b",", 99, 9, 0, 0.0)
        NATIVE.is_plain({"a": [1, 2.0, {"b": float("nan")}]}, 9)
        NATIVE.wire_time(0)

    turn()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(10_000):
        turn()
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000
