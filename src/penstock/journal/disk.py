"""
The journal on disk: a directory of lanes, one per live process, and what dead ones left.

    ROOT/<digest of the destinations>/          0700
        lane-<UUIDv7>/                          0700
            lock                                held (flock) while the owner lives
            00000001.seg ...                    records, see `penstock.journal.record`
            cursor-<destination>                place and account of one destination
            lane                                what was refused before it became a record
            only                                who it is for, when not for all (a replay)
        retired.jsonl                           one line per lane that was delivered and removed
        dead*.jsonl                             dead letters

A lane is made under another name, locked, and only then renamed, so that nobody adopts it
before its owner holds the lock. Whoever gets the lock of a lane whose owner died owns it.
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import orjson
from uuid_utils import uuid7

from penstock.errors import JournalError
from penstock.journal._budget import Budget
from penstock.journal._dead import DeadLetter, DeadLetters
from penstock.journal._lines import append
from penstock.journal._locks import FileLock
from penstock.journal._segment import DiskStore, sync_path
from penstock.journal.lane import Lane
from penstock.journal.ledger import Ledger
from penstock.journal.memory import lane_ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

LANE_PREFIX = "lane-"
MAKING_PREFIX = "new-"
_GONE_PREFIX = "gone-"
#: A file with the identities of the destinations a lane is for, when it is not for all.
ONLY = "only"
#: Nobody needs this many seconds to make a lane.
_MAKING_S = 60.0
RETIRED = "retired.jsonl"


class DiskJournal:
    """
    A journal directory as one process sees it: its own lane and those it adopted.

    Args:
        directory: Made when the first event comes.
        destinations: ``{identity: name}``.
        max_bytes: The cap on all lanes of the directory.
        max_age: Age limit in seconds; here for the dead-letter files.
        on_wake: See `Lane`.
        on_degraded: Called once when the directory cannot be used; the lane is in memory then.
        on_refused: Called with the name of a lane that cannot be adopted, and why.
        synced: Whether the account is to survive a power loss as well; see `Lane`.
    """

    def __init__(
        self,
        directory: Path,
        destinations: Mapping[str, str],
        *,
        max_bytes: int,
        max_age: float,
        on_wake: Callable[[], None] = lambda: None,
        on_degraded: Callable[[OSError], None] = lambda _error: None,
        on_refused: Callable[[str, Exception], None] = lambda _lane, _error: None,
        synced: bool = False,
    ) -> None:
        self._on_refused = on_refused
        self._synced = synced
        self.directory = directory
        self.destinations = dict(destinations)
        self._budget = Budget(max_bytes)
        self._dead = DeadLetters(directory, max_bytes=max_bytes // 8, max_age=max_age)
        self._locks: dict[Lane, FileLock] = {}
        self._paths: dict[Lane, Path] = {}
        self._adopted: list[Lane] = []
        self._retired = Ledger()
        self._final: Ledger | None = None
        self.lane = Lane(
            self._open_lane,
            self._budget,
            self.destinations,
            on_wake=on_wake,
            on_degraded=on_degraded,
            keep_aside=self._keep_aside,
            synced=synced,
        )

    # -- lanes -----------------------------------------------------------------------------

    def _open_lane(self) -> DiskStore:
        """
        Make this process's lane.

        Raises:
            OSError: The directory cannot be made or written.
        """
        make_private(self.directory)
        self._budget.found(self._used_bytes())
        self._dead.expire()
        path, lock = self._make_lane()
        self._locks[self.lane] = lock
        self._paths[self.lane] = path
        return DiskStore(path)

    def _keep_aside(self, call: tuple[int, int, int, bytes]) -> None:
        """
        Store an event for which the lane itself cannot be used now.

        It gets a lane of its own, left as a dead process leaves one: whoever adopts next, this
        process at its next flush among them, delivers it.

        Raises:
            OSError: The directory cannot be written.
        """
        make_private(self.directory)
        path, lock = self._make_lane()
        # A budget of its own: the lock of the shared one may be held by what was interrupted.
        lane = Lane(lambda: DiskStore(path), Budget(self._budget.limit), self.destinations)
        try:
            lane.append(*call)
            lane.sync()
            if not lane.durable:
                raise OSError("the event could only be kept in memory")
        finally:
            lane.close()
            lock.release()

    def _make_lane(self) -> tuple[Path, FileLock]:
        """
        Make the directory of a lane, locked before anybody can find it.

        Raises:
            OSError: It cannot be made.
        """
        identity = str(uuid7())
        making = self.directory / f"{MAKING_PREFIX}{identity}"
        making.mkdir(mode=0o700)
        lock = FileLock.acquire(making / "lock")
        if lock is None:
            raise OSError("the new lane was locked by another process")
        return making.rename(self.directory / f"{LANE_PREFIX}{identity}"), lock

    def adopt(self) -> list[Lane]:
        """
        Take over the lanes of dead processes.

        Returns:
            The lanes that were not held before; an empty one is removed at once.
        """
        found = [lane for path in self._lane_paths() if (lane := self._adopt(path)) is not None]
        self._adopted += found
        with suppress(OSError):  # no descriptor free, or no directory any more: next time
            self._sweep()
            self._budget.found(self._used_bytes())
        return found

    def _sweep(self) -> None:
        """Remove what a process left that died while it made or removed a lane: no events."""
        for path in self.directory.glob(f"{_GONE_PREFIX}*"):
            shutil.rmtree(path, ignore_errors=True)
        for path in self.directory.glob(f"{MAKING_PREFIX}*"):
            try:
                old = time.time() - path.stat().st_mtime > _MAKING_S
                lock = FileLock.acquire(path / "lock") if old else None
            except OSError:
                continue
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                lock.release()

    def _lane_paths(self) -> list[Path]:
        held = set(self._paths.values())
        try:
            entries = sorted(self.directory.iterdir())
        except OSError:  # not there, not ours, or no descriptor free
            return []
        return [p for p in entries if p.name.startswith(LANE_PREFIX) and p not in held]

    def _adopt(self, path: Path) -> Lane | None:
        try:
            lock = FileLock.acquire(path / "lock")  # a power loss may have taken the file
        except OSError:  # removed meanwhile, or not ours to open
            return None
        if lock is None:
            return None
        lane = Lane(lambda: DiskStore(path), self._budget, self.destinations, synced=self._synced)
        try:
            lane.adopt(DiskStore(path))
            confine(lane, path, self.destinations)
        except OSError:  # no descriptor or memory free, or the disk is full: next time
            lock.release()
            return None
        except JournalError as error:  # must not keep the others waiting
            lock.release()
            self._on_refused(path.name, error)
            return None
        except BaseException:
            lock.release()
            raise
        self._locks[lane] = lock
        self._paths[lane] = path
        return lane

    def retire(self, lane: Lane) -> bool:
        """
        Remove *lane* if every destination has settled everything in it.

        Its account goes to ``retired.jsonl`` first; a crash in between leaves the line and the
        lane, and whoever reads the ledger counts a lane that has a line once. The directory is
        renamed before it is emptied: nobody adopts half of a lane. Where the disk refuses, the
        lane stays for another process to remove.
        """
        path = self._paths.get(lane)
        if path is None or has_pending(lane, self.destinations):
            return False
        account = lane_ledger(lane, self.destinations)
        try:
            self._write_retired(path.name, account)
        except OSError:
            return False
        self._retired += account
        lane.close()
        with suppress(OSError):
            gone = path.rename(path.with_name(f"{_GONE_PREFIX}{path.name}"))
            if self._synced:
                sync_path(self.directory)
            shutil.rmtree(gone, ignore_errors=True)
        self._forget(lane)
        return True

    def _write_retired(self, name: str, account: Ledger) -> None:
        line = orjson.dumps({"lane": name, **account.to_dict()}, option=orjson.OPT_APPEND_NEWLINE)
        append(self.directory / RETIRED, line)
        if self._synced:
            sync_path(self.directory / RETIRED)

    def _forget(self, lane: Lane) -> None:
        self._paths.pop(lane, None)
        lock = self._locks.pop(lane, None)
        if lock is not None:
            lock.release()
        if lane in self._adopted:
            self._adopted.remove(lane)

    def _used_bytes(self) -> int:
        total = 0
        for path in self.directory.glob(f"{LANE_PREFIX}*"):
            with suppress(FileNotFoundError):  # retired by its owner meanwhile
                total += sum(entry.stat().st_size for entry in path.glob("*.seg"))
        return total

    # -- account ---------------------------------------------------------------------------

    def held(self) -> dict[str, Lane]:
        """The lanes that are this process's now, by the names of their directories."""
        return {path.name: lane for lane, path in self._paths.copy().items()}

    def bury(self, letters: list[DeadLetter]) -> None:
        """
        Keep dead letters.

        Raises:
            OSError: The disk refused; the letters are counted all the same.
        """
        self._dead.add(letters)

    def ledger(self) -> Ledger:
        """This process's own lane and the lanes it adopted, retired ones included."""
        if self._final is not None:
            return self._final
        lanes = [lane_ledger(lane, self.destinations) for lane in [self.lane, *self._adopted]]
        return sum(lanes, self._retired)

    # -- end -------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of every lane; one with nothing pending is removed, others wait for adoption."""
        self._final = self.ledger()
        for lane in [self.lane, *self._adopted]:
            lane.stop()
            if lane.opened and not self.retire(lane):
                lane.close()
                self._forget(lane)

    def abandon(self, *, hand_over: bool = False) -> None:
        """
        After a fork: lanes and locks are the parent's; drop the copies.

        Args:
            hand_over: The parent will neither append nor deliver any more: unlock its lanes, for
                the first who looks to adopt.
        """
        for lock in self._locks.values():
            if hand_over:
                lock.release()
            else:
                lock.abandon()
        self._locks.clear()
        self._paths.clear()
        self._adopted.clear()


def has_pending(lane: Lane, destinations: Mapping[str, str]) -> bool:
    """Whether any of *destinations* still has something to do in *lane*."""
    return any(lane.account(identity).pending for identity in destinations)


def confine(lane: Lane, path: Path, destinations: Iterable[str]) -> None:
    """Settle an adopted lane for those of *destinations* that it is not for."""
    try:
        only = orjson.loads((path / ONLY).read_bytes())
    except FileNotFoundError:
        return
    for identity in destinations:
        if identity not in only:
            lane.cursor(identity).exclude_rest(lane.last_ordinal)


def make_private(directory: Path) -> None:
    """
    Make *directory* and its missing parents, 0700 each.

    Raises:
        OSError: It cannot be made, or not be written.
    """
    missing = []
    while not directory.exists():
        missing.append(directory)
        directory = directory.parent
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
