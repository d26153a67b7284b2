"""Lines of a file as bytes, none longer than a bound, so that memory stays flat."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

#: Far above any event a destination accepts (32 KiB to 4 MiB).
MAX_LINE_BYTES = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class Lines:
    """
    An iterator over lines, each with its line break.

    A line above the bound arrives shortened and `cut` says so until the next one.

    Args:
        file: Open for reading bytes.
        limit: Longest line in bytes.
    """

    def __init__(self, file: BinaryIO, limit: int = MAX_LINE_BYTES) -> None:
        self._file = file
        self._limit = limit
        #: Number of the last line returned; 0 before the first.
        self.number = 0
        #: Whether the last line returned was above the bound.
        self.cut = False

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> bytes:
        line = self._file.readline(self._limit)
        if not line:
            raise StopIteration
        self.cut = len(line) == self._limit and not line.endswith(b"\n")
        if self.cut:
            self._skip_rest()
        self.number += 1
        return line.removeprefix(_BOM) if self.number == 1 else line

    def _skip_rest(self) -> None:
        while chunk := self._file.readline(self._limit):
            if chunk.endswith(b"\n"):
                return
