"""The rows that were not imported, each with its place and the reason."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.importing.rows import BadRow, Row


class Rejects:
    """
    A JSON-lines file: ``{"row": 7, "line": 8, "reason": "...", "raw": "..."}``.

    It is made with the first rejected row, readable by the user alone (rows are personal data).

    Args:
        path: The file; None to write nothing down.
        keep_bytes: Length it had at the checkpoint this run goes on from; what is beyond was
            written by rows that come again. 0 starts a new file.
    """

    def __init__(self, path: Path | None, keep_bytes: int = 0) -> None:
        self.path = path
        self._keep_bytes = keep_bytes
        self._file: BinaryIO | None = None

    def add(self, row: Row | BadRow, reason: str) -> None:
        """Write one row down."""
        if self.path is None:
            return
        if self._file is None:
            self._file = self._open(self.path)
        raw = None if row.raw is None else row.raw.decode("utf-8", "replace").rstrip("\r\n")
        entry = {"row": row.number, "line": row.line, "reason": reason, "raw": raw}
        self._file.write(msgspec.json.encode(entry) + b"\n")

    def flush(self) -> int:
        """Hand everything to the operating system; the file's length is returned."""
        if self._file is None:
            return self._keep_bytes
        self._file.flush()
        return self._file.tell()

    def close(self) -> None:
        """Flush and close; rows of a killed run that came again and were fine are cut off."""
        if self._file is None and self.path is not None and self._leftover(self.path):
            self._file = self._open(self.path)
        if self._file is not None:
            self._keep_bytes = self.flush()
            self._file.close()
            self._file = None

    def _leftover(self, path: Path) -> bool:
        try:
            return path.stat().st_size > self._keep_bytes > 0
        except OSError:
            return False

    def _open(self, path: Path) -> BinaryIO:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        file = os.fdopen(descriptor, "r+b")
        file.truncate(min(self._keep_bytes, os.fstat(descriptor).st_size))
        file.seek(0, os.SEEK_END)
        return file
