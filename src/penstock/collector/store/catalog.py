"""
The writing side of the ledger: which files count, changed in one step.

The pipeline's two threads share one catalog: one adds runs of the log, the other replaces files by
fewer ones. A file is written under a temporary name, at leisure; `Catalog.commit` then gives it
its number and its name and says in the ledger that it counts, and which ones do not any more.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from penstock.collector.layout import TABLES, file_name
from penstock.collector.log.lane import sync_directory
from penstock.collector.store import ledger
from penstock.collector.store.ledger import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from penstock.collector.layout import Extent, Layout, SealedFile

_NOTHING = Counts()


class Made(NamedTuple):
    """A file that is on the disk and does not count yet; it lies where it shall be."""

    temporary: Path
    extent: Extent


class Catalog:
    """
    Which files of a store count; one per store, in the process that holds the pipeline's lock.

    Args:
        layout: The store.
        clock: Seconds since 1970.
    """

    def __init__(self, layout: Layout, clock: Callable[[], float] = time.time) -> None:
        self._layout = layout
        self._clock = clock
        self._changing = threading.RLock()
        #: Files of a commit that failed half-way: they must never count.
        self._spoilt: set[str] = set()
        self.sealed = ledger.load(layout.sealed)

    def recover(self) -> None:
        """Remove what a process that died left unfinished, and what stopped counting before."""
        # It may have made a directory and died before the name was safe.
        sync_all([path for path in self._layout.root.rglob("*") if path.is_dir()])
        for path in self._layout.leftovers():
            path.unlink(missing_ok=True)
        self._remove(
            file.path
            for table in TABLES
            for file in list(self._layout.files(table))
            if not self.sealed.covers(file, self._layout.root)
        )
        if self.sealed.gone:
            self._save(gone={})

    def files(self, table: str) -> list[SealedFile]:
        """The files of a table that count, in the order of their numbers."""
        with self._changing:
            sealed = self.sealed
            found = [
                file for file in self._layout.files(table) if sealed.covers(file, self._layout.root)
            ]
        return sorted(found, key=lambda file: file.number)

    def commit(
        self,
        made: Sequence[Made],
        *,
        replaced: Iterable[SealedFile] = (),
        lanes: Mapping[str, int] | None = None,
        counts: Counts = _NOTHING,
    ) -> list[Path]:
        """
        Have files count, and others not any more, in one step.

        Args:
            made: Files under their temporary names.
            replaced: Files whose rows are in *made*, or wanted no more.
            lanes: How far lanes of the log are sealed with that.
            counts: What is to be added.

        Returns:
            The new files.

        Raises:
            OSError: The disk is full or failing; nothing has changed.
        """
        with self._changing:
            before = self.sealed.through + len(self._spoilt)
            names = [
                file.temporary.with_name(file_name(number, file.extent))
                for number, file in enumerate(made, before + 1)
            ]
            root, now = self._layout.root, self._clock()
            gone = {ledger.relative(file.path, root): now for file in replaced}
            try:
                for file, name in zip(made, names, strict=True):
                    file.temporary.rename(name)
                for directory in {name.parent for name in names}:
                    sync_directory(directory)
                self._save(
                    through=before + len(made),
                    lanes={**self.sealed.lanes, **(lanes or {})},
                    counts=self.sealed.counts.plus(counts),
                    gone={**self.sealed.gone, **gone, **dict.fromkeys(self._spoilt, now)},
                )
            except OSError:
                self._spoilt |= {ledger.relative(name, root) for name in names}
                raise
            self._spoilt.clear()
            return names

    def retire(self, lane: str) -> None:
        """Drop a lane from the ledger, once its log is gone."""
        with self._changing:
            lanes = {name: last for name, last in self.sealed.lanes.items() if name != lane}
            self._save(lanes=lanes)

    def sweep(self, grace_s: float) -> int:
        """
        Delete files that stopped counting that many seconds ago.

        Returns:
            How many.
        """
        before = self._clock() - grace_s
        old = [path for path, since in self.sealed.gone.items() if since <= before]
        if old:
            self._remove(self._layout.root / path for path in old)
            with self._changing:
                left = {path: at for path, at in self.sealed.gone.items() if path not in set(old)}
                self._save(gone=left)
        return len(old)

    def _remove(self, paths: Iterable[Path]) -> None:
        """
        Delete files for good.

        Directories are synced: a file that came back after a power cut, and that the ledger has
        forgotten meanwhile, would count again.
        """
        directories: set[Path] = set()
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
                directories.add(path.parent)
        sync_all(directories)

    def _save(self, **changed: object) -> None:
        sealed = msgspec.structs.replace(self.sealed, **changed)
        ledger.save(self._layout.sealed, sealed)
        self.sealed = sealed


def sync_all(directories: Collection[Path]) -> None:
    """Sync directories that may be gone by now."""
    for directory in directories:
        with contextlib.suppress(FileNotFoundError):
            sync_directory(directory)
