"""Parquet, a few thousand rows in memory at a time."""

from __future__ import annotations

import datetime as dt
import math
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from penstock.errors import MissingExtraError
from penstock.importing.rows import BadRow, BadValue, Row, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BATCH_ROWS = 4096


def read_parquet(path: Path) -> Iterator[Row | BadRow]:
    """
    The rows of a Parquet file, with values as JSON has them.

    Timestamps become RFC 3339 text (one without a zone is taken as UTC), dates ISO text,
    decimals numbers, durations seconds, and binary columns text if they are UTF-8.

    Raises:
        MissingExtraError: pyarrow is not installed.
        SourceError: It is not a Parquet file.
    """
    number = 0
    for batch in _batches(path):
        for values in batch.to_pylist():
            number += 1
            try:
                plain = {name: _plain(value) for name, value in values.items() if value is not None}
            except BadValue as error:
                yield BadRow(number, None, str(error), None)
                continue
            yield Row(number, None, plain, None)


def parquet_columns(path: Path) -> list[str]:
    """
    The names of the columns.

    Raises:
        MissingExtraError: pyarrow is not installed.
        SourceError: It is not a Parquet file.
    """
    with _opened(path) as file:
        return [str(name) for name in file.schema_arrow.names]


def _batches(path: Path) -> Iterator[Any]:
    with _opened(path) as file:
        yield from file.iter_batches(batch_size=_BATCH_ROWS)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("pyarrow", "collector") from None
    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"cannot be read as Parquet: {error}") from None


def _plain(value: Any) -> Any:
    """*value* as JSON can carry it, exactly where that is possible."""
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    return _rarer(value)


def _rarer(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, dt.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).isoformat()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return _text(value)
    raise BadValue(f"no JSON form for a {type(value).__name__}")


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BadValue("a binary value is not UTF-8 text") from None
