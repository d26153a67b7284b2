"""
How far an import has come, on disk, so that a killed one goes on where it was.

A row is counted here only after the journal has taken it or the rejects file holds it. So the
checkpoint may be behind the truth, never ahead: after a kill the rows in between are captured again
under the ids they had, and the receiver counts them once.

A reboot is different. What the journal took may have been in the page cache only, and the power may
have failed, so a checkpoint of another boot counts only once every event in it was settled.
"""

from __future__ import annotations

import fcntl
import os
from functools import cache
from pathlib import Path
from typing import Self

import msgspec

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Busy(Exception):  # noqa: N818 - a state of the world, not a fault
    """Another process is importing the same file to the same place."""


class Progress(msgspec.Struct, kw_only=True):
    """One import's state."""

    file: str
    #: SHA-256 of the content.
    digest: str
    #: Rows dealt with; the next one to read is one above.
    rows: int = 0
    #: Rows the journal took.
    accepted: int = 0
    #: Rows in the rejects file.
    rejected: int = 0
    #: The rejects file, absolute.
    rejects: str = ""
    #: Its length when the rows above were written.
    rejects_bytes: int = 0
    #: Whether the file's last row is dealt with.
    complete: bool = False
    #: Whether, after that, no event of it was pending any more.
    settled: bool = False
    #: Id of the boot in which this was written; empty where the system has none.
    boot: str = ""


class Checkpoint:
    """
    The file that keeps a `Progress`; a context manager that holds its lock.

    Args:
        path: The file; its directory is made, for the user alone.

    Raises:
        Busy: On entering, when another process holds the lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def __enter__(self) -> Self:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise Busy(f"another process imports this file already ({self.path})") from None
        self._lock = lock
        return self

    def __exit__(self, *error: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def load(self) -> Progress | None:
        """
        What was saved last.

        None when there is nothing readable, or nothing to be relied on after a reboot: the
        import starts at row one, which is slower and no less right.
        """
        try:
            progress = msgspec.json.decode(self.path.read_bytes(), type=Progress)
        except (OSError, msgspec.DecodeError):
            return None
        return progress if progress.settled or progress.boot == boot_id() else None

    def save(self, progress: Progress) -> None:
        """Replace what was saved; a kill at any moment leaves the old or the new state."""
        progress.boot = boot_id()
        fresh = self.path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(progress))
        fresh.replace(self.path)


@cache
def boot_id() -> str:
    """What the system calls this boot; empty where it has no name for it."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""
