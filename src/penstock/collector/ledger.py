"""
How far the log is sealed: the one small file that makes sealing exactly-once.

A run of the log becomes several Parquet files, which cannot appear in one step. So a run counts
from the moment this file says so, written after all of them are on the disk. Before: a crash
leaves files that are beyond what this file says; readers ignore them, and the next pipeline
deletes them and seals the run again. After: the run is never read from the log again.

A lane that is in the file and not in its log is finished; a file whose lane is unknown here is
of a lane that finished long ago, and counts.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from penstock.collector.log import sync_directory

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.collector.layout import SealedFile


class Counts(msgspec.Struct):
    """What became of items since the store was made."""

    #: Rows in ``events``.
    stored: int = 0
    #: Known already by source and message id; not stored again.
    duplicates: int = 0
    #: Rows in ``quarantine``.
    quarantined: int = 0
    #: Log entries that could not be read.
    lost: int = 0

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        mine, theirs = msgspec.structs.astuple(self), msgspec.structs.astuple(other)
        return Counts(*(a + b for a, b in zip(mine, theirs, strict=True)))


class Sealed(msgspec.Struct):
    """
    The state of sealing.

    Attributes:
        lanes: ``{lane: last ordinal sealed}``, of the lanes that are still in the log.
        counts: See `Counts`.
    """

    lanes: dict[str, int] = {}
    counts: Counts = msgspec.field(default_factory=Counts)

    def covers(self, file: SealedFile) -> bool:
        """Whether a file's run counts."""
        return file.last <= self.lanes.get(file.lane, file.last)


_DECODER = msgspec.json.Decoder(Sealed)


def load(path: Path) -> Sealed:
    """
    Read the state; a store that never sealed anything has an empty one.

    Raises:
        ValueError: The file is damaged. It is replaced in one step, so this is not a crash's work.
    """
    try:
        return _DECODER.decode(path.read_bytes())
    except FileNotFoundError:
        return Sealed()


def save(path: Path, sealed: Sealed) -> None:
    """Replace the state in one step that survives power loss."""
    temporary = path.with_suffix(".tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, msgspec.json.encode(sealed))
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.rename(path)
    sync_directory(path.parent)
