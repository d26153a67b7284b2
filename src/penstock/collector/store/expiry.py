"""Retention: partitions of days that are long over are deleted, per source."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from penstock.collector.layout import TABLES, day_of

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.collector.config import Retention
    from penstock.collector.layout import Layout, SealedFile
    from penstock.collector.store.catalog import Catalog

_S_PER_DAY = 86_400
_MS = 1000


def expire(layout: Layout, catalog: Catalog, retention: Retention, now_s: float) -> int:
    """
    Have files of days that are over stop counting.

    Args:
        layout: The store.
        catalog: Its catalog.
        retention: How many days each source is kept, today not counted.
        now_s: Seconds since 1970.

    Returns:
        How many files.

    Raises:
        OSError: The disk is full or failing.
    """
    if retention.days is None and not retention.sources:
        return 0
    old = [
        file
        for table in TABLES
        for file in catalog.files(table)
        if not file.is_fresh and _is_over(file, retention, now_s)
    ]
    if old:
        catalog.commit([], replaced=old)
    _remove_empty(layout)
    return len(old)


def _is_over(file: SealedFile, retention: Retention, now_s: float) -> bool:
    days = retention.days_of(file.source)
    return days is not None and file.day < day_of(int((now_s - days * _S_PER_DAY) * _MS))


def _remove_empty(layout: Layout) -> None:
    """Directories whose files have gone; one that is not empty stays."""
    for table in TABLES:
        for day in layout.days(table):
            for directory in (*_inside(day), day):
                with contextlib.suppress(OSError):
                    directory.rmdir()


def _inside(day: Path) -> list[Path]:
    with contextlib.suppress(FileNotFoundError):
        return list(day.iterdir())
    return []
