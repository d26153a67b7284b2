"""
Numbers that all processes of a collector share: what they count, and how fast each key sends.

A file without a name, mapped by everyone, of 64-bit floats. Each process writes its own row and
nobody else's, so no lock is needed, and a row outlives the process that wrote it: counters never
go back when a worker dies. Only the table of rates is written by several, and there a lost
update lets one request too many pass, now and then.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import Protocol

#: Numbers a process may keep.
ROW = 512
#: Keys whose rate is kept, by a hash; each page of it exists only once it is written.
RATES = 1 << 18
_BYTES = 8


class Numbers(Protocol):
    """So many floats."""

    def __getitem__(self, place: int, /) -> float: ...
    def __setitem__(self, place: int, value: float, /) -> None: ...
    def __len__(self) -> int: ...


class Board:
    """
    The shared numbers.

    Args:
        fd: A file of `Board.size` bytes.
        rows: One per process that counts.
    """

    def __init__(self, fd: int, rows: int) -> None:
        self.fd = fd
        self.rows = rows
        self._map = mmap.mmap(fd, self.size(rows))
        self._all = memoryview(self._map).cast("d")

    @staticmethod
    def size(rows: int) -> int:
        """Bytes a board of so many rows takes."""
        return (rows * ROW + RATES) * _BYTES

    @classmethod
    def create(cls, rows: int) -> Board:
        """Make one, all zeros. It is gone when the last process is."""
        with tempfile.TemporaryFile() as file:
            file.truncate(cls.size(rows))
            return cls(os.dup(file.fileno()), rows)

    def row(self, number: int) -> Numbers:
        """The numbers of one process."""
        return self._all[number * ROW : (number + 1) * ROW]

    @property
    def rates(self) -> Numbers:
        """See `penstock.collector.http.rates`."""
        return self._all[self.rows * ROW :]
