"""The schema of the store, and Parquet files that are there whole or not at all."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from penstock.collector.decoding.rows import Event, Quarantined
from penstock.collector.layout import TEMPORARY, Extent
from penstock.collector.log.lane import make_directory
from penstock.collector.store.catalog import Made
from penstock.errors import MissingExtraError

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
except ImportError as error:  # pragma: no cover - needs an installation without the extra
    raise MissingExtraError("pyarrow", "collector") from error

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

TIME = pa.timestamp("us", tz="UTC")
TEXT = pa.string()

#: Types of the columns that are not text, by name.
_TYPES = {
    "timestamp": TIME,
    "original_timestamp": TIME,
    "sent_at": TIME,
    "received_at": TIME,
    "request": pa.int64(),
    "position": pa.int32(),
}
SOURCE = pa.field("source", TEXT)
DATE = pa.field("date", pa.date32())
#: Columns with few different values: a dictionary makes them small and fast.
_REPEATING = frozenset({
    "type", "event", "dialect", "library", "reason", "detail", "rest", "source", "integrations",
    "ip", "changes",
})  # fmt: skip
#: Rows of a row group: what is read for the newest few rows.
GROUP_ROWS = 32_768

EVENT_SCHEMA = pa.schema([(name, _TYPES.get(name, TEXT)) for name in Event._fields])
QUARANTINE_SCHEMA = pa.schema([(name, _TYPES.get(name, TEXT)) for name in Quarantined._fields])
#: As above with the source, as in fresh files.
FRESH_EVENTS = EVENT_SCHEMA.append(SOURCE)
FRESH_QUARANTINE = QUARANTINE_SCHEMA.append(SOURCE)


def table_of(schema: Any, rows: Sequence[tuple[Any, ...]]) -> Any:
    """
    Rows as one `pyarrow.Table`.

    Args:
        schema: Of this module.
        rows: In the schema's order; JSON text may be ``bytes``.
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def extent_of(table: Any) -> Extent:
    """When the rows of a table arrived; it has at least one."""
    found = pc.min_max(table.column("received_at").cast(pa.int64())).as_py()
    return Extent(found["min"] // 1000, found["max"] // 1000, len(table))


def with_date(table: Any) -> Any:
    """A fresh table with the partition's other column."""
    return table.append_column(DATE, table.column("received_at").cast(pa.date32()))


class Writer:
    """
    Writes one Parquet file under a temporary name.

    Args:
        directory: Where it shall be; made when missing.
        schema: Of the tables.
    """

    def __init__(self, directory: Path, schema: Any) -> None:
        make_directory(directory)
        self._path = directory / f"{uuid4().hex}{TEMPORARY}"
        self._extents: list[Extent] = []
        repeating = [name for name in schema.names if name in _REPEATING]
        self._file = pq.ParquetWriter(
            self._path, schema, compression="zstd", use_dictionary=repeating
        )

    def write(self, table: Any) -> None:
        """
        Add rows.

        Raises:
            OSError: The disk is full or failing.
        """
        self._file.write_table(table, GROUP_ROWS)
        self._extents.append(extent_of(table))

    def close(self) -> Made:
        """
        Have the disk hold it; something was written.

        Raises:
            OSError: The disk is full or failing.
        """
        self._file.close()
        fd = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        firsts, lasts, rows = zip(*self._extents, strict=True)
        return Made(self._path, Extent(min(firsts), max(lasts), sum(rows)))

    def discard(self) -> None:
        """Give it up."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def written(directory: Path, table: Any) -> Made:
    """
    Write a table of at least one row as a file that does not count yet.

    Raises:
        OSError: The disk is full or failing; nothing is left of it.
    """
    writer = Writer(directory, table.schema)
    try:
        writer.write(table)
        return writer.close()
    except BaseException:
        writer.discard()
        raise


def groups(path: Path, columns: list[str] | None = None) -> Iterator[Any]:
    """The row groups of a file as tables, one after the other."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns)


def microseconds(moment: int) -> datetime:
    """Microseconds since 1970 as an aware datetime."""
    return datetime.fromtimestamp(moment // 1_000_000, UTC).replace(microsecond=moment % 1_000_000)
