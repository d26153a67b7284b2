"""Deleting a user: gone from everywhere, and staying gone; nobody else loses anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import proving
from collector_crash import crashes
from collector_kit import NOW, track
from collector_process import ServedCollector
from penstock.collector import open_store
from penstock.collector.config import Compaction, Keeping, Sealing
from penstock.collector.layout import Layout
from penstock.collector.store import wishes
from penstock.collector.store.chores import NotDoneError, compact, delete_user, deletions_of
from penstock.collector.store.deletions import mentions
from penstock.collector.store.pipeline import Pipeline
from penstock.collector.store.wishes import Wish
from penstock.errors import ConfigError
from penstock.journal._locks import FileLock
from store_kit import lane, send

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.collector.log.lane import LaneLog

#: In every form a file may hold it.
USER = "forget-me"
AT_ONCE = Keeping(sealing=Sealing(seconds=0.0), compaction=Compaction(fresh_files=1, grace=1e9))


def of_user(number: int) -> list[dict[str, Any]]:
    """Everything that is the user's, and something that is not."""
    return [
        track(number, userId=USER),
        track(number + 1, anonymousId=USER),
        {"type": "alias", "messageId": f"al-{number}", "userId": "other", "previousId": USER},
        track(number + 2, userId="other", properties={"friend": "nobody"}),
        {"type": "zoo", "userId": USER},
        {"type": "zoo", "userId": "other"},
    ]


def follower(layout: Layout) -> Pipeline:
    made = Pipeline(layout, AT_ONCE, clock=lambda: NOW)
    made.start()
    return made


def remains(layout: Layout, text: str = USER) -> list[str]:
    """Files that hold the text somewhere, compressed or not."""
    found = []
    for path in layout.root.rglob("*"):
        if path.is_file():
            if path.suffix == ".parquet":
                content = repr(pq.read_table(path, partitioning=None).to_pylist()).encode()
            else:
                content = path.read_bytes()
            if text.encode() in content:
                found.append(path.relative_to(layout.root).as_posix())
    return found


def test_a_user_is_gone_from_everywhere(layout: Layout, log: LaneLog) -> None:
    """Partitions, fresh files, quarantine, and the log's segment that is still being written."""
    pipeline = follower(layout)
    send(log, *of_user(10))
    pipeline.step()
    pipeline.housekeeper.step()
    send(log, *of_user(20), source="app")
    pipeline.step()
    send(log, *of_user(30))
    pipeline.close()
    assert len(remains(layout)) > 3
    record = delete_user(layout, USER, 10)
    assert (record.events, record.quarantined) == (9, 3)
    assert remains(layout) == []
    store = open_store(layout.root)
    assert store.count() == 3
    assert {row["user_id"] for row in store.events()} == {"other"}
    assert store.count(table="quarantine") == 3


def test_the_log_can_be_read_on(layout: Layout, log: LaneLog) -> None:
    """What is overwritten is walked over; what comes later is stored."""
    send(log, track(1, userId=USER), track(2))
    delete_user(layout, USER, 10)
    send(log, track(3))
    pipeline = follower(layout)
    pipeline.step()
    assert {row["message_id"] for row in open_store(layout.root).events()} == {
        track(2)["messageId"],
        track(3)["messageId"],
    }
    assert open_store(layout.root).counts().lost == 0


def test_a_deleted_event_that_is_sent_again_stays_away(layout: Layout, log: LaneLog) -> None:
    """By a client that did not hear the answer: before a restart, after it, and for readers."""
    pipeline = follower(layout)
    send(log, track(1, userId=USER))
    pipeline.step()
    wishes.ask(layout, Wish("delete-user", user=USER))
    pipeline.step()
    pipeline.housekeeper.step()
    send(log, track(1, userId=USER))
    pipeline.step()
    assert open_store(layout.root).count() == 0
    pipeline.close()
    send(log, track(1, userId=USER))
    assert open_store(layout.root).count() == 0
    restarted = follower(layout)
    restarted.step()
    assert open_store(layout.root).count() == 0
    assert open_store(layout.root).counts().duplicates == 2


def test_a_new_event_of_the_user_is_stored(layout: Layout, log: LaneLog) -> None:
    """Deleting is not blocking."""
    send(log, track(1, userId=USER))
    delete_user(layout, USER, 10)
    send(log, track(2, userId=USER))
    assert open_store(layout.root).count() == 1


def test_the_record_holds_nothing_of_the_user(layout: Layout, log: LaneLog) -> None:
    """But whoever knows the id can show that it was deleted, and when."""
    send(log, track(1, userId=USER), track(2))
    record = delete_user(layout, USER, 10)
    assert remains(layout) == []
    assert deletions_of(layout, USER) == [record]
    assert deletions_of(layout, "other") == []
    assert record.asked_at <= record.done_at
    assert (record.events, record.files) == (1, 1)
    assert wishes.pending(layout) == []


def test_nobody_is_deleted_when_nobody_is_named(layout: Layout, log: LaneLog) -> None:
    """An empty id is no id; an unknown one deletes nothing."""
    send(log, track(1))
    with pytest.raises(ConfigError):
        delete_user(layout, " ", 10)
    with pytest.raises(ConfigError):
        delete_user(Layout(layout.root / "none"), "u", 10)
    assert delete_user(layout, "%", 10).events == 0
    assert delete_user(layout, "' OR 1=1 --", 10).events == 0
    assert open_store(layout.root).count() == 1


def test_a_collector_that_is_busy_is_not_waited_for_for_ever(layout: Layout, log: LaneLog) -> None:
    """The request stays, and is done by whoever comes next."""
    send(log, track(1, userId=USER))
    busy = FileLock.acquire(layout.pipeline_lock)
    assert busy is not None
    with pytest.raises(NotDoneError):
        delete_user(layout, USER, 0.01)
    busy.release()
    pipeline = follower(layout)
    pipeline.step()
    pipeline.housekeeper.step()
    assert len(deletions_of(layout, USER)) == 1
    assert open_store(layout.root).count() == 0


@pytest.mark.parametrize("name", ["../up.json", "x.txt", "broken.json"])
def test_what_is_no_request_is_left_alone(layout: Layout, name: str) -> None:
    """A stray file in the directory stops nothing."""
    layout.requests.mkdir(parents=True)
    (layout.requests / name).write_bytes(b'{"kind": "delete-user", "id": "../x", "user": "u"}')
    assert wishes.pending(layout) == []


def test_a_running_collector_deletes(tmp_path: Path) -> None:
    """While it takes events; the one who asks waits until it is done."""
    collector = ServedCollector(tmp_path, hasty=True)
    for number in range(20):
        user = USER if number % 2 else "other"
        assert collector.post("/v1/track", track(number, userId=user)) == 200
    assert delete_user(Layout(tmp_path), USER, 30).events == 10
    compact(Layout(tmp_path), 30)
    assert remains(Layout(tmp_path)) == []
    assert collector.post("/v1/track", track(99)) == 200
    assert open_store(tmp_path).count() == 11
    assert len(open_store(tmp_path).files()) >= 1
    assert collector.stop() == 0


def seal_and_tidy(layout: Layout) -> Pipeline:
    pipeline = follower(layout)
    pipeline.step()
    pipeline.housekeeper.step()
    return pipeline


@pytest.mark.proves("process death", "collector: at any step of a deletion")
@pytest.mark.parametrize("before", [True, False])
def test_a_crash_at_any_point_is_made_up_for(
    tmp_path: Path, proof: proving.Proof, before: bool
) -> None:
    """The request is done again, nobody else loses anything, and nothing comes back."""
    count = 0
    crashed = True
    while crashed:
        count += proving.scale(5, 1)
        layout = Layout(tmp_path / f"{count}-{before}")
        log = lane(layout)
        send(log, *of_user(10))
        wishes.ask(layout, Wish("delete-user", user=USER))
        crashed = crashes(seal_and_tidy, layout, at=count, before=before)
        send(log, *of_user(10))
        survivor = seal_and_tidy(layout)
        proof.record(events=4)
        log.close()
        survivor.step()
        assert open_store(layout.root).count() == 1
        assert [row["user_id"] for row in open_store(layout.root).events()] == ["other"]
        assert len(deletions_of(layout, USER)) == 1
    assert count > 30


# -- quarantined items -----------------------------------------------------------------------

IDS = st.text(min_size=1, max_size=8) | st.integers().map(str)
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(IDS, SHAPES, st.booleans())
def test_an_item_mentions_an_id_however_it_is_written(
    user: str, shape: Any, ascii_only: bool
) -> None:
    """As text, escaped or not, or as a number, anywhere in it."""
    assert mentions(json.dumps({"a": [shape, {"id": user}]}, ensure_ascii=ascii_only), user)
    number = user.lstrip("-")
    if number.isascii() and number.isdecimal() and str(int(user)) == user and len(number) < 19:
        assert mentions(f'{{"userId":{user}}}', user)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ('{"userId":"u-77"}', False),
        ('{"userId":"u-7"}', True),
        ('{"u-7":1}', False),
        ('{"userId":"u-7', True),
        ('{"userId":"\\u0075-7"}', True),
        ("[" * 2000 + '"u-7"', True),
        ("", False),
    ],
)
def test_an_item_mentions_the_whole_id(raw: str, expected: bool) -> None:
    """Not a part of another; of what is no JSON, any mention counts."""
    assert mentions(raw, "u-7") is expected


def test_requests_hold_the_id_only_until_they_are_done(layout: Layout, log: LaneLog) -> None:
    """And survive being read by somebody else meanwhile."""
    send(log, track(1))
    path = wishes.ask(layout, Wish("delete-user", user=USER))
    assert orjson.loads(path.read_bytes())["user"] == USER
    assert path.stat().st_mode & 0o077 == 0
    assert [wish.user for wish in wishes.pending(layout)] == [USER]
