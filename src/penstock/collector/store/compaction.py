"""
Compaction: many small files become few big ones, while readers read and the pipeline writes.

    fresh/<file> ...                     when there are enough rows, or they are old enough
        -> date=.../source=.../<file>
    date=.../source=.../<file> ...       when there are several of about the same size
        -> date=.../source=.../<file>

Rows are copied row group by row group, so memory does not grow with the files. The new files
count and the old ones stop counting in one step (`penstock.collector.store.catalog`); a reader sees
either. Files of about the same size are merged, so that each row is rewritten a few times at most,
however many there come to be.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import count
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from penstock.collector.layout import EVENTS, TABLES, SealedFile, day_of
from penstock.collector.store.tables import (
    EVENT_SCHEMA,
    GROUP_ROWS,
    QUARANTINE_SCHEMA,
    Writer,
    groups,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from penstock.collector.config import Compaction
    from penstock.collector.layout import Layout
    from penstock.collector.store.catalog import Catalog, Made

    #: ``(day, source)``
    Partition = tuple[str, str]

#: Files are of about the same size when neither has this many times the other's rows.
_STEP = 8
#: Bytes of a row group at most, so that big events do not make memory big.
_GROUP_BYTES = 32 * 1024 * 1024
#: Files of a day that is over are merged from this many on.
_FEW = 2


class Compactor:
    """
    Merges the files of a store.

    Args:
        layout: The store.
        catalog: Its catalog.
        policy: When.
    """

    def __init__(self, layout: Layout, catalog: Catalog, policy: Compaction) -> None:
        self._layout = layout
        self._catalog = catalog
        self._policy = policy

    def settle(self, now_s: float) -> int:
        """Move all fresh rows to the partitions; arguments and errors as those of `step`."""
        return sum(self._merge_fresh(table, now_s, everything=True) for table in TABLES)

    def step(self, now_s: float, *, everything: bool = False) -> int:
        """
        Merge what is due.

        Args:
            now_s: Seconds since 1970.
            everything: Whether due or not: one file per day and source afterwards.

        Returns:
            Files that were merged.

        Raises:
            OSError: The disk is full or failing; nothing has changed.
        """
        merged = 0
        for table in TABLES:
            merged += self._merge_fresh(table, now_s, everything=everything)
            for files in self._crowds(table, now_s, everything=everything):
                merged += self._merge(table, files)
        return merged

    def _merge_fresh(self, table: str, now_s: float, *, everything: bool) -> int:
        fresh = [file for file in self._catalog.files(table) if file.is_fresh]
        if fresh and (everything or self._due(fresh, now_s)):
            return self._merge(table, fresh)
        return 0

    def _due(self, fresh: Sequence[SealedFile], now_s: float) -> bool:
        policy = self._policy
        oldest = min(file.extent.first for file in fresh)
        return (
            len(fresh) >= policy.fresh_files
            or sum(file.extent.rows for file in fresh) >= policy.fresh_rows
            or now_s * 1000 - oldest >= policy.fresh_seconds * 1000
        )

    def _crowds(self, table: str, now_s: float, *, everything: bool) -> Iterator[list[SealedFile]]:
        """Files of one partition that had better be one."""
        today = day_of(int(now_s * 1000))
        by_partition: dict[Partition, list[SealedFile]] = defaultdict(list)
        for file in self._catalog.files(table):
            if not file.is_fresh and (everything or file.extent.rows < self._policy.file_rows):
                by_partition[file.day, file.source].append(file)
        for (day, _source), files in by_partition.items():
            if everything or day < today:
                if len(files) >= _FEW:
                    yield files
            else:
                yield from (c for c in _by_size(files) if len(c) >= self._policy.files)

    def _merge(self, table: str, files: Sequence[SealedFile]) -> int:
        made = merged(self._layout, table, sorted(files, key=lambda file: file.extent.first))
        self._catalog.commit(made, replaced=files)
        return len(files)


def _by_size(files: Iterable[SealedFile]) -> Iterable[list[SealedFile]]:
    sizes: dict[int, list[SealedFile]] = defaultdict(list)
    for file in files:
        step = next(step for step in count() if file.extent.rows < _STEP ** (step + 1))
        sizes[step].append(file)
    return sizes.values()


def merged(layout: Layout, table: str, files: Iterable[SealedFile]) -> list[Made]:
    """
    Copy the rows of files into one new file per day and source, which do not count yet.

    Raises:
        OSError: The disk is full or failing; nothing is left of it.
    """
    writing = Merging(layout, table)
    try:
        for file in files:
            for rows in groups(file.path):
                writing.add(file, rows)
        return writing.close()
    except BaseException:
        writing.discard()
        raise


class Merging:
    """
    New files by partition.

    Args:
        layout: The store.
        table: Whose.
    """

    def __init__(self, layout: Layout, table: str) -> None:
        self._layout = layout
        self._table = table
        self._schema = EVENT_SCHEMA if table == EVENTS else QUARANTINE_SCHEMA
        self._writers: dict[Partition, Writer] = {}
        self._waiting: dict[Partition, list[Any]] = defaultdict(list)

    def add(self, file: SealedFile, rows: Any) -> None:
        """Add rows of a file; those of a fresh one go to their days and sources."""
        parts = _parted(rows) if file.is_fresh else [((file.day, file.source), rows)]
        for partition, part in parts:
            waiting = self._waiting[partition]
            waiting.append(part.select(self._schema.names).cast(self._schema))
            rows_waiting, bytes_waiting = sum(map(len, waiting)), sum(t.nbytes for t in waiting)
            if rows_waiting >= GROUP_ROWS or bytes_waiting >= _GROUP_BYTES:
                self._write(partition)

    def _write(self, partition: Partition) -> None:
        rows = pa.concat_tables(self._waiting.pop(partition))
        writer = self._writers.get(partition)
        if writer is None:
            directory = self._layout.partition(self._table, *partition)
            writer = self._writers[partition] = Writer(directory, self._schema)
        writer.write(rows)

    def close(self) -> list[Made]:
        """Have the disk hold all of them."""
        for partition in list(self._waiting):
            self._write(partition)
        return [writer.close() for writer in self._writers.values()]

    def discard(self) -> None:
        """Give them up."""
        for writer in self._writers.values():
            writer.discard()


def _parted(rows: Any) -> Iterator[tuple[Partition, Any]]:
    """The rows of a fresh file by day and source."""
    days = rows.column("received_at").cast(pa.date32())
    keys = pa.table({"day": days, "source": rows.column("source")})
    present = keys.group_by(["day", "source"]).aggregate([]).to_pylist()
    for key in present:
        partition = (key["day"].isoformat(), key["source"])
        if len(present) == 1:
            yield partition, rows
        else:
            same = pc.and_(
                pc.equal(days, key["day"]), pc.equal(rows.column("source"), key["source"])
            )
            yield partition, rows.filter(same)
