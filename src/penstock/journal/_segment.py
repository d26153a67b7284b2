"""
Segments: fixed-size buffers of records, on disk (mmap) or in memory, behind one interface.

A segment starts with a 32-byte header, then records. Whatever follows the last record is zero,
because segments are never reused: a store makes each one fresh and deletes it when every
cursor has passed.

    offset  size  field
    0       8     ``PENSTOCK``
    8       2     format version, 1
    10      6     zero
    16      8     ordinal the first record will have
    24      4     CRC-32 of the bytes before
    28      4     zero
"""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from penstock.errors import JournalError
from penstock.journal.record import checksum, scan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Buffer = mmap.mmap | bytearray

SEGMENT_HEADER = struct.Struct("<8sH6xQI4x")
SEGMENT_HEADER_BYTES = SEGMENT_HEADER.size
SEGMENT_MAGIC = b"PENSTOCK"
FORMAT_VERSION = 1
#: Bytes of the header that its checksum covers.
_CHECKED = 24


class Segment:
    """
    One buffer of records.

    Attributes:
        number: Position in the lane's chain, from 1.
        buffer: The bytes, header included.
        size: Length of the buffer.
        first_ordinal: The ordinal its first record has, or will have.
    """

    __slots__ = ("buffer", "first_ordinal", "number", "size")

    def __init__(self, number: int, buffer: Buffer, first_ordinal: int = 0) -> None:
        self.number = number
        self.buffer = buffer
        self.size = len(buffer)
        self.first_ordinal = first_ordinal

    def begin(self, first_ordinal: int) -> None:
        """Write the header: the first record will have *first_ordinal*."""
        self.first_ordinal = first_ordinal
        self.buffer[0:SEGMENT_HEADER_BYTES] = segment_header(first_ordinal)

    def close(self) -> None:
        """Unmap a mapped buffer; memory is freed with the object."""
        if isinstance(self.buffer, mmap.mmap):
            self.buffer.close()


class SegmentStore(Protocol):
    """Where a lane's segments and small state live."""

    #: Whether what is stored outlives this process.
    durable: bool

    def create(self, number: int, size: int, first_ordinal: int) -> Segment:
        """
        Make a zeroed segment.

        Args:
            number: Its place in the chain.
            size: Bytes, header included.
            first_ordinal: Ordinal of its first record; rewritten if it is used later.

        Raises:
            OSError: The place cannot be written, or is full.
        """
        ...

    def numbers(self) -> list[int]:
        """Numbers of the segments there are, ascending."""
        ...

    def open(self, number: int) -> Segment | None:
        """Map an existing segment for reading; None when it is gone or is none."""
        ...

    def size_of(self, number: int) -> int:
        """Bytes the segment takes; 0 when it is gone."""
        ...

    def delete(self, number: int) -> None:
        """Forget a segment."""
        ...

    def sync(self, number: int) -> None:
        """
        Have the disk hold a segment and the fact that it exists.

        Raises:
            OSError: The disk refused.
        """
        ...

    def sync_state(self) -> None:
        """
        Have the disk hold the state of the lane.

        Raises:
            OSError: The disk refused.
        """
        ...

    def slot(self, name: str, size: int) -> Buffer:
        """Open or create a small zeroed buffer for state that survives like the records do."""
        ...

    def close(self) -> None:
        """Let go of everything that is still open."""
        ...


class MemoryStore:
    """Segments in memory: the twin of `DiskStore`, gone with the process."""

    durable = False

    def __init__(self) -> None:
        self._segments: dict[int, Segment] = {}
        self._slots: dict[str, bytearray] = {}

    def create(self, number: int, size: int, first_ordinal: int) -> Segment:
        """Make a zeroed segment; untouched pages cost no memory."""
        segment = Segment(number, bytearray(size))
        segment.begin(first_ordinal)
        self._segments[number] = segment
        return segment

    def numbers(self) -> list[int]:
        """Numbers of the segments there are, ascending."""
        return sorted(self._segments)

    def open(self, number: int) -> Segment | None:
        """Give the segment itself."""
        return self._segments.get(number)

    def size_of(self, number: int) -> int:
        """Bytes the segment takes; 0 when it is gone."""
        segment = self._segments.get(number)
        return segment.size if segment else 0

    def delete(self, number: int) -> None:
        """Forget a segment."""
        self._segments.pop(number, None)

    def sync(self, number: int) -> None:
        """Memory has no disk."""

    def sync_state(self) -> None:
        """Memory has no disk."""

    def slot(self, name: str, size: int) -> bytearray:
        """Open or create a small zeroed buffer."""
        return self._slots.setdefault(name, bytearray(size))

    def close(self) -> None:
        """Nothing is open."""


class DiskStore:
    """Segments as files in one lane's directory."""

    durable = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self._slots: dict[str, mmap.mmap] = {}
        self._reachable = False

    def create(self, number: int, size: int, first_ordinal: int) -> Segment:
        """
        Make a preallocated segment, mapped for writing.

        A page of a mapping that was only allocated costs its first store 3 to 12 µs. Zeros
        written through the file beforehand bring that to 0.1 µs, for 0.2 ms per MiB in one call
        that does not hold the interpreter's lock. (Where a virtual machine's host has to find
        the memory first, that is 2 ms.)
        """
        path = self._file(number)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _CLOEXEC, 0o600)
        try:
            write_zeros(fd, size)
            buffer = mmap.mmap(fd, size)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        segment = Segment(number, buffer)
        segment.begin(first_ordinal)
        return segment

    def numbers(self) -> list[int]:
        """Numbers of the segment files, ascending; none when the lane was removed meanwhile."""
        try:
            names = [entry.name for entry in os.scandir(self.path)]
        except FileNotFoundError:
            return []
        stems = (name[: -len(SUFFIX)] for name in names if name.endswith(SUFFIX))
        return sorted(int(stem) for stem in stems if stem.isdecimal())

    def open(self, number: int) -> Segment | None:
        """Map a segment file for reading; None when it is gone, empty or not a segment."""
        try:
            fd = os.open(self._file(number), os.O_RDONLY | _CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            size = os.fstat(fd).st_size
            if size < SEGMENT_HEADER_BYTES:
                return None
            buffer = mmap.mmap(fd, size, access=mmap.ACCESS_READ)
        finally:
            os.close(fd)
        return Segment(number, buffer, first_ordinal_of(buffer))

    def size_of(self, number: int) -> int:
        """Bytes the file takes; 0 when it is gone."""
        try:
            return self._file(number).stat().st_size
        except OSError:
            return 0

    def delete(self, number: int) -> None:
        """Remove the file; mappings of it stay readable. One that must stay goes with its lane."""
        with suppress(OSError):
            self._file(number).unlink(missing_ok=True)

    def sync(self, number: int) -> None:
        """
        Have the disk hold a segment and its directory entry, and once the way to it.

        By descriptors, not by ``msync``: ``mmap.flush`` holds the interpreter's lock meanwhile.
        """
        sync_path(self._file(number))
        sync_path(self.path)
        if not self._reachable:  # this process, or another just before, may have made these
            for directory in enclosing(self.path):
                sync_path(directory)
            self._reachable = True

    def sync_state(self) -> None:
        """Have the disk hold the state files and their directory entries."""
        for path in (*map(self.path.joinpath, self._slots), self.path):
            sync_path(path)

    def slot(self, name: str, size: int) -> mmap.mmap:
        """Map a small state file, created with zeros when it is not there."""
        held = self._slots.get(name)
        if held is None:
            held = self._slots[name] = map_file(self.path / name, size)
        return held

    def close(self) -> None:
        """Unmap the state files."""
        for held in self._slots.values():
            held.close()
        self._slots.clear()

    def _file(self, number: int) -> Path:
        return self.path / f"{number:08d}{SUFFIX}"


SUFFIX = ".seg"
_ZEROS = bytes(64 * 1024)
#: What one call takes of them on any system.
_MAX_BLOCKS = 1024
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)


def segment_header(first_ordinal: int) -> bytes:
    """The header of a segment whose first record will have *first_ordinal*."""
    told = SEGMENT_HEADER.pack(SEGMENT_MAGIC, FORMAT_VERSION, first_ordinal, 0)[:_CHECKED]
    return SEGMENT_HEADER.pack(SEGMENT_MAGIC, FORMAT_VERSION, first_ordinal, checksum(told))


def first_ordinal_of(buffer: Buffer) -> int:
    """
    The first ordinal in a segment: the header's or, where that is damaged, the first record's.

    Raises:
        JournalError: The segment was written by a newer format.
    """
    told = read_header(buffer)
    if told is not None:
        return told
    found = scan(buffer, SEGMENT_HEADER_BYTES, len(buffer), verify=True, max_records=1, max_bytes=0)
    return min([*found.voids, *(record.ordinal for record in found.records)], default=0)


def read_header(buffer: Buffer) -> int | None:
    """
    The first ordinal a segment header tells, or None when there is no valid header.

    Raises:
        JournalError: The segment was written by a newer format.
    """
    magic, version, first, crc = SEGMENT_HEADER.unpack_from(buffer, 0)
    if magic != SEGMENT_MAGIC or crc != checksum(bytes(buffer[:_CHECKED])):
        return None
    if version != FORMAT_VERSION:
        raise JournalError(f"journal format {version} is not known to this version of penstock")
    return int(first)


def sync_path(path: Path) -> None:
    """
    Have the disk hold a file's content, or a directory's names.

    Raises:
        OSError: The disk refused.
    """
    try:
        fd = os.open(path, os.O_RDONLY | _CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return  # passed and deleted meanwhile; Windows opens no directory
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def enclosing(path: Path) -> Iterator[Path]:
    """The directories *path* is in, innermost first, up to where its file system is mounted."""
    device = path.parent.stat().st_dev
    for directory in path.absolute().parents:
        if directory.stat().st_dev != device:
            return
        yield directory


def map_file(path: Path, size: int) -> mmap.mmap:
    """Map *path* for writing, made *size* bytes long first."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | _CLOEXEC, 0o600)
    try:
        if os.fstat(fd).st_size < size:
            allocate(fd, size)
        return mmap.mmap(fd, size)
    finally:
        os.close(fd)


def allocate(fd: int, size: int) -> None:
    """
    Give the file *size* bytes of real disk, zeroed.

    A sparse file would do until the disk is full: then a store into the mapping is a SIGBUS.

    Raises:
        OSError: The disk is full.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size)
        return
    write_zeros(fd, size)  # macOS and Windows


def write_zeros(fd: int, size: int) -> None:
    """
    Write *size* zeros where the file is at.

    One block again and again stays in the processor's cache, which is twice as fast as a block of
    *size*; and to free a block of that size would make glibc keep all smaller ones from now on.

    Raises:
        OSError: The disk is full.
    """
    while size > 0:
        block = _ZEROS[:size]
        if hasattr(os, "writev"):
            size -= os.writev(fd, [block] * min(max(1, size // len(block)), _MAX_BLOCKS))
        else:
            size -= os.write(fd, block)
