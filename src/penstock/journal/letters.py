"""
Dead letters from outside: read them, and put them back into the journal.

Nothing is lost at any moment of a replay. The letters' file gets a name of its own first, so that
whoever writes letters starts another one; then the events go into a new lane, which counts once
it is renamed; and only then are the letters removed. Who dies in between leaves letters that
were replayed already: replaying them again sends the same message ids again.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import orjson
from uuid_utils import uuid7

from penstock.errors import JournalError
from penstock.journal._budget import Budget
from penstock.journal._dead import CURRENT, PATTERN, PREVIOUS, DeadLetter
from penstock.journal._lines import append
from penstock.journal._locks import FileLock, held_alone, unlock
from penstock.journal._segment import DiskStore
from penstock.journal.disk import LANE_PREFIX, MAKING_PREFIX, ONLY
from penstock.journal.lane import Lane
from penstock.kinds import BY_WIRE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

#: Held by who takes letters out.
_LOCK = "replay.lock"
#: Seconds to wait for somebody who is adding letters this moment.
_PATIENCE_S = 2.0
_TICK_S = 0.002
#: A replay is bounded by the letters there are, which are bounded themselves.
_NO_CAP = 1 << 50
#: Where a collector's store has its journals: see `penstock.collector.layout`.
_OUTBOX = "outbox"


class Wanted(NamedTuple):
    """Which letters; what is None or empty lets all pass."""

    destination: str | None = None
    reason: str | None = None
    #: Died at or after this, seconds since 1970.
    since: float | None = None
    #: Died before this.
    before: float | None = None
    #: Message ids, or how they begin.
    ids: tuple[str, ...] = ()

    def takes(self, found: Found) -> bool:
        """Whether *found* is one of them."""
        letter = found.letter
        return (
            self.destination in (None, letter.destination)
            and self.reason in (None, letter.reason)
            and (self.since is None or letter.died_at >= self.since)
            and (self.before is None or letter.died_at < self.before)
            and (not self.ids or found.message_id.startswith(self.ids))
        )


ALL = Wanted()


class Found(NamedTuple):
    """A letter, and where it is."""

    #: The journal directory.
    journal: Path
    #: As it lies in the file.
    line: bytes
    letter: DeadLetter
    message_id: str
    #: What the message is, and its name: ``track``, ``Order Completed``.
    type: str
    event: str


class Replayed(NamedTuple):
    """What became of the letters wanted in one journal."""

    journal: Path
    #: ``{destination name: letters put back}``; two letters of one event count once.
    put_back: dict[str, int]
    #: Letters that do not say whose they are.
    skipped: int


class _Message(msgspec.Struct, rename="camel"):
    message_id: str = ""
    type: str = ""
    event: str | None = None
    name: str | None = None


class _Line(msgspec.Struct):
    destination: str
    reason: str
    died_at: float
    message: msgspec.Raw
    status: int | None = None
    detail: str = ""
    attempts: int = 0
    identity: str = ""
    kind: int = 0
    flags: int = 0


_line = msgspec.json.Decoder(_Line)
_message = msgspec.json.Decoder(_Message)


def find(directory: Path, wanted: Wanted = ALL) -> list[Found]:
    """
    The dead letters under *directory*, oldest first.

    Args:
        directory: A journal, a root that holds several (``PENSTOCK_JOURNAL``), or a collector's
            store.
        wanted: Which of them.
    """
    found = [one for journal in journals(directory) for one in _in_journal(journal)]
    return sorted((x for x in found if wanted.takes(x)), key=lambda x: x.letter.died_at)


def journals(directory: Path) -> list[Path]:
    """The journal directories under *directory* that have dead letters."""
    top = directory / _OUTBOX
    top = top if top.is_dir() else directory
    return sorted({path.parent for path in top.rglob(PATTERN)})


def _in_journal(journal: Path) -> list[Found]:
    """Each letter once: while some are taken out, a line may be in two files."""
    return _in_files(journal, sorted(journal.glob(PATTERN)))


def _in_files(journal: Path, paths: Iterable[Path]) -> list[Found]:
    lines: dict[bytes, None] = {}
    for path in paths:
        lines.update(dict.fromkeys(_lines(path)))
    return [found for line in lines if (found := _parsed(journal, line)) is not None]


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []


def _parsed(journal: Path, line: bytes) -> Found | None:
    """The letter in *line*; None when it is torn."""
    try:
        fields = _line.decode(line)
        message = _message.decode(fields.message)
    except msgspec.MsgspecError:
        return None
    letter = DeadLetter(
        fields.destination,
        fields.reason,
        fields.status,
        fields.detail,
        fields.died_at,
        bytes(fields.message),
        fields.attempts,
        fields.identity,
        fields.kind or BY_WIRE.get(message.type, 0),
        fields.flags,
    )
    event = message.event or message.name or ""
    return Found(journal, line, letter, message.message_id, message.type, event)


# -- putting back ------------------------------------------------------------------------------


def replay(directory: Path, wanted: Wanted = ALL) -> list[Replayed]:
    """
    Put dead letters back into their journals.

    Each event gets its message id again and goes to the destination it died for, to no other; its
    age counts from now. The next process with that journal adopts and delivers it.

    Returns:
        One entry per journal that had any.

    Raises:
        JournalError: Another process is replaying there.
        OSError: The disk refused; the letters are still there.
    """
    there = {found.journal for found in find(directory, wanted)}
    return [_replay(journal, wanted) for journal in sorted(there)]


def _replay(journal: Path, wanted: Wanted) -> Replayed:
    lock = FileLock.acquire(journal / _LOCK)
    if lock is None:
        raise JournalError(f"another process replays letters of {journal}")
    try:
        taken = [_taken(path) for path in sorted(journal.glob(PATTERN))]
        chosen = [x for x in _in_files(journal, taken) if wanted.takes(x)]
        usable = [x for x in chosen if x.letter.identity and x.letter.kind]
        put_back = _put_back(journal, usable)
        gone = {found.line for found in usable}
        for path in taken:
            _leave(path, gone)
        return Replayed(journal, put_back, len(chosen) - len(usable))
    finally:
        lock.release()


def remove(journal: Path, unwanted: Callable[[bytes], bool]) -> int:
    """
    Remove letters for good.

    Who dies in between leaves each letter in one file or in two; asked again, it goes on.

    Args:
        journal: The journal directory.
        unwanted: Says it of a line as it lies in the file; it may be torn.

    Returns:
        How many lines went.

    Raises:
        JournalError: Another process takes letters out.
        OSError: The disk refused.
    """
    if not any(any(map(unwanted, _lines(path))) for path in journal.glob(PATTERN)):
        return 0
    lock = FileLock.acquire(journal / _LOCK)
    if lock is None:
        raise JournalError(f"another process replays letters of {journal}")
    try:
        gone = set()
        for path in [_taken(path) for path in sorted(journal.glob(PATTERN))]:
            gone |= (found := set(filter(unwanted, _lines(path))))
            _leave(path, found)
        _sync(journal)
        return len(gone)
    finally:
        lock.release()


def _taken(path: Path) -> Path:
    """The file under a name nobody writes to; returns once nobody does."""
    if path.name in {CURRENT, PREVIOUS}:
        path = path.rename(path.with_name(f"dead.taken.{uuid7()}.jsonl"))
    with _alone(path):
        return path


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    deadline = time.monotonic() + _PATIENCE_S
    try:
        while not held_alone(fd):
            if time.monotonic() > deadline:
                raise JournalError(f"somebody holds {path}")
            time.sleep(_TICK_S)
        yield
        unlock(fd)
    finally:
        os.close(fd)


def _put_back(journal: Path, letters: Sequence[Found]) -> dict[str, int]:
    """A new lane per destination; ``{name: events}``."""
    by_identity: dict[str, dict[str, Found]] = {}
    for found in letters:
        by_identity.setdefault(found.letter.identity, {})[found.message_id] = found
    counts: dict[str, int] = {}
    for identity, by_id in by_identity.items():
        name = next(iter(by_id.values())).letter.destination
        write_lane(journal, identity, name, [found.letter for found in by_id.values()])
        counts[name] = counts.get(name, 0) + len(by_id)
    return counts


def write_lane(journal: Path, identity: str, name: str, letters: Sequence[DeadLetter]) -> None:
    """
    Make a lane with *letters* that is for one destination alone, and leave it for adoption.

    Raises:
        OSError: The disk refused; there is no lane.
    """
    making = journal / f"{MAKING_PREFIX}{uuid7()}"
    making.mkdir(mode=0o700)
    lock = FileLock.acquire(making / "lock")
    lane = Lane(lambda: DiskStore(making), Budget(_NO_CAP), {identity: name}, on_degraded=_refuse)
    now = int(time.time())
    for letter in letters:
        lane.append(letter.kind, letter.flags, now, letter.message)
    lane.sync()
    lane.close()
    (making / ONLY).write_bytes(orjson.dumps([identity]))
    _sync(making / ONLY)  # a lane without it would be for everybody
    _sync(making)
    making.rename(making.with_name(LANE_PREFIX + making.name.removeprefix(MAKING_PREFIX)))
    _sync(journal)
    if lock is not None:
        lock.release()


def _refuse(error: OSError) -> None:
    """Memory would be no place for what is to outlive this process."""
    raise error


def _leave(path: Path, gone: set[bytes]) -> None:
    """Remove *path*; what is not *gone* is a letter still."""
    rest = [x for x in path.read_bytes().splitlines(keepends=True) if x not in gone]
    if rest:
        current = path.with_name(CURRENT)
        append(current, b"".join(x if x.endswith(b"\n") else x + b"\n" for x in rest))
        _sync(current)
    path.unlink()


def _sync(path: Path) -> None:
    """Have the disk hold a file or a directory's entries."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except (FileNotFoundError, PermissionError):  # rotated meanwhile; Windows opens no directory
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
