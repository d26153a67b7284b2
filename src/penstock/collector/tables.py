"""Rows to Arrow tables and Parquet files: the schema of the store."""

from __future__ import annotations

import os
from datetime import date
from typing import TYPE_CHECKING, Any

from penstock.collector.layout import TEMPORARY
from penstock.collector.log import sync_directory
from penstock.collector.rows import Event, Quarantined
from penstock.errors import MissingExtraError

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as error:  # pragma: no cover - needs an installation without the extra
    raise MissingExtraError("pyarrow", "collector") from error

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TIME = pa.timestamp("us", tz="UTC")
_TEXT = pa.string()

#: Types of the columns that are not text, by name.
_TYPES = {
    "timestamp": _TIME,
    "original_timestamp": _TIME,
    "sent_at": _TIME,
    "received_at": _TIME,
    "request": pa.int64(),
    "position": pa.int32(),
}
_DATE = pa.field("date", pa.date32())
_SOURCE = pa.field("source", _TEXT)
#: Columns with few different values: a dictionary makes them small and fast.
_REPEATING = frozenset(
    {"type", "event", "dialect", "library", "reason", "detail", "rest", "changes"}
)

EVENT_SCHEMA = pa.schema([(name, _TYPES.get(name, _TEXT)) for name in Event._fields])
QUARANTINE_SCHEMA = pa.schema([(name, _TYPES.get(name, _TEXT)) for name in Quarantined._fields])


def table_of(schema: Any, rows: Sequence[tuple[Any, ...]]) -> Any:
    """
    Rows as one `pyarrow.Table`.

    Args:
        schema: `EVENT_SCHEMA` or `QUARANTINE_SCHEMA`.
        rows: In the schema's order; JSON text may be ``bytes``.
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def partitioned(schema: Any, parts: Sequence[tuple[tuple[str, str], Any]]) -> Any:
    """
    Tables as one, with their partitions as the columns that a reader of files sees.

    Args:
        schema: The tables' schema.
        parts: ``[((day, source), table)]``
    """
    tables = [
        table.append_column(
            _DATE, pa.array([date.fromisoformat(day)] * len(table), pa.date32())
        ).append_column(_SOURCE, pa.array([source] * len(table), _TEXT))
        for (day, source), table in parts
    ]
    return (
        pa.concat_tables(tables) if tables else schema.append(_DATE).append(_SOURCE).empty_table()
    )


def write_file(path: Path, table: Any) -> None:
    """
    Write a Parquet file that is there whole or not at all, also after power loss.

    Raises:
        OSError: The disk is full or failing; nothing is left under *path*.
    """
    _make_directory(path.parent)
    temporary = path.with_name(path.name + TEMPORARY)
    dictionary = [name for name in table.schema.names if name in _REPEATING]
    pq.write_table(table, temporary, compression="zstd", use_dictionary=dictionary)
    fd = os.open(temporary, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.rename(path)
    sync_directory(path.parent)


def _make_directory(path: Path) -> None:
    """Make a partition; each new name must survive power loss too."""
    if path.is_dir():
        return
    _make_directory(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    sync_directory(path.parent)


def read_ids(path: Path) -> tuple[list[str], int]:
    """
    Message ids of an events file, and when the last of them arrived (ms since 1970).

    Raises:
        OSError: The file cannot be read.
    """
    table = pq.read_table(path, columns=["message_id", "received_at"], partitioning=None)
    times = table.column("received_at").cast(pa.int64())
    last = max((chunk[-1].as_py() for chunk in times.chunks if len(chunk)), default=0)
    return table.column("message_id").to_pylist(), last // 1000
