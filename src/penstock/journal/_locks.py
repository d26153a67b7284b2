"""One process at a time: advisory locks on files, by `flock` or, on Windows, by byte range."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)


class FileLock:
    """
    An exclusive lock held until `release`, or until the process dies.

    A forked child shares the lock with its parent: it must `abandon` its copy, which does not
    release the parent's.
    """

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def acquire(cls, path: Path, *, wait: bool = False) -> FileLock | None:
        """
        Lock *path*.

        Args:
            path: The lock file, made when it is not there.
            wait: Block until it is free.

        Returns:
            None when another process holds it.
        """
        fd = os.open(path, _FLAGS, 0o600)
        try:
            if _lock(fd, wait=wait) and _same_file(fd, path):
                return cls(fd)
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        return None

    def release(self) -> None:
        """Give the lock up, also for copies of the descriptor in forked children."""
        if fcntl is not None and self._fd != -1:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        self.abandon()

    def abandon(self) -> None:
        """Close this process's descriptor; the lock stays while another process has one."""
        fd, self._fd = self._fd, -1
        if fd != -1:
            os.close(fd)


def shares_file(fd: int, path: Path) -> bool:
    """
    Hold *fd* together with others until `unlock`; never waits.

    Returns:
        False when somebody has it for himself, or *path* is another file by now.
    """
    if fcntl is not None:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return _same_file(fd, path)


def held_alone(fd: int) -> bool:
    """Hold *fd* against all others until `unlock`; False when somebody holds it now."""
    return _lock(fd, wait=False)


def unlock(fd: int) -> None:
    """Give up what is held, also for copies of the descriptor in forked children."""
    if fcntl is not None:
        fcntl.flock(fd, fcntl.LOCK_UN)


def _same_file(fd: int, path: Path) -> bool:
    """Whether *path* still is what was opened: a lane may be removed between open and lock."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _lock(fd: int, *, wait: bool) -> bool:
    if fcntl is None:
        return _lock_range(fd, wait=wait)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _lock_range(fd: int, *, wait: bool) -> bool:
    import msvcrt

    try:
        msvcrt.locking(fd, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError:
        return False
    return True
