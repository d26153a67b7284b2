"""Files of lines that several processes append to, and that a full disk may cut off anywhere."""

from __future__ import annotations

import os
from errno import ENOSPC
from typing import TYPE_CHECKING

from penstock.journal._locks import shares_file, unlock

if TYPE_CHECKING:
    from pathlib import Path

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)


def append(path: Path, lines: bytes) -> int:
    """
    Append whole *lines* in one write, on a line of their own even after one that was cut off.

    Nobody waits here: a file that somebody is just taking away is left alone, and the lines go to
    the next of that name.

    Returns:
        The file's length in bytes.

    Raises:
        OSError: The disk refused, or took only a part.
    """
    fd = _shared(path)
    try:
        lines = lines if _ends_a_line(fd) else b"\n" + lines
        if os.write(fd, lines) < len(lines):
            raise OSError(ENOSPC, os.strerror(ENOSPC))
        return os.fstat(fd).st_size
    finally:
        unlock(fd)
        os.close(fd)


def _shared(path: Path) -> int:
    """The file that has this name, held together with others."""
    while True:
        fd = os.open(path, _FLAGS, 0o600)
        try:
            if shares_file(fd, path):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _ends_a_line(fd: int) -> bool:
    size = os.fstat(fd).st_size
    if not size:
        return True
    os.lseek(fd, size - 1, os.SEEK_SET)
    return os.read(fd, 1) == b"\n"
