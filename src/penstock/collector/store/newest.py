"""
The newest rows of a store without looking at the others.

A file's name tells when its rows arrived, and its footer tells it of each row group. So the row
groups that can hold one of the newest N rows are known before any row is read; mostly it is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.collector.layout import EVENTS, Extent
from penstock.collector.store.tables import (
    DATE,
    EVENT_SCHEMA,
    QUARANTINE_SCHEMA,
    SOURCE,
    TEXT,
    with_date,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from penstock.collector.layout import SealedFile


class _HasExtent(Protocol):
    @property
    def extent(self) -> Extent: ...


P = TypeVar("P", bound=_HasExtent)


class _Group(NamedTuple):
    """A row group."""

    file: SealedFile
    number: int
    extent: Extent


def newest(table: str, files: Sequence[SealedFile], rows: int) -> tuple[Any, bool]:
    """
    At least the newest rows.

    Args:
        table: Whose files.
        files: Of the store.
        rows: How many at least, if there are as many.

    Returns:
        ``(table with source and date, whether that is all there is)``

    Raises:
        OSError: A file is gone, or cannot be read.
    """
    chosen = _reaching(files, rows)
    groups = _reaching([group for file in chosen for group in _groups(file)], rows)
    parts = [_read(group) for group in sorted(groups, key=lambda g: (g.file.number, g.number))]
    found = sum(len(part) for part in parts)
    schema = EVENT_SCHEMA if table == EVENTS else QUARANTINE_SCHEMA
    whole = pa.concat_tables([*parts, schema.append(SOURCE).append(DATE).empty_table()])
    return whole, found == sum(file.extent.rows for file in files)


def _reaching(pieces: Iterable[P], rows: int) -> list[P]:
    """The pieces that can hold one of the newest rows, when their extents are all one knows."""
    chosen: list[P] = []
    ordered = sorted(pieces, key=lambda piece: piece.extent.last, reverse=True)
    found, bound = 0, 0
    for piece in ordered:
        if found >= rows and piece.extent.last < bound:
            break
        chosen.append(piece)
        if found < rows:
            found += piece.extent.rows
            bound = min(p.extent.first for p in chosen)
    return chosen


def _groups(file: SealedFile) -> list[_Group]:
    metadata = pq.read_metadata(file.path)
    place = metadata.schema.to_arrow_schema().get_field_index("received_at")
    found: list[_Group] = []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        times = group.column(place).statistics
        first, last = (int(moment.timestamp() * 1000) for moment in (times.min, times.max))
        found.append(_Group(file, number, Extent(first, last, group.num_rows)))
    return found


def _read(group: _Group) -> Any:
    with pq.ParquetFile(group.file.path) as file:
        rows = file.read_row_group(group.number)
    if group.file.is_fresh:
        return with_date(rows)
    day = pa.scalar(group.file.day).cast(DATE.type)
    return rows.append_column(
        SOURCE, pa.repeat(pa.scalar(group.file.source, TEXT), len(rows))
    ).append_column(DATE, pa.repeat(day, len(rows)))
