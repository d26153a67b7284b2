"""Sealing: what was accepted becomes rows, each once, whatever happens on the way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

import proving
from collector_crash import crashes
from collector_kit import NOW, entry, track
from penstock.collector import Filter, open_store
from penstock.collector.config import Sealing
from penstock.collector.layout import EVENTS, QUARANTINE, Layout, day_of
from penstock.collector.log.lane import LaneLog, used_bytes
from penstock.collector.store import ledger, wishes
from penstock.collector.store.catalog import Catalog
from penstock.collector.store.ledger import Counts, Sealed
from penstock.collector.store.wishes import Wish
from store_kit import NEVER, ids, lane, pipeline, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from penstock.collector.store.sealing import Run


@pytest.fixture
def log(layout: Layout) -> Iterator[LaneLog]:
    """With small segments: many end."""
    made = lane(layout, segment_bytes=16 * 1024)
    yield made
    made.close()


def stored(layout: Layout) -> list[str]:
    """Message ids in the sealed files that count, in the order of the files."""
    files = Catalog(layout).files(EVENTS)
    tables = [pq.read_table(file.path, partitioning=None) for file in files]
    return [value for table in tables for value in table.column("message_id").to_pylist()]


def tidy(layout: Layout) -> list[str]:
    """Merge everything; the files in the partitions then, relative to the store."""
    wishes.ask(layout, Wish("compact"))
    follower = pipeline(layout, NEVER)
    follower.step()
    follower.housekeeper.step()
    follower.close()
    paths = [*(layout.root / EVENTS).rglob("*.parquet")]
    paths += (layout.root / QUARANTINE).rglob("*.parquet")
    return sorted(str(path.relative_to(layout.root)) for path in paths)


def test_requests_become_a_file_per_day_and_source(layout: Layout, log: LaneLog) -> None:
    """Under the day they arrived, whatever day the events tell."""
    old = track(1, timestamp="1997-01-12T00:00:00Z")
    log.append(entry({"batch": [old]}, source="web"), int(NOW))
    write(log, 2, source="app")
    pipeline(layout).step()
    day = day_of(int(NOW * 1000))
    found = [path.rpartition("/")[0] for path in tidy(layout)]
    assert found == [f"events/date={day}/source={name}" for name in ("app", "web")]


@pytest.mark.parametrize("name", ["../../up", "..", ".", "/etc", "a/b", "a=b", "é %2F", "'\"[*]?"])
def test_a_source_is_one_directory(layout: Layout, log: LaneLog, name: str) -> None:
    """Whatever it is called, nothing is written elsewhere, and it is read back as it was."""
    write(log, 1, source=name)
    pipeline(layout).step()
    (path,) = tidy(layout)
    assert path.count("/") == 3
    store = open_store(layout.root)
    assert store.count_by("source") == {name: 1}
    assert [row["source"] for row in store.events(Filter(source=name))] == [name]


def test_a_run_is_sealed_when_it_is_big_or_old_enough(layout: Layout, log: LaneLog) -> None:
    """Not before: few files are read faster than many."""
    waiting = pipeline(layout, Sealing(events=5, seconds=1e9))
    write(log, 1, 2, 3)
    assert waiting.step() == 0
    write(log, 4, 5, 6)
    assert waiting.step() == 1
    assert stored(layout) == ids(1, 2, 3, 4, 5, 6)
    write(log, 7)
    assert waiting.step() == 0
    assert waiting.step(drain=True) == 1


def test_a_run_is_bounded_by_what_it_inflates_to(layout: Layout, log: LaneLog) -> None:
    """A small log may hold big requests: memory is what counts."""
    follower = pipeline(layout, Sealing(bytes=100_000, seconds=1e9))
    for number in range(10):
        write(log, number, size=40_000)
    assert follower.step() == 3
    assert len(stored(layout)) == 9


def test_half_made_lanes_are_swept_up(layout: Layout) -> None:
    """A worker that died while it made its lane leaves a directory nobody looks at."""
    making = layout.log / "new-x"
    making.mkdir(parents=True)
    fresh = layout.log / "new-y"
    fresh.mkdir()
    os.utime(making, (NOW - 7200, NOW - 7200))
    os.utime(fresh, (NOW, NOW))
    pipeline(layout)
    assert [path.name for path in layout.log.iterdir()] == ["new-y"]


def test_duplicates_are_stored_once(layout: Layout, log: LaneLog) -> None:
    """In a batch, between batches, and after a restart that knows only the files."""
    first = pipeline(layout)
    write(log, 1, 1, 2)
    first.step()
    write(log, 2, 3)
    first.step()
    first.close()
    second = pipeline(layout)
    write(log, 3, 4)
    second.step()
    assert sorted(stored(layout)) == ids(1, 2, 3, 4)
    assert ledger.load(layout.sealed).counts == Counts(stored=4, duplicates=3)


def test_bad_items_are_quarantined_with_their_reason(layout: Layout, log: LaneLog) -> None:
    """Beside the events, in files of the same shape."""
    log.append(entry({"batch": [track(1), {"type": "zoo", "messageId": "m"}]}, count=2), int(NOW))
    pipeline(layout).step()
    (path,) = (layout.root / tidied for tidied in tidy(layout) if QUARANTINE in tidied)
    (row,) = pq.read_table(path, partitioning=None).to_pylist()
    assert (row["reason"], row["message_id"], row["position"]) == ("invalid_type", "m", 1)
    assert stored(layout) == ids(1)


def test_the_log_is_freed_behind_the_files(layout: Layout, log: LaneLog) -> None:
    """Segments go when they are sealed, a lane when nobody writes it any more."""
    follower = pipeline(layout)
    for number in range(200):
        write(log, number)
    before = used_bytes(layout.log)
    follower.step()
    assert used_bytes(layout.log) < before
    log.close()
    follower.step()
    assert list(layout.log.iterdir()) == []
    assert ledger.load(layout.sealed).lanes == {}


def test_lanes_of_dead_workers_are_sealed(layout: Layout) -> None:
    """Before those of living ones, whatever the policy says about waiting."""
    for numbers in ((1, 2), (2, 3)):
        log = lane(layout)
        write(log, *numbers)
        log.close()
    pipeline(layout, NEVER).step()
    assert stored(layout) == ids(1, 2, 3)
    assert list(layout.log.iterdir()) == []


@pytest.mark.parametrize("place", ["sealing.written", "ledger.save", "catalog.sync_directory"])
def test_a_full_disk_is_waited_for(
    layout: Layout, log: LaneLog, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The batch that could not be written is written later: its ids are known, its events kept."""
    follower = pipeline(layout)
    write(log, 1, 2)

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(f"penstock.collector.store.{place}", full)
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                follower.step()
    assert stored(layout) == []
    follower.step()
    assert stored(layout) == ids(1, 2)
    follower.housekeeper.step()
    assert open_store(layout.root).count() == 2
    assert list(layout.leftovers()) == []


def test_lanes_are_taken_in_turn(layout: Layout) -> None:
    """One that is far behind does not keep the others waiting; a run may hold several."""
    logs = [lane(layout) for _ in range(3)]
    for number in range(20):
        write(logs[0], number)
    write(logs[1], 101)
    write(logs[2], 102)
    follower = pipeline(layout, Sealing(events=6, seconds=1e9))
    sealed: list[list[str]] = []
    follower._sealer._sinks = [
        Taker(lambda run: sealed.append(run.events["message_id"].to_pylist()))
    ]
    follower.step()
    assert set(ids(101, 102)) < set(sealed[0])
    assert len(sealed) == 3
    for log in logs:
        log.close()


class Taker:
    """A sink."""

    def __init__(self, take: Callable[[Run], None]) -> None:
        self.take = take


def test_sinks_get_every_run_before_it_counts(layout: Layout, log: LaneLog) -> None:
    """One that cannot take it now is offered the same run again, and nothing is stored before."""
    offered: list[list[str]] = []
    full = [True]

    def take(run: Run) -> None:
        offered.append(run.events["message_id"].to_pylist())
        assert stored(layout) == []
        if full[0]:
            raise OSError(28, "No space left on device")

    follower = pipeline(layout)
    follower._sealer._sinks = [Taker(take)]
    write(log, 1, 2)
    with pytest.raises(OSError, match="No space"):
        follower.step()
    full[0] = False
    follower.step()
    assert offered == [ids(1, 2), ids(1, 2)]
    assert stored(layout) == ids(1, 2)


# -- crashes ---------------------------------------------------------------------------------


def seen_in(layout: Layout) -> list[str]:
    """Message ids a reader finds."""
    found = open_store(layout.root).arrow("SELECT message_id FROM events")
    return sorted(found.column("message_id").to_pylist())


def seal_and_compact(layout: Layout) -> None:
    sealing = pipeline(layout)
    sealing.step()
    wishes.ask(layout, Wish("compact"))
    sealing.step()
    sealing.housekeeper.step()


@pytest.mark.proves("process death", "collector: at any step of sealing and compaction")
@pytest.mark.parametrize("before", [True, False])
def test_a_crash_at_any_point_loses_nothing_and_repeats_nothing(
    tmp_path: Path, proof: proving.Proof, before: bool
) -> None:
    """Three requests of two sources, one of them bad; a crash at every step there is."""
    count = 0
    crashed = True
    while crashed:
        count += proving.scale(3, 1)
        layout = Layout(tmp_path / f"{count}-{before}")
        log = lane(layout, segment_bytes=4096)
        write(log, 1, 2)
        write(log, 2, 3, source="app")
        log.append(entry({"batch": [{"type": "zoo"}]}, source="web"), int(NOW))
        log.close()
        crashed = crashes(seal_and_compact, layout, at=count, before=before)
        # What a reader sees at this very moment is right, too.
        assert seen_in(layout) == ids(1, 2, 2, 3)
        survivor = pipeline(layout)
        survivor.step()
        assert sorted(stored(layout)) == ids(1, 2, 2, 3)
        assert len(Catalog(layout).files(QUARANTINE)) == 1
        assert list(layout.log.iterdir()) == []
        assert not list(layout.leftovers())
        assert len(tidy(layout)) == 3
        proof.record(events=5)
    assert count > 40


def test_files_beyond_the_ledger_are_removed(layout: Layout, log: LaneLog) -> None:
    """A pipeline that died between its files and the ledger left half a run behind."""
    write(log, 1)
    first = pipeline(layout)
    first.step()
    first.close()
    ledger.save(layout.sealed, Sealed())
    write(log, 2)
    pipeline(layout).step()
    assert sorted(stored(layout)) == ids(1, 2)


def test_the_ledger_is_replaced_in_one_step(tmp_path: Path) -> None:
    """What was saved is loaded; a store without one is empty."""
    path = tmp_path / "sealed.json"
    assert ledger.load(path) == Sealed()
    saved = Sealed({"lane-a": 7}, Counts(1, 2, 3, 4), 9, {"a": 1.0})
    ledger.save(path, saved)
    assert ledger.load(path) == saved
    assert [p.name for p in tmp_path.iterdir()] == ["sealed.json"]
