"""
Between the journal and the system: every change to a file passes here first, and is written down.

The journal's modules get a stand-in for ``os``, ``mmap`` and ``shutil`` and for their structs, and
the journal a directory whose path is a `TracedPath`. Nothing of the journal itself is replaced.
A native pen writes on a page that nobody else sees, and its two stores are then made again on the
real one. What passes unseen would show: at the end of each run the modelled files are compared
with the real ones. Without a `Recorder` at work all of it is the plain system.
"""

from __future__ import annotations

import importlib
import itertools
import mmap
import os
import pkgutil
import struct
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self
from unittest import mock

import penstock.journal._chain
import penstock.journal.disk
import penstock.journal.lane
from crash_model.changes import Drop, Make, Move, Resize, Store, Sync
from penstock.journal._pen import Pen
from penstock.journal.record import HEADER_BYTES
from penstock.native import NATIVE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crash_model.changes import Change
    from crash_model.volume import Volume

_MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.iter_modules(penstock.journal.__path__, "penstock.journal.")
]
#: Small enough that a few events fill a segment.
SEGMENT_BYTES = 4096


class Killed(BaseException):
    """The process ended here: nothing it does from now on has an effect."""


class Plan:
    """
    What is to happen at a change to come.

    Args:
        after: How many changes are made first.
        action: Called in place of the change, with it and with what makes it.
        by_python: Whether it is Python code of the same process, which cannot run while the
            native pen writes.
    """

    def __init__(
        self,
        after: int,
        action: Callable[[Change, Callable[[Change], Any]], Any],
        *,
        by_python: bool = False,
    ) -> None:
        self.left = after
        self.action = action
        self.by_python = by_python


class Recorder:
    """
    Sees every change of one process's files before it is made.

    Args:
        volume: The modelled file system, which gets each change too.
        root: The real directory it stands for.
        tell: Called with each change that was made.
        native: Whether the process has the native part.
    """

    current: Recorder | None = None

    def __init__(
        self, volume: Volume, root: Path, tell: Callable[[Change], None], *, native: bool
    ) -> None:
        self.volume = volume
        self.native = native
        self.in_native_code = False
        self._root = str(root)
        self._tell = tell
        self._open: dict[int, _Opened] = {}
        self.plan: Plan | None = None
        self.dead = False

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Everything that happens inside is this process's doing."""
        before, Recorder.current = Recorder.current, self
        try:
            yield
        finally:
            Recorder.current = before

    def change(self, change: Change, make: Callable[[Change], Any]) -> Any:
        """*make* the *change*, or what was planned for this moment."""
        if self.dead:
            raise Killed
        plan = self.plan
        if plan is not None and not (plan.by_python and self.in_native_code):
            plan.left -= 1
            if plan.left < 0:
                self.plan = None
                return plan.action(change, make)
        return self.perform(change, make)

    def perform(self, change: Change, make: Callable[[Change], Any]) -> Any:
        """Make it, here and in the model."""
        made = make(change)
        self.volume.apply(change)
        self._tell(change)
        return made

    def covers(self, path: str | os.PathLike[str]) -> bool:
        """Whether *path* is on the modelled disk."""
        return f"{os.fspath(path)}/".startswith(f"{self._root}/")

    def place(self, path: str | os.PathLike[str]) -> tuple[int, str]:
        """The directory a path is in, as a node, and its name there."""
        *parents, name = self._parts(path)
        return self.volume.find(parents), name

    def node(self, path: str | os.PathLike[str]) -> int:
        """The node at a path."""
        return self.volume.find(self._parts(path))

    def _parts(self, path: str | os.PathLike[str]) -> list[str]:
        inside = os.fspath(path)[len(self._root) :].strip("/")
        return inside.split("/") if inside else []

    # -- descriptors -----------------------------------------------------------------------

    def opened(self, fd: int, node: int, *, appending: bool) -> int:
        """Remember what *fd* is."""
        self._open[fd] = _Opened(node, appending)
        return fd

    def knows(self, fd: int) -> bool:
        """Whether *fd* is a file of the modelled disk."""
        return fd in self._open

    def of(self, fd: int) -> _Opened:
        """What *fd* is."""
        return self._open[fd]

    def closed(self, fd: int) -> None:
        """Forget *fd*."""
        self._open.pop(fd, None)

    def end(self) -> None:
        """The process is gone: the kernel closes what it had open, locks are free."""
        self.dead = True
        for fd in self._open:
            os.close(fd)
        self._open.clear()


class _Opened:
    """An open file: which, and where the next ``write`` goes."""

    def __init__(self, node: int, appending: bool) -> None:
        self.node = node
        self.appending = appending
        self.offset = 0


class TracedPath(type(Path())):  # type: ignore[misc]
    """A path whose changes are seen; paths made from it are of its kind."""

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Make a directory."""
        make = super().mkdir
        recorder = Recorder.current
        if recorder is None or (exist_ok and self.exists()):
            make(mode, parents, exist_ok)
            return
        folder, name = recorder.place(self)
        change = Make(folder, name, recorder.volume.new_node(), is_folder=True)
        try:
            recorder.change(change, lambda _change: make(mode))
        except FileExistsError:  # what interrupted this made it
            if not exist_ok:
                raise

    def rename(self, target: Path) -> Path:
        """Give it another name in the same directory; what had that name loses it."""
        move = super().replace
        recorder = Recorder.current
        if recorder is None:
            return move(target)
        (folder, old), (_, new) = recorder.place(self), recorder.place(target)
        moved: Path = recorder.change(Move(folder, old, new), lambda _change: move(target))
        return moved

    replace = rename

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove a file."""
        remove = super().unlink
        recorder = Recorder.current
        if recorder is None or not self.exists():
            remove(missing_ok)
            return
        recorder.change(Drop(*recorder.place(self)), lambda _change: remove())

    def rmdir(self) -> None:
        """Remove a directory."""
        remove = super().rmdir
        recorder = Recorder.current
        if recorder is None:
            remove()
            return
        recorder.change(Drop(*recorder.place(self)), lambda _change: remove())


class TracedMap(mmap.mmap):
    """A mapped file whose stores are seen."""

    _recorder: Recorder | None
    _node: int

    def __new__(cls, fd: int, size: int, **options: Any) -> Self:
        """Map *fd*, and remember what it is."""
        made = super().__new__(cls, fd, size, **options)
        made._recorder = Recorder.current
        made._node = made._recorder.of(fd).node if made._recorder else -1
        return made

    def __setitem__(self, place: Any, value: Any) -> None:
        recorder = self._recorder
        if recorder is None:
            super().__setitem__(place, value)
            return
        start, stop, _step = place.indices(len(self))
        if stop - start != len(value):
            raise IndexError("mmap slice assignment is wrong size")
        recorder.change(Store(self._node, start, bytes(value), "bytes"), self._store)

    def pack(self, offset: int, data: bytes) -> None:
        """Store packed fields."""
        recorder = self._recorder
        change = Store(self._node, offset, data, "fields")
        if recorder is None:
            self._store(change)
        else:
            recorder.change(change, self._store)

    def _store(self, change: Store) -> None:
        super().__setitem__(slice(change.offset, change.offset + len(change.data)), change.data)


class TracedPen:
    """
    The native pen, and its stores into the page: the payload, then the header.

    Args:
        checksum: CRC-32 of bytes.
        recorder: Of the process that writes.
    """

    _OWN = ("_pen", "_recorder", "_page", "_draft")

    def __init__(self, checksum: Callable[[bytes], int], recorder: Recorder) -> None:
        assert NATIVE is not None
        self._pen = NATIVE.Pen(checksum)
        self._recorder = recorder
        self._page: Any = bytearray()
        self._draft = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pen, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._OWN:
            super().__setattr__(name, value)
        else:
            setattr(self._pen, name, value)

    def turn(self, page: Any, tail: int) -> None:
        """Write on *page* from *tail* on."""
        self._page, self._draft = page, bytearray(len(page))
        self._pen.turn(self._draft, tail)

    def append(self, kind: int, flags: int, captured_at: int, payload: bytes) -> int:
        """Write one record."""
        start = self._pen.tail
        ordinal = self._pen.append(kind, flags, captured_at, payload)
        if ordinal:
            body = start + HEADER_BYTES
            self._recorder.in_native_code = True
            self._copy(body, body + len(payload))
            self._copy(start, body)
            self._recorder.in_native_code = False
        return ordinal

    def _copy(self, start: int, stop: int) -> None:
        self._page[start:stop] = self._draft[start:stop]


def _new_pen(checksum: Callable[[bytes], int], *rest: Any) -> Pen | TracedPen:
    recorder = Recorder.current
    if NATIVE is None or recorder is None or not recorder.native:
        return Pen(checksum, *rest)
    return TracedPen(checksum, recorder)


class _TracedStruct(struct.Struct):
    """A struct whose `pack_into` is seen."""

    def pack_into(self, buffer: Any, offset: int, *values: Any) -> None:
        if isinstance(buffer, TracedMap):
            buffer.pack(offset, self.pack(*values))
        else:
            super().pack_into(buffer, offset, *values)


class _TracedOs:
    """``os`` as the journal uses it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: str | os.PathLike[str], flags: int, mode: int = 0o777) -> int:
        recorder = Recorder.current
        if recorder is None or not recorder.covers(path):
            return os.open(path, flags, mode)
        if flags & os.O_CREAT and not Path(path).exists():
            folder, name = recorder.place(path)
            change = Make(folder, name, recorder.volume.new_node(), is_folder=False)
            fd = recorder.change(change, lambda _change: os.open(path, flags, mode))
        else:
            fd = os.open(path, flags, mode)
        return recorder.opened(fd, recorder.node(path), appending=bool(flags & os.O_APPEND))

    def close(self, fd: int) -> None:
        if Recorder.current is not None:
            Recorder.current.closed(fd)
        os.close(fd)

    def write(self, fd: int, data: bytes) -> int:
        recorder = Recorder.current
        if recorder is None:
            return os.write(fd, data)
        opened = recorder.of(fd)
        if opened.appending:
            opened.offset = os.fstat(fd).st_size
        change = Store(opened.node, opened.offset, data, "call")
        written: int = recorder.change(change, lambda change: os.write(fd, change.data))
        opened.offset += written
        return written

    def writev(self, fd: int, blocks: list[bytes]) -> int:
        return self.write(fd, b"".join(blocks))

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        recorder = Recorder.current
        if recorder is None:
            return os.pwrite(fd, data, offset)
        change = Store(recorder.of(fd).node, offset, data, "call")
        written: int = recorder.change(change, lambda c: os.pwrite(fd, c.data, c.offset))
        return written

    def posix_fallocate(self, fd: int, offset: int, length: int) -> None:
        recorder = Recorder.current
        size = max(os.fstat(fd).st_size, offset + length)
        if recorder is None:
            os.truncate(fd, size)
        else:
            node = recorder.of(fd).node
            recorder.change(Resize(node, size), lambda _change: os.truncate(fd, size))

    def fsync(self, fd: int) -> None:
        """Only the model needs to know: the machine under the test does not lose power."""
        recorder = Recorder.current
        if recorder is not None and recorder.knows(fd):
            recorder.change(Sync(recorder.of(fd).node), lambda _change: None)


def _remove_tree(path: Path, **_options: object) -> None:
    """``shutil.rmtree`` for a directory of files; another process may be at it as well."""
    with suppress(FileNotFoundError):
        for entry in sorted(path.iterdir()):
            entry.unlink(missing_ok=True)
        path.rmdir()


def _stand_ins(module: Any) -> Iterator[tuple[str, Any]]:
    for name, value in vars(module).items():
        if value is os:
            yield name, _TracedOs()
        elif value is mmap:
            yield name, SimpleNamespace(mmap=TracedMap, ACCESS_READ=mmap.ACCESS_READ)
        elif isinstance(value, struct.Struct):
            yield name, _TracedStruct(value.format)
        elif isinstance(getattr(value, "__self__", None), struct.Struct):
            yield name, getattr(_TracedStruct(value.__self__.format), value.__name__)


def _settings() -> Iterator[tuple[Any, str, Any]]:
    """Small segments, names that count, no waiting, and pens that are seen."""
    chain, lane, disk = penstock.journal._chain, penstock.journal.lane, penstock.journal.disk
    numbers = itertools.count(1)
    yield chain, "FIRST_SEGMENT_BYTES", SEGMENT_BYTES
    yield chain, "LAST_SEGMENT_BYTES", 2 * SEGMENT_BYTES
    yield chain, "RETRY_CREATE_S", 0.0
    yield lane, "new_pen", _new_pen
    yield disk, "uuid7", lambda: f"{next(numbers):08d}"
    yield disk, "shutil", SimpleNamespace(rmtree=_remove_tree)


@contextmanager
def interposed() -> Iterator[None]:
    """The journal's modules, with everything that reaches a file led through here."""
    found = [(module, *stand_in) for module in _MODULES for stand_in in _stand_ins(module)]
    patches = [mock.patch.object(*change) for change in (*found, *_settings())]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()
