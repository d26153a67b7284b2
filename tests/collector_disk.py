"""
A disk that loses what was not flushed, for power cuts without pulling plugs.

The model is the weakest one that file systems keep: what a file held at its last ``fsync`` is
there afterwards, and so are the names a directory had at its own. Whatever happened since may have
reached the disk or not, each name and each 512 bytes by itself, in any order.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    import pytest

_SECTOR = 512
_CHANGES = ("rename", "unlink", "mkdir", "rmdir")


class PowerCut(BaseException):
    """The machine is gone; nothing catches this."""


class LossyDisk:
    """
    Watches what is flushed below a directory.

    Args:
        root: It is there, and stays.
        steps: Changes to the file system until the power is cut.
        atomic_renames: A file that was flushed and renamed has one of its two names at least, as
            every journaling file system has it.
    """

    def __init__(self, root: Path, steps: int, *, atomic_renames: bool = False) -> None:
        self._atomic_renames = atomic_renames
        root.mkdir(parents=True, exist_ok=True)
        self._root = root
        self._steps = steps
        self._contents: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {}
        #: Keeps an inode from being given to another file.
        self._held: dict[int, int] = {}

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        """Record every flush, and count every change."""
        for name in _CHANGES:
            patch.setattr(Path, name, self._counted(getattr(Path, name)))
        for name in ("fsync", "fdatasync"):  # the machine's own disk need not be waited for
            patch.setattr(os, name, self._counted(self._record))

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            for act in (None, real):  # the power is cut before it, or just after it
                self._steps -= 1
                if self._steps == 0:
                    raise PowerCut
                result = act(*args, **kwargs) if act else None
            return result

        return call

    def _record(self, fd: int) -> None:
        found = os.fstat(fd)
        if found.st_ino not in self._held:
            self._held[found.st_ino] = os.dup(fd)
        if stat.S_ISDIR(found.st_mode):
            with os.scandir(fd) as entries:
                self._names[found.st_ino] = {entry.name: entry.inode() for entry in entries}
        else:
            self._contents[found.st_ino] = _content(fd)

    def after_power_cut(self, target: Path, rng: random.Random) -> None:
        """Make *target* one of the states the disk may be in."""
        self._copy_directory(self._root.stat().st_ino, self._root, target, rng)

    def _copy_directory(
        self, inode: int, current: Path | None, target: Path, rng: random.Random
    ) -> None:
        target.mkdir()
        now = {path.name: path for path in current.iterdir()} if current else {}
        flushed = self._names.get(inode, {})
        inodes = {name: path.stat().st_ino for name, path in now.items()}
        chosen = {
            name: rng.choice((inodes.get(name), flushed.get(name)))
            for name in sorted({*now, *flushed})
        }
        if self._atomic_renames:
            names = {inode: name for name, inode in inodes.items()}
            nameless = {*flushed.values()} - {*chosen.values()}
            chosen |= {names[inode]: inode for inode in nameless if inode in names}
        for name, wanted in chosen.items():
            if wanted is not None:
                path = now[name] if wanted == inodes.get(name) else None
                self._copy(wanted, path, target / name, rng)

    def _copy(self, inode: int, path: Path | None, target: Path, rng: random.Random) -> None:
        if inode in self._names or (path is not None and path.is_dir()):
            self._copy_directory(inode, path, target, rng)
            return
        if path is not None:
            content = path.read_bytes()
        else:
            content = _content(self._held[inode]) if inode in self._held else b""
        target.write_bytes(_torn(self._contents.get(inode, b""), content, rng))

    def close(self) -> None:
        """Let go of the files."""
        for fd in self._held.values():
            os.close(fd)


def _content(fd: int) -> bytes:
    """All of a file, whatever it was opened for."""
    with Path(f"/proc/self/fd/{fd}").open("rb") as file:
        return file.read()


def _torn(flushed: bytes, written: bytes, rng: random.Random) -> bytes:
    """Each sector as it was flushed, or as it was written since."""
    if flushed == written:
        return flushed
    shorter, longer = sorted((len(flushed), len(written)))
    size = rng.choice((shorter, longer, rng.randint(shorter, longer)))
    parts = []
    for start in range(0, size, _SECTOR):
        source = rng.choice((flushed, written))
        parts.append(source[start : start + _SECTOR].ljust(_SECTOR, b"\0"))
    return b"".join(parts)[:size]
