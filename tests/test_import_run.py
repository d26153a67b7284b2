"""An import loses no row, repeats none under another id, and can say how far it is."""

from __future__ import annotations

import contextlib
import json
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import FieldError, QueueFullError
from penstock.importing import (
    BadRow,
    Busy,
    Calls,
    Checkpoint,
    Importer,
    MessageIds,
    Pace,
    Plan,
    Progress,
    Rejects,
    Row,
    rate_from,
    run,
)

if TYPE_CHECKING:
    from pathlib import Path

PLAN = Plan(event="E", fields={"user_id": "u"})


class Taker:
    """Takes track calls, and can refuse."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        #: Calls after which the process is killed.
        self.dies_at: int | None = None
        #: How many calls find the journal full.
        self.full = 0

    @property
    def dead(self) -> bool:
        return self.dies_at is not None and len(self.ids) >= self.dies_at

    def track(self, **arguments: Any) -> str:
        if self.full:
            self.full -= 1
            raise QueueFullError(1)
        if "user_id" not in arguments:
            raise FieldError("Track", "user_id", None)
        if self.dead:
            raise Killed
        self.ids.append(arguments["message_id"])
        return str(arguments["message_id"])


class Killed(BaseException):
    """Stands for a signal that nothing catches."""


class Mortal(Checkpoint):
    """A checkpoint that is not saved any more once the process is dead."""

    def __init__(self, path: Path, taker: Taker) -> None:
        super().__init__(path)
        self._taker = taker

    def save(self, progress: Progress) -> None:
        if not self._taker.dead:
            super().save(progress)


def rows(total: int, bad: frozenset[int] = frozenset()) -> list[Row | BadRow]:
    return [
        BadRow(n, n + 1, "broken", b"raw\n") if n in bad else Row(n, n + 1, {"u": str(n)}, b"r\n")
        for n in range(1, total + 1)
    ]


def importer(directory: Path, taker: Taker, **options: Any) -> Importer:
    """An importer as the command builds one, going on from the checkpoint."""
    checkpoint = Mortal(directory / "imports" / "one.json", taker)
    checkpoint.path.parent.mkdir(exist_ok=True)
    progress = checkpoint.load() or Progress(file="f", digest="d")
    rejects = Rejects(directory / "rejects.jsonl", progress.rejects_bytes)
    calls = Calls(PLAN, MessageIds("d"), typed=False)
    return Importer(taker, calls, progress, rejects, checkpoint=checkpoint, **options)


def rejected(directory: Path) -> list[dict[str, Any]]:
    path = directory / "rejects.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_every_row_is_captured_or_rejected(tmp_path: Path) -> None:
    """Unreadable ones and those the client refuses are written down with their place."""
    taker = Taker()
    broken: list[Row | BadRow] = [*rows(5, frozenset({2})), Row(6, 7, {"x": "1"}, b'"1"\r\n')]
    work = importer(tmp_path, taker)
    progress = work.run(broken)
    assert (progress.rows, progress.accepted, progress.rejected) == (6, 4, 2)
    assert progress.complete
    assert rejected(tmp_path) == [
        {"row": 2, "line": 3, "reason": "broken", "raw": "raw"},
        {
            "row": 6,
            "line": 7,
            "reason": "Track.user_id: invalid field value: None",
            "raw": '"1"',
        },
    ]


def test_a_finished_import_has_nothing_left_to_do(tmp_path: Path) -> None:
    """A second run over the same file captures nothing."""
    importer(tmp_path, Taker()).run(rows(10))
    again = Taker()
    assert importer(tmp_path, again).run(rows(10)).accepted == 10
    assert again.ids == []


@given(
    total=st.integers(min_value=1, max_value=60),
    kills=st.lists(st.integers(min_value=0, max_value=60), max_size=4),
    bad=st.frozensets(st.integers(min_value=1, max_value=60), max_size=10),
)
def test_kills_lose_no_row_and_make_no_new_ids(
    tmp_path_factory: pytest.TempPathFactory,
    total: int,
    kills: list[int],
    bad: frozenset[int],
) -> None:
    """Whatever the moments of the kills: only checkpoints before them are on disk."""
    directory = tmp_path_factory.mktemp("kills")
    captured: list[str] = []
    for dies_at in [*kills, None]:
        taker = Taker()
        taker.dies_at = dies_at
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
            patch.setattr(run, "EVERY_ROWS", 7)
            importer(directory, taker).run(rows(total, bad))
        captured += taker.ids
    ids = MessageIds("d")
    good = [n for n in range(1, total + 1) if n not in bad]
    assert set(captured) == {ids.of(n, "track", "E") for n in good}
    found = [entry["row"] for entry in rejected(directory)]
    assert sorted(found) == sorted(bad & set(range(1, total + 1)))


def test_the_checkpoint_is_never_ahead_of_the_journal(tmp_path: Path) -> None:
    """At each save the rows it counts were taken already."""
    taker = Taker()
    seen: list[tuple[int, int]] = []

    def watch(progress: Progress) -> None:
        saved = Checkpoint(tmp_path / "imports" / "one.json").load()
        seen.append((saved.accepted if saved else 0, len(taker.ids)))
        assert progress.accepted >= seen[-1][0]

    importer(tmp_path, taker, watch=watch).run(rows(run.EVERY_ROWS * 3 + 7))
    assert len(seen) == 4
    assert all(saved <= captured for saved, captured in seen)


def test_a_full_journal_makes_the_import_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row that found no room is captured once there is some, and no other is lost."""
    waits: list[float] = []
    monkeypatch.setattr(run.time, "sleep", waits.append)
    taker = Taker()
    taker.full = 3
    progress = importer(tmp_path, taker).run(rows(5))
    assert waits == [run.FULL_S] * 3
    assert (progress.accepted, progress.rejected) == (5, 0)
    assert len(set(taker.ids)) == 5


def test_a_limit_stops_after_that_row_and_leaves_the_rest_for_later(tmp_path: Path) -> None:
    """Trying ten rows first costs nothing: the next run goes on at the eleventh."""
    taker = Taker()
    progress = importer(tmp_path, taker).run(rows(25), limit=10)
    assert (progress.rows, progress.complete) == (10, False)
    progress = importer(tmp_path, taker).run(rows(25))
    assert (progress.rows, progress.complete) == (25, True)
    assert len(taker.ids) == len(set(taker.ids)) == 25


def test_rows_that_come_again_are_not_rejected_twice(tmp_path: Path) -> None:
    """What was written after the checkpoint is cut off before the rows are written again."""
    importer(tmp_path, Taker()).run(rows(5, frozenset({1})))
    path = tmp_path / "rejects.jsonl"
    kept = path.stat().st_size
    path.write_bytes(path.read_bytes() + b'{"row":9}\n')
    Rejects(path, kept).close()
    assert [entry["row"] for entry in rejected(tmp_path)] == [1]


def test_rejected_rows_are_for_the_users_eyes_only(tmp_path: Path) -> None:
    """They are personal data."""
    importer(tmp_path, Taker()).run(rows(1, frozenset({1})))
    assert (tmp_path / "rejects.jsonl").stat().st_mode & 0o777 == 0o600


def test_no_rejects_no_file(tmp_path: Path) -> None:
    """An empty file would only raise a question."""
    importer(tmp_path, Taker()).run(rows(3))
    assert not (tmp_path / "rejects.jsonl").exists()


# -- checkpoints ---------------------------------------------------------------------------


def test_a_checkpoint_belongs_to_one_process(tmp_path: Path) -> None:
    """Two imports of one file at once would fight over it."""
    path = tmp_path / "imports" / "one.json"
    with Checkpoint(path):
        with pytest.raises(Busy), Checkpoint(path):
            pass
        assert path.parent.stat().st_mode & 0o777 == 0o700
    with Checkpoint(path) as free:
        free.save(Progress(file="f", digest="d"))
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"\x00" * 100])
def test_a_broken_checkpoint_starts_the_import_over(tmp_path: Path, content: bytes) -> None:
    """Slower, and just as right: the ids are the same."""
    (tmp_path / "one.json").write_bytes(content)
    assert Checkpoint(tmp_path / "one.json").load() is None


def test_after_a_reboot_only_what_was_settled_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal's last pages may not have reached the disk, so the rows are captured again."""
    checkpoint = Checkpoint(tmp_path / "one.json")
    progress = Progress(file="f", digest="d", rows=5, complete=True)
    checkpoint.save(progress)
    assert checkpoint.load() == progress
    monkeypatch.setattr("penstock.importing.checkpoint.boot_id", lambda: "another")
    assert checkpoint.load() is None
    progress.settled = True
    checkpoint.save(progress)
    monkeypatch.setattr("penstock.importing.checkpoint.boot_id", lambda: "a third")
    assert checkpoint.load() == progress


# -- pace ----------------------------------------------------------------------------------


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@pytest.mark.parametrize("rate", [0.5, 3, 50, 1000, 250_000])
def test_a_pace_holds_its_rate(rate: float) -> None:
    """So many turns take so many seconds, to within the grain of a sleep."""
    clock = Time()
    pace = Pace(rate, clock, clock.sleep)
    turns = max(10, int(rate * 3))
    for _ in range(turns):
        pace.wait()
    assert clock.now - 100.0 == pytest.approx((turns - 1) / rate, abs=0.05)


def test_lost_time_is_not_made_up_for_by_a_burst() -> None:
    """After a pause the receiver is not hit with what the pause saved."""
    clock = Time()
    pace = Pace(100, clock, clock.sleep)
    pace.wait()
    clock.now += 60
    start = clock.now
    for _ in range(100):
        pace.wait()
    assert clock.now - start > 0.9


@pytest.mark.parametrize(
    ("text", "rate"),
    [("500", 500), ("500/s", 500), ("0.5/s", 0.5), ("30000/m", 500), ("3600/h", 1)],
)
def test_a_rate_has_a_unit_of_time(text: str, rate: float) -> None:
    """A second unless it says a minute or an hour."""
    assert rate_from(text) == rate


@pytest.mark.parametrize("text", ["", "0", "-1", "fast", "5/d", "1e3", "5/"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    """Zero would never end."""
    with pytest.raises(ValueError, match="is not a rate"):
        rate_from(text)


def test_a_paced_import_saves_its_checkpoint_by_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At ten rows a second nobody waits for the thousandth."""
    ticks = count(start=0.0, step=0.25)
    monkeypatch.setattr(run.time, "monotonic", lambda: next(ticks))
    saved: list[int] = []
    pace = Pace(1e9, sleep=lambda _: None)
    work = importer(
        tmp_path, Taker(), pace=pace, watch=lambda progress: saved.append(progress.rows)
    )
    work.run(rows(20))
    assert len(saved) > 3
