"""A tree of files as it lies on a disk, and the damage that can be done to one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

#: ``{path: content}``, None for a directory; parents come before children.
Image = dict[str, bytes | None]


class Damage(NamedTuple):
    """What happened to a file behind everybody's back: bytes of it changed or are gone."""

    path: str
    start: int
    #: The bytes that are there instead; None cuts the file off at *start*.
    instead: bytes | None

    def spoils(self, path: str, start: int, stop: int) -> bool:
        """Whether bytes *start* to *stop* of *path* may have changed."""
        if path != self.path:
            return False
        end = stop if self.instead is None else self.start + len(self.instead)
        return start < end and self.start < stop


def damaged(image: Image, damage: Damage) -> Image:
    """A copy of *image* with *damage* done to it."""
    content = image[damage.path]
    assert content is not None
    head = content[: damage.start]
    if damage.instead is not None:
        head += damage.instead + content[damage.start + len(damage.instead) :]
    return {**image, damage.path: head}


def write(image: Image, root: Path) -> None:
    """Put *image* below *root*, which is made."""
    root.mkdir(parents=True)
    for name, content in image.items():
        path = root / name
        if content is None:
            path.mkdir()
            continue
        fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.write(fd, content.rstrip(b"\0"))
            os.truncate(fd, len(content))
        finally:
            os.close(fd)


def read(root: Path) -> Image:
    """What lies below *root*."""
    found: Image = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        found[name] = None if path.is_dir() else path.read_bytes()
    return found
