"""What the debugger sees of a store: every arrival, what becomes of it, and counts by minute."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

import store_kit
from collector_kit import NOW, entry, track
from penstock.collector.pages import follower as following
from penstock.collector.pages import ring as ringing
from penstock.collector.pages.arrival import Arrival, Wanted
from penstock.collector.pages.chart import chart_of
from penstock.collector.pages.follower import Follower
from penstock.collector.pages.minutes import Minute
from penstock.collector.pages.ring import Ring
from penstock.collector.store import recent
from penstock.collector.store.chores import delete_user
from store_kit import lane

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.collector.pages.ring import Seen


class Scene(store_kit.Scene):
    """With a follower."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.follower = self.follow()

    def follow(self) -> Follower:
        return Follower(self.layout, clock=self.now)

    def write(self, *messages: object, source: str = "web") -> None:
        self.append(entry({"batch": messages}, source=source, count=len(messages)))

    def verdicts(self, follower: Follower | None = None) -> dict[str, str]:
        """``{message id: verdict}`` of what is held; an id that repeats has its last."""
        held = (follower or self.follower).ring._held.values()
        return {seen.arrival.message_id: seen.arrival.verdict for seen in held}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


def test_an_event_is_seen_before_it_is_sealed_and_judged_after(scene: Scene) -> None:
    """Received first; then stored, changed or quarantined."""
    late = track(2, timestamp="2099-01-01T00:00:00Z")
    scene.write(track(1), late, {"type": "zoo", "messageId": "bad"})
    scene.follower.step()
    first, second = track(1)["messageId"], late["messageId"]
    assert scene.verdicts() == {first: "received", second: "received", "bad": "quarantined"}
    scene.pipeline.step()
    scene.follower.step()
    assert scene.verdicts() == {first: "stored", second: "changed", "bad": "quarantined"}


def test_a_repetition_is_told_apart_from_what_it_repeats(scene: Scene) -> None:
    """In one request, in one run, and in another run; another source's event is none."""
    scene.write(track(1), track(1))
    scene.write(track(1))
    scene.pipeline.step()
    scene.write(track(1))
    scene.write(track(1), source="app")
    scene.pipeline.step()
    scene.follower._sealed = type(scene.follower._sealed)()  # it has seen nothing yet
    scene.follower.step()
    held = [seen.arrival for seen in scene.follower.ring._held.values()]
    assert sorted((a.source, a.key.rsplit(":", 2)[1], a.verdict) for a in held) == [
        ("app", "4", "stored"),
        ("web", "1", "duplicate"),
        ("web", "1", "stored"),
        ("web", "2", "duplicate"),
        ("web", "3", "duplicate"),
    ]


def test_an_event_sealed_between_two_looks_is_no_repetition(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written after the look at the log, sealed before that at the ledger: seen with the next."""
    look = Follower._settle

    def write_and_seal(follower: Follower) -> None:
        monkeypatch.setattr(Follower, "_settle", look)
        scene.write(track(1))
        scene.pipeline.step()
        look(follower)

    monkeypatch.setattr(Follower, "_settle", write_and_seal)
    scene.follower.step()
    assert scene.verdicts() == {}
    scene.follower.step()
    assert scene.verdicts() == {track(1)["messageId"]: "stored"}


def test_what_comes_too_fast_is_counted_and_left_out(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watching a busy collector stays cheap; with the next second it goes on."""
    monkeypatch.setattr(following, "MOST_PER_SECOND", 10)
    scene.follower._allowance = 10.0
    for first in range(0, 30, 10):
        scene.write(*(track(first + place) for place in range(10)))
    scene.follower.step()
    assert len(scene.verdicts()) == 10
    assert scene.follower.ring.skipped == 20
    scene.write(track(99))
    scene.follower.step()
    assert track(99)["messageId"] in scene.verdicts()


def test_memory_is_bounded_whatever_comes(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is held and of what waits for its verdict, the oldest goes."""
    monkeypatch.setattr(ringing, "MOST_HELD", 50)
    monkeypatch.setattr(following, "_MOST_PENDING", 40)
    for first in range(0, 300, 100):
        scene.write(*(track(first + place) for place in range(100)))
        scene.follower.step()
    assert len(scene.follower.ring._held) == 50
    assert len(scene.follower._pending) == 40
    scene.pipeline.step()
    scene.follower.step()
    assert not scene.follower._pending
    assert not scene.follower._stored


def test_a_follower_goes_on_over_lanes_that_end(scene: Scene) -> None:
    """A worker ends, its lane is sealed and removed; a new one writes another."""
    scene.write(track(1))
    scene.follower.step()
    scene.log.close()
    scene.pipeline.step(drain=True)
    scene.pipeline.step(drain=True)
    scene.log = lane(scene.layout)
    scene.write(track(2))
    scene.follower.step()
    assert set(scene.verdicts().values()) == {"stored", "received"}


def test_a_deleted_user_is_forgotten_at_once(scene: Scene) -> None:
    """In memory, and in the requests that are kept."""
    scene.write(track(1))
    scene.follower.step()
    scene.pipeline.step()
    scene.follower.step()
    assert list(recent.requests(scene.layout))
    scene.pipeline.close()
    delete_user(scene.layout, "u-1", timeout_s=5)
    scene.follower.step()
    assert scene.verdicts() == {}
    bodies = b"".join(kept.body for kept in recent.requests(scene.layout))
    assert b"u-1" not in bodies
    everywhere = scene.layout.root.rglob("*")
    assert not [path for path in everywhere if path.is_file() and b'"u-1"' in path.read_bytes()]


def test_a_follower_that_starts_later_counts_what_was_before_it(scene: Scene) -> None:
    """Once, however far sealing got meanwhile."""
    scene.write(*(track(number) for number in range(7)))
    scene.write({"type": "zoo"})
    scene.pipeline.step()
    late = scene.follow()
    scene.write(*(track(number) for number in range(5, 10)))
    scene.pipeline.step()
    late.step()
    for _ in range(2):
        late.seed(patience_s=30)
    total = Minute(0)
    for minute in late.minutes.shown(NOW + 10):
        total = Minute(*(a + b for a, b in zip(total, minute, strict=True)))
    assert total[1:] == (10, 2, 1)
    late.step()
    assert sum(minute.total for minute in late.minutes.shown(NOW + 10)) == 13


# -- requests that are kept ---------------------------------------------------------------------


def test_requests_are_kept_after_they_are_sealed_within_a_bound(scene: Scene) -> None:
    """A segment's second name outlives the first; of too many, the oldest go."""
    scene.write(track(1))
    recent.keep(scene.layout)
    scene.log.close()
    scene.pipeline.step(drain=True)
    scene.pipeline.step(drain=True)
    assert not list(scene.layout.log.glob("lane-*/*.seg"))
    (kept,) = recent.requests(scene.layout)
    assert json.loads(kept.body)["batch"] == [track(1)]
    assert [*recent.requests_at(scene.layout, kept.request)] == [kept]
    scene.log = lane(scene.layout)
    scene.write(track(2))
    segment = 16 * 1024 * 1024
    recent.keep(scene.layout, 2 * segment)
    assert len(list(recent.requests(scene.layout))) == 2
    recent.keep(scene.layout, segment)
    assert [json.loads(k.body)["batch"] for k in recent.requests(scene.layout)] == [[track(2)]]
    recent.keep(scene.layout, 0)
    assert not list(scene.layout.recent.rglob("*.seg"))


def test_nothing_is_kept_on_a_disk_that_is_nearly_full(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was kept goes, too: the log needs the room."""
    scene.write(track(1))
    recent.keep(scene.layout)
    assert list(scene.layout.recent.rglob("*.seg"))
    total, used, _free = shutil.disk_usage(scene.layout.root)
    full = type(shutil.disk_usage("/"))(total, used, recent.KEPT_BYTES - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: full)
    recent.keep(scene.layout)
    assert not list(scene.layout.recent.rglob("*.seg"))


def test_old_requests_are_not_kept(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day after its last one, a segment goes."""
    scene.write(track(1))
    recent.keep(scene.layout)
    assert list(scene.layout.recent.rglob("*.seg"))
    monkeypatch.setattr(recent, "KEPT_S", -1.0)
    recent.keep(scene.layout)
    assert not list(scene.layout.recent.rglob("*.seg"))


# -- the ring -------------------------------------------------------------------------------------


def arrival(number: int, **more: Any) -> Arrival:
    fields = {
        "key": f"lane:1:{number}", "received_at": number, "source": "web", "dialect": "segment",
        "type": "track", "event": "Order", "user": f"u-{number}", "message_id": f"m-{number}",
        "verdict": "received",
    }  # fmt: skip
    return Arrival(**{**fields, **more})


def test_a_slow_viewer_loses_the_oldest_and_is_told() -> None:
    """What waits for it is bounded, whatever comes; others lose nothing."""

    async def watch() -> tuple[list[Seen], int]:
        ring = Ring()
        with ring.watched(Wanted(), 0) as viewer:
            for first in range(0, 2000, 100):
                ring.add([arrival(first + place) for place in range(100)])
            assert len(viewer._waiting) == ringing.MOST_WAITING
            return await viewer.next(1), viewer.dropped

    seen, dropped = asyncio.run(watch())
    assert [one.number for one in seen] == list(range(1501, 2001))
    assert dropped == 1500


def test_a_viewer_that_comes_back_gets_what_it_missed() -> None:
    """By the place it has got to; one of another process's ring is none."""

    async def missed(after: int) -> list[int]:
        ring = Ring()
        ring.add([arrival(number) for number in range(10)])
        ring.add([arrival(3, verdict="stored")])
        assert ring.number_at(ring.place) == 11
        assert ring.number_at(ring.place_of(8)) == 8
        for place in (Ring().place, "8", "", ".8", ring.place_of(8) + "x", "x" * 100):
            assert ring.number_at(place) is None
        with ring.watched(Wanted(), after) as viewer:
            return [seen.number for seen in await viewer.next(0.01)]

    assert asyncio.run(missed(8)) == [9, 10, 11]
    assert asyncio.run(missed(0)) == [1, 2, 3, 5, 6, 7, 8, 9, 10, 11]  # 4 has become 11
    assert asyncio.run(missed(11)) == []


@pytest.mark.parametrize(
    ("wanted", "takes"),
    [
        (Wanted(), True),
        (Wanted(source="web", type="track", event="Order", user="u-1", verdict="received"), True),
        (Wanted(text="ord"), True),
        (Wanted(text="m-1"), True),
        (Wanted(text="nothing"), False),
        (Wanted(event="ord"), False),
        (Wanted(source="app"), False),
        (Wanted(verdict="stored"), False),
    ],
)
def test_filters_take_what_they_say(wanted: Wanted, *, takes: bool) -> None:
    """Exactly by field, and anywhere by text."""
    assert wanted.takes(arrival(1)) == takes


def test_the_chart_draws_every_minute_within_its_frame() -> None:
    """Bars stand on each other, the highest reaches no further than the drawing."""
    minutes = [Minute(n, n % 7, n % 3, n % 2) for n in range(60)] + [Minute(60, 100_000, 1, 1)]
    chart = chart_of(minutes)
    assert chart.total == sum(minute.total for minute in minutes)
    for column in chart.columns:
        for bar in column.bars:
            assert bar.y >= 0
            assert bar.y + bar.height <= chart.height
            assert chart.margin <= bar.x <= bar.x + bar.width <= chart.width
    assert chart_of([]).total == 0
