"""
The modelled file system: what the page cache holds, and what the disk holds for certain.

A process that dies leaves the page cache. A power loss leaves, of each file, the content of its
last fsync and above it any mixture of what was written since, sector by sector; of its length
any it had since; of each directory the names of its last fsync and any of the changes since.
Nothing is ordered by anything but an fsync. Renaming within a directory is one change.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Protocol

from crash_model.changes import Change, Drop, Make, Move, Resize, Store, Sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crash_model.image import Image

ROOT = 0


class Loss(Protocol):
    """What a power loss takes: see `crash_model.loss`."""

    def moment(self, node: int, place: int, times: list[int]) -> int:
        """Up to when the bytes at *place* of a file reached the disk."""
        ...

    def size(self, node: int, sizes: list[int]) -> int:
        """Which of the lengths a file had since its last fsync it has."""
        ...

    def kept(self, node: int, time: int) -> bool:
        """Whether the change of a directory at *time* reached the disk."""
        ...


class File:
    """A file's content now, at its last fsync, and what was written in between."""

    def __init__(self, content: bytes = b"") -> None:
        self.data = bytearray(content)
        self.durable = content
        self.later: list[tuple[int, int, bytes]] = []
        self.sizes = [len(content)]

    def store(self, time: int, change: Store) -> None:
        """Bytes change; beyond the end, the file grows."""
        end = change.offset + len(change.data)
        if end > len(self.data):
            self.resize(end)
        self.data[change.offset : end] = change.data
        self.later.append((time, change.offset, change.data))

    def resize(self, size: int) -> None:
        """Grow or shrink."""
        del self.data[size:]
        self.data.extend(bytes(size - len(self.data)))
        self.sizes.append(size)

    def sync(self) -> None:
        """Everything until now is on the disk."""
        self.durable = bytes(self.data)
        self.later.clear()
        self.sizes = [len(self.data)]

    def after(self, node: int, loss: Loss, sector: int) -> bytes:
        """The content after a power loss."""
        if not self.later and len(self.sizes) == 1:
            return self.durable
        times = [time for time, _, _ in self.later]
        found = bytearray(self.durable)
        found.extend(bytes(max(self.sizes) - len(found)))
        for time, offset, data in self.later:
            for start, piece in _pieces(offset, data, sector):
                if time <= loss.moment(node, start // sector, times):
                    found[start : start + len(piece)] = piece
        return bytes(found[: loss.size(node, self.sizes)])


def _pieces(offset: int, data: bytes, sector: int) -> Iterator[tuple[int, bytes]]:
    """*data* at *offset*, cut where sectors begin."""
    end = offset + len(data)
    while offset < end:
        stop = min(end, (offset // sector + 1) * sector)
        yield offset, data[: stop - offset]
        data = data[stop - offset :]
        offset = stop


class Folder:
    """A directory's names now, at its last fsync, and what happened to them in between."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self.durable: dict[str, int] = {}
        self.later: list[tuple[int, str | None, str | None, int]] = []

    def change(self, time: int, old: str | None, new: str | None, node: int) -> None:
        """*node* loses the name *old*, or gets the name *new*, or both at once."""
        _rename(self.names, old, new, node)
        self.later.append((time, old, new, node))

    def sync(self) -> None:
        """Every name is on the disk."""
        self.durable = dict(self.names)
        self.later.clear()

    def after(self, node: int, loss: Loss) -> dict[str, int]:
        """The names after a power loss."""
        names = dict(self.durable)
        for time, old, new, child in self.later:
            if loss.kept(node, time):
                _rename(names, old, new, child)
        return names


def _rename(names: dict[str, int], old: str | None, new: str | None, node: int) -> None:
    if old is not None and names.get(old) == node:
        del names[old]
    if new is not None:
        names[new] = node


class Volume:
    """
    A file system that starts empty, or as *image*, all of which is on the disk.

    Attributes:
        nodes: Files and directories by number; `ROOT` is the directory everything is in.
        time: How many changes there were.
    """

    def __init__(self, image: Image | None = None) -> None:
        self.nodes: dict[int, File | Folder] = {ROOT: Folder()}
        self._numbers = itertools.count(ROOT + 1)
        self.time = 0
        for path, content in (image or {}).items():
            node = self.new_node()
            *parents, name = path.split("/")
            self.nodes[node] = Folder() if content is None else File(content)
            folder = self.folder(self.find(parents))
            folder.names[name] = folder.durable[name] = node

    def new_node(self) -> int:
        """A number for a file that is about to be made."""
        return next(self._numbers)

    def find(self, parts: list[str]) -> int:
        """
        The node at a path.

        Raises:
            FileNotFoundError: There is none.
        """
        node = ROOT
        for part in parts:
            found = self.folder(node).names.get(part)
            if found is None:
                raise FileNotFoundError("/".join(parts))
            node = found
        return node

    def folder(self, node: int) -> Folder:
        """The directory with that number."""
        found = self.nodes[node]
        assert isinstance(found, Folder)
        return found

    def file(self, node: int) -> File:
        """The file with that number."""
        found = self.nodes[node]
        assert isinstance(found, File)
        return found

    def apply(self, change: Change) -> None:
        """Make *change*."""
        self.time += 1
        match change:
            case Store():
                self.file(change.node).store(self.time, change)
            case Resize():
                self.file(change.node).resize(change.size)
            case Sync():
                self.nodes[change.node].sync()
            case Make():
                self.nodes[change.node] = Folder() if change.is_folder else File()
                self.folder(change.folder).change(self.time, None, change.name, change.node)
            case Move():
                folder = self.folder(change.folder)
                folder.change(self.time, change.old, change.new, folder.names[change.old])
            case Drop():
                folder = self.folder(change.folder)
                folder.change(self.time, change.name, None, folder.names[change.name])

    def cache(self) -> Image:
        """What is there as long as the machine runs: the page cache."""
        return self._walk(lambda _node, folder: folder.names, lambda _node, file: bytes(file.data))

    def after(self, loss: Loss, sector: int) -> Image:
        """What is there after a power loss."""
        return self._walk(
            lambda node, folder: folder.after(node, loss),
            lambda node, file: file.after(node, loss, sector),
        )

    def _walk(
        self,
        names: Callable[[int, Folder], dict[str, int]],
        content: Callable[[int, File], bytes],
        node: int = ROOT,
        path: str = "",
    ) -> Image:
        found: Image = {}
        for name, child in names(node, self.folder(node)).items():
            inside = self.nodes[child]
            if isinstance(inside, File):
                found[path + name] = content(child, inside)
            else:
                found[path + name] = None
                found |= self._walk(names, content, child, f"{path}{name}/")
        return found
