"""The changes a program can make to files and directories: what a trace consists of."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

#: A page of the page cache, in bytes; a killed ``write`` ends at one of these.
PAGE = 4096


class Make(NamedTuple):
    """A new file or directory gets a name."""

    folder: int
    name: str
    node: int
    is_folder: bool


class Store(NamedTuple):
    """
    Bytes change.

    Attributes:
        how: ``"bytes"`` a slice of a mapping; ``"fields"`` a struct packed into one, which is
            zeroed first; ``"call"`` a system call.
    """

    node: int
    offset: int
    data: bytes
    how: Literal["bytes", "fields", "call"]

    def torn(self, share: float, *, backwards: bool = False) -> Store:
        """
        What of it is there when the process dies in the middle.

        Args:
            share: How much of it, 0 to 1.
            backwards: The end is there and not the beginning: a copy need not start in front.
        """
        size = len(self.data)
        cut = int(size * share)
        if self.how == "call":
            cut -= cut % PAGE
            return self._replace(data=self.data[:cut])
        if self.how == "fields":
            return self._replace(data=self.data[:cut] + bytes(size - cut))
        if backwards:
            return self._replace(offset=self.offset + size - cut, data=self.data[size - cut :])
        return self._replace(data=self.data[:cut])


class Resize(NamedTuple):
    """A file grows, with zeros, or shrinks."""

    node: int
    size: int


class Move(NamedTuple):
    """A name becomes another one in the same directory; one that had it loses it."""

    folder: int
    old: str
    new: str


class Drop(NamedTuple):
    """A name is gone."""

    folder: int
    name: str


class Sync(NamedTuple):
    """``fsync`` of a file or of a directory."""

    node: int


class Note(NamedTuple):
    """Not a change: something was called, returned or promised; see `crash_model.oracle`."""

    what: str
    arguments: tuple[Any, ...]


Change = Make | Store | Resize | Move | Drop | Sync
