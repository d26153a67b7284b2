"""A reader of segments and cursors of its own, written from docs/journal.md."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crash_model.image import Image

_HEADER = struct.Struct("<HBBIIIQ")
_MAGIC, _FIRST, _PRIME = 0x4E50, 32, 4294967291


class Found(NamedTuple):
    """A record, and the bytes it takes."""

    path: str
    start: int
    stop: int
    ordinal: int
    kind: int
    flags: int
    captured_at: int
    payload: bytes


def records(image: Image) -> Iterator[Found]:
    """Every valid record of an event in the segments of the lanes of *image*."""
    for path, content in image.items():
        if content is not None and path.endswith(".seg") and "/lane-" in path:
            yield from _segment(path, content)


def _segment(path: str, content: bytes) -> Iterator[Found]:
    offset = _FIRST
    while (offset := content.find(b"PN", offset)) != -1:
        start = offset
        offset += 1
        if start % 8 or start + _HEADER.size > len(content):
            continue
        _magic, kind, flags, length, crc, captured_at, ordinal = _HEADER.unpack_from(content, start)
        stop = start + _HEADER.size + length
        payload = content[start + _HEADER.size : stop]
        mixed = captured_at ^ ordinal ^ length << 8 ^ kind << 24 ^ flags << 16
        if zlib.crc32(payload) ^ mixed % _PRIME != crc or stop > len(content):
            continue
        offset = stop
        if kind:
            yield Found(path, start, stop, ordinal, kind, flags, captured_at, payload)
