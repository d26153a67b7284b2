"""
The newest requests as they came, kept a while after they were sealed.

The log forgets what is sealed. Who looks for a fault wants to see what the client sent, minutes
later, so the debugger gives each segment of the log a second name (a hard link, which copies
nothing) in ``STORE/recent``, and removes the oldest when they are too many. It is a convenience:
nothing is lost with it but this view.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from typing import TYPE_CHECKING, NamedTuple

from penstock.collector.decoding.inflating import inflated
from penstock.collector.decoding.requests import MOST_INFLATED
from penstock.collector.log.entry import Head, unpacked
from penstock.collector.log.reading import LaneReader, lane_paths
from penstock.collector.refusal import Refusal
from penstock.journal._segment import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.collector.layout import Layout

#: Bytes kept; a segment is 16 MiB.
KEPT_BYTES = 256 * 1024 * 1024
#: Seconds since a segment was written to, after which it is removed.
KEPT_S = 24 * 3600.0


class Kept(NamedTuple):
    """A request as it lies in the log."""

    lane: str
    #: Its ordinal there.
    request: int
    head: Head
    #: As it came, still compressed if it came so.
    body: bytes

    @property
    def place(self) -> tuple[int, int]:
        """What a row of the store knows of it: the ordinal, and microseconds since 1970."""
        return self.request, self.head.received_at * 1000

    @property
    def text(self) -> bytes:
        """The body inflated, or as it came if that cannot be."""
        try:
            return inflated(self.body, self.head.encoding, MOST_INFLATED)
        except Refusal:
            return self.body


def keep(layout: Layout, most_bytes: int = KEPT_BYTES) -> None:
    """
    Give new segments a second name, and remove the oldest beyond *most_bytes* or `KEPT_S`.

    On a disk that has less room than that nothing is kept: what comes needs it more.

    Raises:
        OSError: The disk is full or failing, or knows no hard links.
    """
    lanes = lane_paths(layout.log)
    if lanes and shutil.disk_usage(layout.log).free < most_bytes:
        most_bytes = 0
    for lane in lanes if most_bytes else ():
        there = layout.recent / lane.name
        there.mkdir(mode=0o700, parents=True, exist_ok=True)
        for segment in lane.glob(f"*{SUFFIX}"):
            with contextlib.suppress(FileExistsError, FileNotFoundError):
                os.link(segment, there / segment.name)
    _trim(layout.recent, most_bytes)


def _trim(directory: Path, most_bytes: int) -> None:
    segments = [path for lane in lane_paths(directory) for path in sorted(lane.glob(f"*{SUFFIX}"))]
    left, since = most_bytes, time.time() - KEPT_S
    for path in sorted(segments, key=_written_at, reverse=True):
        left -= path.stat().st_size
        if left < 0 or _written_at(path) < since:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # others are in it still
                path.parent.rmdir()


def _written_at(path: Path) -> float:
    return path.stat().st_mtime


def forget(layout: Layout) -> None:
    """Drop everything; somebody's data was deleted, and it may be anywhere in it."""
    shutil.rmtree(layout.recent, ignore_errors=True)


def requests(layout: Layout) -> Iterator[Kept]:
    """All requests there still are, in the log or kept: the newest segment first."""
    for lane, segment in _segments(layout):
        yield from _in_segment(lane, segment)


def _segments(layout: Layout) -> list[tuple[str, Path]]:
    """Each segment once, though it may lie in two places."""
    found: dict[tuple[str, str], tuple[float, Path]] = {}
    for directory in (layout.log, layout.recent):
        for lane in lane_paths(directory):
            for path in lane.glob(f"*{SUFFIX}"):
                with contextlib.suppress(FileNotFoundError):
                    found.setdefault((lane.name, path.name), (_written_at(path), path))
    ordered = sorted(found.items(), key=lambda item: -item[1][0])
    return [(lane, path) for (lane, _name), (_at, path) in ordered]


class _OneSegment(LaneReader):
    """A lane of which only one segment is wanted."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.parent)
        self._number = int(path.stem)
        self.complete = True

    def _numbers(self) -> list[int]:
        return [self._number]


def _in_segment(lane: str, path: Path) -> Iterator[Kept]:
    reader = _OneSegment(path)
    try:
        while (entry := reader.next()) is not None:
            with contextlib.suppress(ValueError):  # wiped, or not written by a worker
                yield Kept(lane, entry.ordinal, *unpacked(entry.payload))
    finally:
        reader.close()


def requests_at(layout: Layout, request: int) -> Iterator[Kept]:
    """The requests with this ordinal, of any lane."""
    for directory in (layout.recent, layout.log):
        for path in lane_paths(directory):
            reader = LaneReader(path, request - 1)
            reader.complete = True
            try:
                entry = reader.next()
                if entry is not None and entry.ordinal == request:
                    yield Kept(path.name, request, *unpacked(entry.payload))
            except ValueError:  # wiped
                continue
            finally:
                reader.close()
