"""
Overwriting what the log holds of requests that are sealed.

A segment is deleted when all of it is sealed; the one being written stays, with requests whose
events may just have been deleted from the files. Their payloads are overwritten in place, and
what the debugger kept of earlier ones (`penstock.collector.store.recent`) goes as a whole. The
records stay records, with their ordinals and a checksum that holds, so whoever follows the lane
walks over them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from penstock.collector.log.lane import REQUEST
from penstock.collector.log.reading import lane_paths
from penstock.collector.store import recent
from penstock.collector.store.catalog import sync_all
from penstock.journal._segment import SEGMENT_HEADER_BYTES, SUFFIX
from penstock.journal.record import HEADER, HEADER_BYTES, MAGIC, checksum, seal, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from penstock.collector.layout import Layout


def wipe_log(layout: Layout, lanes: Mapping[str, int]) -> None:
    """
    Overwrite the payloads of sealed requests.

    Args:
        layout: The store.
        lanes: ``{lane: last ordinal sealed}``

    Raises:
        OSError: The disk is failing.
    """
    recent.forget(layout)
    for lane in lane_paths(layout.log):
        for segment in sorted(lane.glob(f"*{SUFFIX}")):
            try:
                _wipe(segment, lanes.get(lane.name, 0))
            except FileNotFoundError:  # sealed and removed meanwhile
                continue
        sync_all([lane])  # a segment that was removed just now must not come back


def _wipe(segment: Path, through: int) -> None:
    fd = os.open(segment, os.O_RDWR)
    try:
        for offset, captured_at, ordinal, length in _records(fd):
            if ordinal > through:
                break
            empty = bytes(length)
            crc = seal(checksum(empty), REQUEST, 0, length, captured_at, ordinal)
            header = HEADER.pack(MAGIC, REQUEST, 0, length, crc, captured_at, ordinal)
            os.pwrite(fd, header + empty, offset)
        os.fsync(fd)
    finally:
        os.close(fd)


def _records(fd: int) -> Iterator[tuple[int, int, int, int]]:
    """``(offset, captured at, ordinal, payload bytes)`` of the records from the start on."""
    offset, size = SEGMENT_HEADER_BYTES, os.fstat(fd).st_size
    while offset + HEADER_BYTES <= size:
        found = HEADER.unpack(os.pread(fd, HEADER_BYTES, offset))
        magic, kind, _flags, length, _crc, captured_at, ordinal = found
        if magic != MAGIC or kind != REQUEST:
            return
        yield offset, captured_at, ordinal, length
        offset += span(length)
