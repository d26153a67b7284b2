"""
Which files count and how far the log is sealed: the one small file that makes sealing exactly-once.

A run of the log becomes files, and files become fewer, bigger files; neither appears in one step.
So both count from the moment this file says so, written after all of them are on the disk. Every
file has a number. One beyond `Sealed.through` does not count yet: a crash left it, readers ignore
it, and the next pipeline deletes it. One in `Sealed.gone` does not count any more: others hold its
rows, and it stays a while for readers that looked just before.

The run of a lane counts with its files, in the same step; what was sealed of a lane is never read
from the log again. A lane that is not in its log any more is finished.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from penstock.collector.log.lane import sync_directory

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
        through: The last number given to a file that counts.
        gone: ``{path in the store: seconds since 1970 when it stopped counting}``
    """

    lanes: dict[str, int] = {}
    counts: Counts = msgspec.field(default_factory=Counts)
    through: int = 0
    gone: dict[str, float] = {}

    def covers(self, file: SealedFile, root: Path) -> bool:
        """Whether a file of the store at *root* counts."""
        return file.number <= self.through and (
            not self.gone or relative(file.path, root) not in self.gone
        )


_DECODER = msgspec.json.Decoder(Sealed)


def relative(path: Path, root: Path) -> str:
    """A file's path in the store, as `Sealed.gone` has it."""
    return path.relative_to(root).as_posix()


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
    replace(path, msgspec.json.encode(sealed))


def replace(path: Path, content: bytes) -> None:
    """
    Write a small file that is there as it was or as it shall be, also after power loss.

    Raises:
        OSError: The disk is full or failing; the file is as it was.
    """
    temporary = path.with_suffix(".tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        if os.write(fd, content) != len(content):
            raise OSError(f"{path.name} was written only in part")
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.rename(path)
    sync_directory(path.parent)
