"""The request log: written by one process, read and cleaned up by another, safe at any end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.collector.log.lane import LaneLog, used_bytes
from penstock.collector.log.reading import LaneReader, lane_paths
from penstock.journal.record import HEADER_BYTES, span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KIB = 1024
ALL = 1 << 40


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LaneLog]:
    """A log with small segments."""
    made = LaneLog(tmp_path, limit_bytes=KIB * KIB, segment_bytes=8 * KIB)
    yield made
    made.close()


def payloads(reader: LaneReader) -> list[bytes]:
    return [entry.payload for entry in reader.rest()]


def segments(log: LaneLog) -> list[str]:
    return sorted(path.name for path in log.path.glob("*.seg"))


def test_what_is_written_is_read_in_order(log: LaneLog) -> None:
    """Over as many segments as it takes, by a reader that was there first."""
    reader = LaneReader(log.path)
    assert payloads(reader) == []
    written = [os.urandom(n * 97 % 3000) for n in range(60)]
    seen: list[bytes] = []
    for number, payload in enumerate(written, 1):
        assert log.append(payload, 1) == number
        if number % 7 == 0:
            seen += payloads(reader)
    assert seen + payloads(reader) == written
    assert len(segments(log)) > 5
    assert reader.lost == 0


def test_a_reader_starts_after_what_is_settled(log: LaneLog) -> None:
    """The next pipeline goes on where the last one ended."""
    for number in range(20):
        log.append(b"%d" % number * 1000, 1)
    entries = LaneReader(log.path, after=13).rest()
    assert [entry.ordinal for entry in entries] == list(range(14, 21))


def test_a_payload_bigger_than_a_segment_gets_its_own(log: LaneLog) -> None:
    """PostHog takes batches of 20 MB."""
    big = os.urandom(50 * KIB)
    for payload in (b"before", big, b"after"):
        log.append(payload, 1)
    assert payloads(LaneReader(log.path)) == [b"before", big, b"after"]


def test_settled_segments_are_deleted_and_the_one_being_written_is_not(log: LaneLog) -> None:
    """Disk use follows the pipeline."""
    for _ in range(40):
        log.append(b"x" * 1000, 1)
    reader = LaneReader(log.path)
    reader.rest()
    before = segments(log)
    reader.forget(20)
    assert 0 < len(segments(log)) < len(before)
    assert len(LaneReader(log.path, after=20).rest()) == 20
    reader.forget(40)
    assert segments(log) == before[-1:]
    log.append(b"more", 1)
    assert payloads(reader) == [b"more"]


def test_the_log_is_bounded(tmp_path: Path) -> None:
    """A pipeline that is down fills it to the limit, no further; room makes it go on."""
    log = LaneLog(tmp_path, limit_bytes=16 * KIB, segment_bytes=8 * KIB)
    for _ in range(14):
        log.append(b"x" * 1000, 1)
    with pytest.raises(OSError, match="has reached"):
        log.append(b"x" * 1000, 1)
    assert used_bytes(tmp_path) <= 16 * KIB
    reader = LaneReader(log.path)
    last = reader.rest()[-1].ordinal
    reader.forget(last)
    assert log.append(b"again", 1) == last + 1
    assert payloads(reader) == [b"again"]
    log.close()


def test_a_lane_is_abandoned_when_its_writer_is_gone(log: LaneLog) -> None:
    """Not before; then it can be removed whole."""
    log.append(b"x", 1)
    reader = LaneReader(log.path)
    assert not reader.abandoned()
    log.close()
    assert reader.abandoned()
    reader.remove()
    assert lane_paths(log.path.parent) == []


def test_lanes_are_found_the_oldest_first(tmp_path: Path) -> None:
    """What came first is sealed first."""
    logs = [LaneLog(tmp_path, limit_bytes=ALL) for _ in range(3)]
    assert lane_paths(tmp_path) == [log.path for log in logs]
    for log in logs:
        log.close()


def test_syncing_reaches_segments_that_were_left(
    log: LaneLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request may lie in the segment before the current one when its flush comes."""
    flushed: list[int] = []
    real_fsync, real_fdatasync = os.fsync, os.fdatasync

    def note(real: object, fd: int) -> None:
        flushed.append(os.fstat(fd).st_ino)
        real(fd)  # type: ignore[operator]

    monkeypatch.setattr(os, "fsync", lambda fd: note(real_fsync, fd))
    monkeypatch.setattr(os, "fdatasync", lambda fd: note(real_fdatasync, fd))
    for _ in range(3):
        log.append(b"x" * 6000, 1)
    log.sync()
    inodes = {path.stat().st_ino for path in log.path.glob("*.seg")}
    assert len(inodes) == 3
    assert inodes | {log.path.stat().st_ino} <= set(flushed)
    log.append(b"small", 1)
    flushed.clear()
    log.sync()
    assert len(flushed) == 1


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=12), st.data())
def test_a_torn_tail_hides_nothing_before_it(
    tmp_path_factory: pytest.TempPathFactory, written: list[bytes], data: st.DataObject
) -> None:
    """Whatever a crash leaves of the last record, all before it is read and none is made up."""
    log = LaneLog(tmp_path_factory.mktemp("log"), limit_bytes=ALL, segment_bytes=8 * KIB)
    for payload in written:
        log.append(payload, 1)
    log.close()
    (path,) = log.path.glob("*.seg")
    end = 32 + sum(span(len(payload)) for payload in written)
    start = end - span(len(written[-1]))
    record = path.read_bytes()[start : start + HEADER_BYTES + len(written[-1])]
    keep = data.draw(st.integers(0, len(record) - 1))
    with path.open("r+b") as file:
        file.seek(start + keep)
        file.write(bytes(end - start - keep))
    reader = LaneReader(log.path)
    reader.complete = True
    found = payloads(reader)
    intact = not record[keep:].strip(b"\0")  # what was torn off was zero anyway
    assert found == (written if intact else written[:-1])


@given(
    st.lists(st.binary(min_size=1, max_size=2000), min_size=3, max_size=30),
    st.integers(0, 40 * KIB),
)
def test_damage_costs_what_was_hit_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, written: list[bytes], place: int
) -> None:
    """One flipped byte anywhere loses one record at most, and the loss is counted."""
    log = LaneLog(tmp_path_factory.mktemp("log"), limit_bytes=ALL, segment_bytes=4 * KIB)
    for payload in written:
        log.append(payload, 1)
    log.close()
    paths = sorted(log.path.glob("*.seg"))
    path = paths[place % len(paths)]
    content = bytearray(path.read_bytes())
    at = 32 + place % (len(content) - 32)
    content[at] ^= 0xFF
    path.write_bytes(content)
    reader = LaneReader(log.path)
    reader.complete = True
    entries = reader.rest()
    assert len(entries) >= len(written) - 1
    assert all(written[entry.ordinal - 1] == entry.payload for entry in entries)
    last = entries[-1].ordinal if entries else 0
    assert reader.lost == last - len(entries)


def test_a_partial_write_is_an_error(log: LaneLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next record takes its place."""
    log.append(b"one", 1)
    real = os.pwritev
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", lambda fd, parts, at: real(fd, parts[:1], at))
        with pytest.raises(OSError, match="in part"):
            log.append(b"two", 1)
    assert log.append(b"three", 1) == 2
    assert payloads(LaneReader(log.path)) == [b"one", b"three"]
