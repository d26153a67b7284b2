"""Power cuts: what was answered survives, once, whatever the disk had not written yet."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

import proving
from collector_disk import LossyDisk, PowerCut
from collector_kit import NOW, entry, track
from penstock.collector import open_store
from penstock.collector.config import Compaction, Keeping, Sealing
from penstock.collector.layout import TABLES, Layout
from penstock.collector.log.lane import LaneLog
from penstock.collector.log.reading import LaneReader
from penstock.collector.store import wishes
from penstock.collector.store.catalog import Catalog
from penstock.collector.store.chores import deletions_of
from penstock.collector.store.pipeline import Pipeline
from penstock.collector.store.wishes import Wish
from store_kit import LIMIT, lane

if TYPE_CHECKING:
    from pathlib import Path

USER = "forget-me"
KEEPING = Keeping(
    sealing=Sealing(seconds=0.0), compaction=Compaction(fresh_files=2, files=2, grace=0.0)
)


class World:
    """
    A store, and what was promised about it.

    Args:
        layout: The store.
        rng: Chooses what happens.
    """

    def __init__(self, layout: Layout, rng: random.Random) -> None:
        self._layout = layout
        self._rng = rng
        self._number = 0
        self._written: set[str] = set()
        #: ``{source: {message id: message}}``
        self._sent: dict[str, dict[str, Any]] = {"web": {}, "app": {}}
        self._of_user: set[str] = set()
        #: Message ids that were answered with 200.
        self.acknowledged: set[str] = set()
        #: Message ids of a user who asked for them to go.
        self.going: set[str] = set()
        #: The same, and was told that they are gone.
        self.deleted: set[str] = set()
        self._logs: list[LaneLog] = []
        self._pipeline: Pipeline | None = None

    def live(self, moves: int) -> None:
        """Do that many things, in the order in which a collector may do them."""
        choices = (self.write, self.write, self.sync, self.sync, self.seal, self.tidy)
        rare = (self.restart, self.end_lane, self.delete)
        for _ in range(moves):
            self._rng.choice(choices if self._rng.random() < 0.85 else rare)()

    def write(self) -> None:
        """A request, not answered yet."""
        if len(self._logs) < 2:
            self._logs.append(lane(self._layout, segment_bytes=4096))
        source = self._rng.choice(("web", "app"))
        messages = [self._message(source) for _ in range(self._rng.randint(1, 3))]
        payload = entry({"batch": messages}, source=source, count=len(messages))
        self._rng.choice(self._logs).append(payload, int(NOW))
        ids = {message["messageId"] for message in messages}
        self._written |= ids
        self._of_user |= {m["messageId"] for m in messages if m["userId"] == USER}

    def _message(self, source: str) -> dict[str, Any]:
        known = self._sent[source]
        again = sorted(self.acknowledged & set(known))
        if again and self._rng.random() < 0.1:  # a client that did not hear the answer
            return known[self._rng.choice(again)]
        self._number += 1
        padding = "x" * self._rng.choice((0, 10, 900))
        user = USER if self._rng.random() < 0.2 else "other"
        message = track(self._number, userId=user, properties={"padding": padding})
        known[message["messageId"]] = message
        return message

    def sync(self) -> None:
        """Group commit: what was written before is answered after."""
        written = set(self._written)
        for log in self._logs:
            log.sync()
        self.acknowledged |= written

    def pipeline(self) -> Pipeline:
        """The one that runs."""
        if self._pipeline is None:
            self._pipeline = Pipeline(self._layout, KEEPING, clock=lambda: NOW)
            self._pipeline.start()
        return self._pipeline

    def seal(self) -> None:
        """Whatever is in the log, answered or not."""
        self.pipeline().step()

    def tidy(self) -> None:
        """Merge and remove."""
        self.pipeline().housekeeper.step()

    def restart(self) -> None:
        """The pipeline died and started again."""
        if self._pipeline is not None:
            self._pipeline.close()
        self._pipeline = None

    def end_lane(self) -> None:
        """A worker ended."""
        self.sync()
        if self._logs:
            self._logs.pop(0).close()

    def delete(self) -> None:
        """A privacy request, done."""
        asked = set(self._of_user)
        self.going |= asked
        wishes.ask(self._layout, Wish("delete-user", user=USER))
        self.seal()
        self.tidy()
        self.deleted |= asked

    def close(self) -> None:
        self.restart()
        for log in self._logs:
            log.close()


@pytest.mark.proves("power loss", "collector: unflushed sectors and names lost at any step")
@pytest.mark.parametrize("part", range(4))
def test_what_was_answered_survives_a_power_cut(
    tmp_path: Path, proof: proving.Proof, part: int
) -> None:
    """And is stored once; what a user was told is gone stays gone; every file is whole."""
    for trial in range(proving.scale(6, 500)):
        rng = random.Random(part * 10_000 + trial)
        directory = tmp_path / str(trial)
        world, disk = World(Layout(directory), rng), LossyDisk(directory, rng.randint(1, 700))
        with pytest.MonkeyPatch.context() as patch:
            disk.watch(patch)
            with contextlib.suppress(PowerCut):
                world.live(60)
        survivor = Layout(tmp_path / f"{trial}-after")
        disk.after_power_cut(survivor.root, rng)
        wanted = world.acknowledged - world.going
        seen = ids_of(survivor)
        lost, repeated = judged(survivor, wanted)
        proof.record(events=len(wanted), lost=lost, repeated=repeated)
        assert (lost, repeated) == (0, 0), (part, trial)
        assert wanted <= set(seen), (part, trial)
        assert len(seen) == len(set(seen)), (part, trial)
        if not wishes.pending(survivor):
            assert not world.deleted & set(ids_of(survivor)), (part, trial)
        world.close()
        disk.close()


def ids_of(layout: Layout) -> list[str]:
    found = open_store(layout.root).arrow("SELECT message_id FROM events")
    result: list[str] = found.column("message_id").to_pylist()
    return result


def judged(layout: Layout, wanted: set[str]) -> tuple[int, int]:
    """Start a pipeline again; how many events are lost then, and how many are there twice."""
    pipeline = Pipeline(layout, KEEPING, clock=lambda: NOW)
    pipeline.start()
    pipeline.step(drain=True)
    pipeline.housekeeper.step()
    pipeline.close()
    for table in TABLES:
        for file in Catalog(layout).files(table):
            assert pq.read_table(file.path, partitioning=None).num_rows == file.extent.rows
    assert list(layout.log.glob("lane-*")) == []
    stored = ids_of(layout)
    assert deletions_of(layout, "nobody") == []
    return len(wanted - set(stored)), len(stored) - len(set(stored))


@pytest.mark.proves("power loss", "collector: torn and truncated segments of the request log")
def test_a_torn_log_gives_what_was_flushed_and_nothing_else(
    tmp_path: Path, proof: proving.Proof
) -> None:
    """Every record that was flushed, and of the others only whole ones, in order."""
    for trial in range(proving.scale(60, 2000)):
        rng = random.Random(trial)
        directory = tmp_path / str(trial)
        disk = LossyDisk(directory, 1 << 60)
        written: list[bytes] = []
        flushed = 0
        with pytest.MonkeyPatch.context() as patch:
            disk.watch(patch)
            log = LaneLog(directory, limit_bytes=LIMIT, segment_bytes=8192)
            for _ in range(rng.randint(1, 40)):
                if rng.random() < 0.3:
                    log.sync()
                    flushed = len(written)
                else:
                    written.append(rng.randbytes(rng.choice((0, 1, 100, 700, 3000, 9000))))
                    log.append(written[-1], int(NOW))
        disk.after_power_cut(tmp_path / f"{trial}-after", rng)
        reader = LaneReader(tmp_path / f"{trial}-after" / log.path.name)
        reader.complete = True
        entries = reader.rest()
        reader.close()
        ordinals = [entry.ordinal for entry in entries]
        lost = len(set(range(1, flushed + 1)) - set(ordinals))
        proof.record(events=flushed, lost=lost, repeated=len(ordinals) - len(set(ordinals)))
        assert lost == 0
        assert ordinals == sorted(set(ordinals))
        assert all(entry.payload == written[entry.ordinal - 1] for entry in entries)
        log.close()
        disk.close()
