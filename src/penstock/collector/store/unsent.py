"""
What outboxes hold of a user: events that wait, and dead letters.

A lane is a few segments of records. Nobody may hold it meanwhile, so whoever delivers it lends it
out and opens it again. The user's records are overwritten with zeros, whether they were delivered
or not: to every reader they are damaged, which hides no other record. Each that was not settled is
counted ``dead(corrupt)``, or is forgotten where no other comes after it. A record is overwritten in
one write, and what lies between records is no record of anybody: so done a second time after a
crash, nothing is left either.

Letters go before the records and after them: a replay turns letters into records, and closing an
outbox may turn records into letters.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from errno import EBUSY
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import orjson

from penstock.errors import JournalError
from penstock.journal import letters
from penstock.journal._locks import FileLock
from penstock.journal._segment import SEGMENT_HEADER_BYTES, SUFFIX
from penstock.journal.disk import LANE_PREFIX, MAKING_PREFIX
from penstock.journal.record import ALIGN, HEADER, HEADER_BYTES, MAGIC, checksum, next_magic, seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    #: Takes an outbox out of the hands of whoever delivers it; nobody has its lanes meanwhile.
    Lend = Callable[[Path], AbstractContextManager[None]]


class Unsent(NamedTuple):
    """How much of a user was in the outboxes."""

    #: Records, delivered ones that were still there included.
    records: int
    letters: int


class _Ids(msgspec.Struct, rename="camel"):
    user_id: str | None = None
    anonymous_id: str | None = None
    previous_id: str | None = None


class _Letter(msgspec.Struct):
    message: _Ids


_ids = msgspec.json.Decoder(_Ids)
_letter = msgspec.json.Decoder(_Letter)


def unlent(_journal: Path) -> AbstractContextManager[None]:
    """For a store whose outboxes nobody has open."""
    return nullcontext()


def erase(outbox: Path, user: str, lend: Lend) -> Unsent:
    """
    Erase what all outboxes hold of a user.

    Args:
        outbox: Where they are.
        user: A user id or an anonymous id.
        lend: See `Lend`.

    Raises:
        OSError: The disk is failing, or somebody else has an outbox now: do it again later.
    """
    records = dead = 0
    for journal in sorted(outbox.iterdir()) if outbox.is_dir() else ():
        if journal.is_dir():
            dead += _remove_letters(journal, user)
            if any(_holds(segment, user) for segment in _segments(journal)):
                with lend(journal):
                    records += sum(_erase_lane(lane, user) for lane in _lanes(journal))
                dead += _remove_letters(journal, user)
    return Unsent(records, dead)


# -- letters -----------------------------------------------------------------------------------


def _remove_letters(journal: Path, user: str) -> int:
    try:
        return letters.remove(journal, lambda line: _is_letter_of(line, user))
    except JournalError as error:
        raise OSError(EBUSY, str(error)) from error


def _is_letter_of(line: bytes, user: str) -> bool:
    """Of a line that cannot be read, for it was cut off, any mention counts."""
    if _quoted(user)[1:-1] not in line:
        return False
    try:
        return user in msgspec.structs.astuple(_letter.decode(line).message)
    except msgspec.MsgspecError:
        return True


def _quoted(user: str) -> bytes:
    """The id as everything in an outbox has it: as our own JSON writes it."""
    return orjson.dumps(user)


# -- records -----------------------------------------------------------------------------------


def _lanes(journal: Path) -> list[Path]:
    """Also those that a replay began and did not finish."""
    return sorted([*journal.glob(f"{LANE_PREFIX}*"), *journal.glob(f"{MAKING_PREFIX}*")])


def _segments(journal: Path) -> Iterator[Path]:
    for lane in _lanes(journal):
        yield from sorted(lane.glob(f"*{SUFFIX}"))


def _holds(segment: Path, user: str) -> bool:
    try:
        return _quoted(user) in segment.read_bytes()
    except FileNotFoundError:  # delivered, and gone
        return False


def _erase_lane(lane: Path, user: str) -> int:
    try:
        lock = FileLock.acquire(lane / "lock")
    except FileNotFoundError:  # delivered, and gone
        return 0
    if lock is None:
        raise OSError(EBUSY, f"somebody else has {lane.name}")
    try:
        return sum(_erase(segment, user) for segment in sorted(lane.glob(f"*{SUFFIX}")))
    finally:
        lock.release()


def _erase(segment: Path, user: str) -> int:
    data = bytearray(segment.read_bytes())
    if _quoted(user) not in data:
        return 0
    count = end = 0
    fd = os.open(segment, os.O_RDWR)
    try:
        for start, stop, payload in (*_records(data), (len(data), len(data), b"")):
            _clear(fd, data, max(end, SEGMENT_HEADER_BYTES), start)
            end = stop
            if _is_record_of(payload, user):
                _clear(fd, data, start, stop)
                count += 1
        os.fsync(fd)
    finally:
        os.close(fd)
    return count


def _clear(fd: int, data: bytearray, start: int, stop: int) -> None:
    if any(data[start:stop]):
        os.pwrite(fd, bytes(stop - start), start)


def _is_record_of(payload: bytes, user: str) -> bool:
    if _quoted(user) not in payload:
        return False
    try:
        return user in msgspec.structs.astuple(_ids.decode(payload))
    except msgspec.MsgspecError:
        return False


def _records(data: bytearray) -> Iterator[tuple[int, int, bytes]]:
    """``(start, end, payload)`` of the records in a segment whose checksums hold."""
    offset = SEGMENT_HEADER_BYTES
    while offset + HEADER_BYTES <= len(data):
        magic, kind, flags, length, crc, captured_at, ordinal = HEADER.unpack_from(data, offset)
        stop = offset + HEADER_BYTES + length
        payload = bytes(data[offset + HEADER_BYTES : stop])
        whole = magic == MAGIC and ordinal > 0 and stop <= len(data)
        if whole and crc == seal(checksum(payload), kind, flags, length, captured_at, ordinal):
            yield offset, stop, payload
            offset = (stop + ALIGN - 1) & -ALIGN
        else:
            offset = next_magic(data, offset + ALIGN, len(data))
