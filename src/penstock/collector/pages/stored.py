"""What the files of a store hold, as far as the debugger asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from penstock.collector.layout import SealedFile
    from penstock.collector.pages.arrival import Place

_COLUMNS = ["message_id", "request", "position", "received_at"]


def rows_by_minute(files: Iterable[SealedFile], since: float) -> dict[int, int]:
    """
    How many rows arrived in each minute, ``{minutes since 1970: rows}``.

    Args:
        files: Of the store.
        since: Seconds since 1970; minutes before are left out.

    Raises:
        OSError: A file is gone.
    """
    found: dict[int, int] = {}
    for file in files:
        if file.extent.last >= since * 1000:
            with pq.ParquetFile(file.path) as opened:
                times = opened.read(["received_at"]).column(0).cast(pa.int64())
            for count in pc.value_counts(pc.divide(times, 60_000_000)).to_pylist():
                minute = count["values"]
                found[minute] = found.get(minute, 0) + count["counts"]
    return {minute: rows for minute, rows in found.items() if minute >= since // 60}


def places_in(path: Path, ids: set[str]) -> set[Place]:
    """
    The places of the rows that have one of these message ids.

    Raises:
        OSError: The file is gone.
    """
    with pq.ParquetFile(path) as file:
        rows = file.read(_COLUMNS)
    rows = rows.filter(pc.is_in(rows.column("message_id"), pa.array(sorted(ids), pa.string())))
    columns = [rows.column(name).to_pylist() for name in _COLUMNS[:3]]
    times = rows.column("received_at").cast(pa.int64()).to_pylist()
    return set(zip(*columns, times, strict=True))
