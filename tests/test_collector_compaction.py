"""Compaction and retention: fewer files, the same events, at any moment and for any engine."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from clock import Clock
from collector_kit import NOW, entry, track
from penstock.collector import Filter, open_store
from penstock.collector.config import Compaction, Keeping, Retention, Sealing
from penstock.collector.layout import EVENTS, QUARANTINE, Layout, day_of
from penstock.collector.store import wishes
from penstock.collector.store.catalog import Catalog
from penstock.collector.store.pipeline import Pipeline
from penstock.collector.store.wishes import Wish
from store_kit import ids, write

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.collector.log.lane import LaneLog

DAY = 86_400.0
#: Merges as soon as there is anything to merge, and keeps nothing.
EAGER = Compaction(fresh_files=2, files=2, poll=0.001, grace=0.0)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


def started(layout: Layout, clock: Clock, **keeping: object) -> Pipeline:
    keep = Keeping(**{"sealing": Sealing(seconds=0.0), **keeping})  # type: ignore[arg-type]
    made = Pipeline(layout, keep, clock=clock)
    made.start()
    return made


def kept(layout: Layout, *, fresh: bool = False) -> int:
    """How many files of events count, in the partitions or outside."""
    return sum(file.is_fresh is fresh for file in Catalog(layout).files(EVENTS))


@pytest.mark.parametrize(
    "policy", [Compaction(fresh_files=3), Compaction(fresh_rows=6), Compaction(fresh_seconds=5)]
)
def test_fresh_files_move_when_due(
    layout: Layout, log: LaneLog, clock: Clock, policy: Compaction
) -> None:
    """When they are many, or big, or old; not before."""
    follower = started(layout, clock, compaction=policy)
    for round_ in range(3):
        assert kept(layout, fresh=True) == round_
        write(log, 10 * round_, 10 * round_ + 1)
        follower.step()
        clock.now = NOW + 2.5 * round_
        follower.housekeeper.step()
    assert (kept(layout, fresh=True), kept(layout)) == (0, 1)
    assert open_store(layout.root).count() == 6


def test_files_of_one_size_are_merged(layout: Layout, log: LaneLog, clock: Clock) -> None:
    """Per day and source, and never a big one with every little one."""
    follower = started(layout, clock, compaction=Compaction(fresh_files=1, files=4))
    for number in range(64):
        write(log, number, source="web" if number % 2 else "app")
        follower.step()
        follower.housekeeper.step()
    assert kept(layout) <= 2 * 8
    assert sorted(row["message_id"] for row in open_store(layout.root).events()) == ids(*range(64))


def test_a_day_that_is_over_becomes_one_file(layout: Layout, log: LaneLog, clock: Clock) -> None:
    """Nothing comes to it any more."""
    follower = started(layout, clock, compaction=Compaction(fresh_files=1))
    for number in range(3):
        write(log, number)
        follower.step()
        follower.housekeeper.step()
    assert kept(layout) == 3
    clock.now += DAY
    follower.housekeeper.step()
    assert kept(layout) == 1


def test_merged_files_stay_a_while_and_do_not_count(
    layout: Layout, log: LaneLog, clock: Clock
) -> None:
    """A reader that looked just before still finds them."""
    follower = started(layout, clock, compaction=Compaction(fresh_files=2, grace=30))
    for number in range(2):
        write(log, number)
        follower.step()
    seen = [file.path for file in Catalog(layout).files(EVENTS)]
    follower.housekeeper.step()
    assert len(seen) == 2
    assert all(path.exists() for path in seen)
    assert open_store(layout.root).count() == 2
    clock.now += 31
    follower.housekeeper.step()
    assert not any(path.exists() for path in seen)


def test_a_reader_that_comes_too_late_looks_again(
    layout: Layout, log: LaneLog, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are gone before it opens them: it sees the merged ones instead."""
    follower = started(layout, clock, compaction=EAGER)
    for number in range(4):
        write(log, number)
        follower.step()
    from penstock.collector.store import reader as store

    real = store.tail_of
    left = [1]

    def slow(*args: object) -> object:
        left[0] -= 1
        if left[0] >= 0:
            write(log, 10 + left[0])
            follower.step()
            follower.housekeeper.step()
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "tail_of", slow)
    assert open_store(layout.root).count() == 5


def test_readers_always_see_every_event_once(layout: Layout, log: LaneLog, clock: Clock) -> None:
    """While runs are sealed and files merged as fast as they can be."""
    follower = started(layout, clock, compaction=EAGER)
    wrong: list[tuple[int, int]] = []
    written = [0]
    done = threading.Event()

    def read() -> None:
        store = open_store(layout.root)
        while not done.is_set():
            before = written[0]
            found = store.arrow("SELECT count(*), count(DISTINCT message_id) FROM events")
            rows, different = (column[0].as_py() for column in found.columns)
            if rows != different or rows < before:
                wrong.append((rows, different))

    reader = threading.Thread(target=read)
    reader.start()
    with follower.housekeeper.working():
        for number in range(120):
            write(log, 2 * number, 2 * number + 1, source=f"s{number % 3}")
            written[0] += 2
            follower.step()
    done.set()
    reader.join()
    assert wrong == []
    assert open_store(layout.root).count() == 240


def test_a_full_disk_changes_nothing(
    layout: Layout, log: LaneLog, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be merged is merged later."""
    follower = started(layout, clock, compaction=EAGER)
    for number in range(3):
        write(log, number)
        follower.step()

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("penstock.collector.store.tables.Writer.close", full)
        with pytest.raises(OSError, match="No space"):
            follower.housekeeper.step()
    assert list(layout.leftovers()) == []
    assert open_store(layout.root).count() == 3
    follower.housekeeper.step()
    assert (kept(layout, fresh=True), kept(layout)) == (0, 1)


def test_the_thread_survives_what_goes_wrong(
    layout: Layout, log: LaneLog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It tells, without anything of the events, and tries again."""
    from penstock.collector.store import housekeeping

    monkeypatch.setattr(housekeeping, "_RETRY_S", 0.001)
    follower = started(layout, Clock(NOW), compaction=EAGER)
    for number in range(2):
        write(log, number)
        follower.step()
    failures = [OSError(28, "No space left on device"), ValueError("odd"), None]
    tried = threading.Event()
    real = follower.housekeeper._compactor.step

    def failing(now: float) -> int:
        error = failures.pop(0) if failures else None
        if error is not None:
            raise error
        try:
            return real(now)
        finally:
            tried.set()

    monkeypatch.setattr(follower.housekeeper._compactor, "step", failing)
    with follower.housekeeper.working():
        assert tried.wait(30)
    assert kept(layout) == 1
    assert "No space" in caplog.text
    assert "odd" in caplog.text
    assert "Order Completed" not in caplog.text


# -- retention -------------------------------------------------------------------------------


def test_days_expire_per_source(layout: Layout, log: LaneLog, clock: Clock) -> None:
    """With their quarantine, and with their directories."""
    for age in range(4):
        at = int((NOW - age * DAY) * 1000)
        for source in ("web", "app", "forever"):
            write(log, age, source=source, received_at=at)
            log.append(entry({"batch": [{}]}, source=source, received_at=at), int(NOW))
    retention = Retention(days=2, sources={"app": 0, "forever": 10_000})
    follower = started(layout, clock, compaction=EAGER, retention=retention)
    follower.step()
    follower.housekeeper.settle()
    follower.housekeeper.step()
    store = open_store(layout.root)
    assert store.count_by("source") == {"forever": 4, "web": 3, "app": 1}
    assert store.count_by("source", table="quarantine") == {"forever": 4, "web": 3, "app": 1}
    clock.now += 2 * DAY
    follower.housekeeper.step()
    follower.housekeeper._expired_at = 0.0
    follower.housekeeper.step()
    assert store.count_by("source") == {"forever": 4, "web": 1}
    gone = layout.partition(QUARANTINE, day_of(int((NOW - 3 * DAY) * 1000)), "web")
    assert not gone.exists()
    assert gone.with_name("source=forever").exists()


def test_nothing_expires_unless_told(layout: Layout, log: LaneLog, clock: Clock) -> None:
    """Events are kept for ever by default."""
    write(log, 1, received_at=1000)
    follower = started(layout, clock)
    follower.step()
    follower.housekeeper.settle()
    follower.housekeeper.step()
    assert open_store(layout.root).count() == 1


# -- other engines ---------------------------------------------------------------------------


@pytest.fixture
def settled(layout: Layout, log: LaneLog, clock: Clock) -> Path:
    """The partitions of a store with two days and two sources, one with an odd name."""
    for number, source in enumerate(["web", "a b/é"] * 4):
        received = int((NOW - (number % 3 == 0) * DAY) * 1000)
        write(log, number, source=source, received_at=received)
    follower = started(layout, clock)
    follower.step()
    wishes.ask(layout, Wish("compact"))
    follower.step()
    follower.housekeeper.step()
    return layout.root / EVENTS


def test_duckdb_reads_the_files_as_they_are(settled: Path) -> None:
    """With the partitions as columns."""
    sql = (
        "SELECT CAST(date AS VARCHAR), source, count(*) FROM "
        f"read_parquet('{settled}/**/*.parquet', hive_partitioning = true) GROUP BY ALL"
    )
    found = duckdb.sql(sql).fetchall()
    assert sum(count for *_, count in found) == 8
    assert {row[1] for row in found} == {"web", "a b/é"}
    assert {row[0] for row in found} == {"2026-02-28", "2026-03-01"}


def test_pyarrow_reads_the_files_as_they_are(settled: Path) -> None:
    """And skips the partitions that are not wanted."""
    data = ds.dataset(settled, partitioning="hive")
    assert data.count_rows() == 8
    assert data.count_rows(filter=ds.field("source") == "web") == 4
    one = next(settled.rglob("*.parquet"))
    assert pq.read_schema(one).field("received_at").type.tz == "UTC"


def test_the_files_that_count_are_told(settled: Path, layout: Layout) -> None:
    """For an engine that reads while files are being merged."""
    assert sorted(open_store(layout.root).files()) == sorted(settled.rglob("*.parquet"))


# -- the newest ------------------------------------------------------------------------------


def test_the_newest_rows_are_the_newest(layout: Layout, log: LaneLog, clock: Clock) -> None:
    """Over fresh files, partitions and the log, whatever order they came in; as a sort would."""
    follower = started(layout, clock, compaction=Compaction(fresh_files=2))
    moments = [7, 3, 9, 1, 8, 2, 6, 4, 5, 0]
    for place, moment in enumerate(moments):
        write(log, moment, source=f"s{moment % 2}", received_at=int((NOW + moment) * 1000))
        if place != len(moments) - 1:
            follower.step()
            follower.housekeeper.step()
    store = open_store(layout.root)
    for limit in range(1, 12):
        found = [row["message_id"] for row in store.events(limit=limit)]
        assert found == ids(*sorted(range(10), reverse=True)[:limit])
    found = [row["message_id"] for row in store.events(Filter(source="s1"), limit=2)]
    assert found == ids(9, 7)
    late = datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=6)
    assert len(store.events(Filter(since=late), limit=2)) == 2
    assert len(store.events(Filter(since=late), limit=9)) == 4
    assert len(store.events(Filter(user=track(3)["userId"]), limit=5)) == 1
