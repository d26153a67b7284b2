"""
The request log: what was answered with 200 is here, on the disk.

It is the journal's format (segments of records, see docs/journal.md) under another sync policy. The
client's lane survives the death of its process; this one also survives power loss, because
`sync` comes before the answer. It differs from `penstock.journal.lane.Lane` in three ways: it
never goes on in memory when the disk fails (the answer is 503 then), it is read and cleaned up
by another process (the pipeline), and after a failed sync it is given up, since the kernel may
have dropped the pages: asking the same file again would be told a comforting lie.

    STORE/log/
        lane-<UUIDv7>/       one per ingest worker and start, oldest name first
            lock             held (flock) while the worker lives
            00000001.seg ...
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Protocol

from uuid_utils import uuid7

from penstock.journal._locks import FileLock
from penstock.journal._segment import (
    SEGMENT_HEADER_BYTES,
    SUFFIX,
    allocate,
    segment_header,
)
from penstock.journal.record import HEADER, HEADER_BYTES, MAGIC, checksum, seal, span

if TYPE_CHECKING:
    from pathlib import Path

#: The record kind of a whole request; message kinds are all below 64.
REQUEST = 64
LANE_PREFIX = "lane-"
MAKING_PREFIX = "new-"
LOCK_NAME = "lock"
SEGMENT_BYTES = 16 * 1024 * 1024
_PAGE = 4096
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)


class RequestLog(Protocol):
    """The writing half of a log. `append` is called from one thread, `sync` from another."""

    def append(self, payload: bytes, received_at: int) -> int:
        """
        Write one request; it is not safe before the next `sync`.

        Args:
            payload: See `penstock.collector.log.entry`.
            received_at: Seconds since 1970.

        Returns:
            Its ordinal, from 1.

        Raises:
            OSError: It cannot be written; nothing of it counts.
        """
        ...

    def sync(self) -> None:
        """
        Have the disk hold everything appended before this call.

        Raises:
            OSError: The disk refused: close this log and open another.
        """
        ...

    def close(self) -> None:
        """Let go of files and lock. What was appended stays."""
        ...


class LaneLog:
    """
    A request log in a lane directory of its own.

    Args:
        directory: The store's ``log``; made when missing.
        limit_bytes: The log may take this much in all, other lanes included; then `append`
            raises `OSError`. It fills when the pipeline falls behind.
        segment_bytes: Size of one segment file.
    """

    def __init__(
        self, directory: Path, *, limit_bytes: int, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self._directory = directory
        self._limit_bytes = limit_bytes
        self._segment_bytes = segment_bytes
        self._fd = -1
        self._size = self._tail = 0
        self._ordinal = self._number = 0
        self._unsynced: set[int] = set()
        self._guard = threading.Lock()
        self.path, self._lock = _make_lane(directory)

    def append(self, payload: bytes, received_at: int) -> int:
        """Write one request in a single system call."""
        length = len(payload)
        size = span(length)
        if self._tail + size > self._size:
            self._roll(size)
        ordinal = self._ordinal + 1
        crc = seal(checksum(payload), REQUEST, 0, length, received_at, ordinal)
        header = HEADER.pack(MAGIC, REQUEST, 0, length, crc, received_at, ordinal)
        written = os.pwritev(self._fd, (header, payload), self._tail)
        if written != HEADER_BYTES + length:
            raise OSError("a log record was written only in part")
        self._tail += size
        self._ordinal = ordinal
        return ordinal

    def sync(self) -> None:
        """Flush the segments written since the last call, and a new one's directory entry."""
        with self._guard:
            rolled, self._unsynced = self._unsynced, set()
            current = self._fd
        try:
            for fd in rolled:
                os.fsync(fd)
            if rolled:
                sync_directory(self.path)
            if current != -1:
                _sync_data(current)
        except OSError:
            with self._guard:
                self._unsynced |= rolled  # for `close`
            raise
        for fd in rolled - {current}:
            os.close(fd)

    def close(self) -> None:
        """Release the lane: the pipeline seals what is in it and removes it."""
        with self._guard:
            held = {*self._unsynced, self._fd} - {-1}
            self._unsynced, self._fd, self._size = set(), -1, 0
        for fd in held:
            os.close(fd)
        self._lock.release()

    def _roll(self, size: int) -> None:
        """Begin a segment that has room for *size* bytes."""
        needed = SEGMENT_HEADER_BYTES + size
        length = max(self._segment_bytes, (needed + _PAGE - 1) & -_PAGE)
        if used_bytes(self._directory) + length > self._limit_bytes:
            raise OSError(f"the request log has reached its {self._limit_bytes} bytes")
        number = self._number + 1
        fd = self._create(number, length)
        with self._guard:
            previous, self._fd = self._fd, fd
            # Its last records may still be waiting for a sync, and so is the new file's name.
            self._unsynced |= {previous, fd} - {-1}
        self._number, self._size, self._tail = number, length, SEGMENT_HEADER_BYTES

    def _create(self, number: int, length: int) -> int:
        path = self.path / f"{number:08d}{SUFFIX}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _CLOEXEC, 0o600)
        try:
            allocate(fd, length)
            os.pwrite(fd, segment_header(self._ordinal + 1), 0)
        except BaseException:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        return fd


def _make_lane(directory: Path) -> tuple[Path, FileLock]:
    """
    Make and lock a lane; it gets its final name locked, so nobody takes it for a dead one.

    Raises:
        OSError: The directory cannot be made or written.
    """
    make_directory(directory)
    for above in (directory.parent, directory.parent.parent):  # others may have made them just now
        with contextlib.suppress(PermissionError):
            sync_directory(above)
    identity = str(uuid7())
    making = directory / f"{MAKING_PREFIX}{identity}"
    making.mkdir(mode=0o700)
    lock = FileLock.acquire(making / LOCK_NAME)
    if lock is None:
        raise OSError("the new lane was locked by another process")
    path = making.rename(directory / f"{LANE_PREFIX}{identity}")
    sync_directory(directory)
    return path, lock


def _sync_data(fd: int) -> None:
    """Flush a file's data; not every system can leave its times out."""
    getattr(os, "fdatasync", os.fsync)(fd)


def used_bytes(directory: Path) -> int:
    """Bytes all segments below *directory* take."""
    total = 0
    for path in directory.glob(f"{LANE_PREFIX}*/*{SUFFIX}"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # sealed and removed meanwhile
            continue
    return total


def make_directory(path: Path) -> None:
    """Make a directory; each new name must survive power loss too."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive power loss."""
    fd = os.open(path, os.O_RDONLY | _CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
