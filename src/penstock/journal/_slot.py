"""
A small JSON document that survives being killed while it is written.

The buffer has two halves. A write goes to the half that is not current and becomes current
with its sequence number; a reader takes the valid half with the higher one. So a torn write
costs the last change, never the document.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any
from zlib import crc32

import orjson

from penstock.journal.record import SEAL_PRIME

if TYPE_CHECKING:
    from penstock.journal._segment import Buffer

_HALF = struct.Struct("<IIQ")  # length, CRC-32 of sequence and document, sequence


class Slot:
    """
    Two halves of *buffer* holding one JSON object.

    Args:
        buffer: Its length is twice the room, header included, that a document has.
    """

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._half = len(buffer) // 2
        self._sequence = 0

    @property
    def room(self) -> int:
        """Bytes of JSON that fit."""
        return self._half - _HALF.size

    def load(self) -> dict[str, Any] | None:
        """The current document, or None when nothing valid was ever written."""
        found = [half for half in (self._read(0), self._read(self._half)) if half]
        if not found:
            return None
        self._sequence, document = max(found, key=lambda half: half[0])
        return document

    def store(self, document: bytes) -> None:
        """Make *document* (a JSON object, at most `room` bytes) the current one."""
        self._sequence += 1
        start = self._half * (self._sequence & 1)
        body = start + _HALF.size
        self._buffer[body : body + len(document)] = document
        checksum = crc32(document, self._sequence % SEAL_PRIME)
        _HALF.pack_into(self._buffer, start, len(document), checksum, self._sequence)

    def _read(self, start: int) -> tuple[int, dict[str, Any]] | None:
        length, checksum, sequence = _HALF.unpack_from(self._buffer, start)
        if not sequence or length > self.room:
            return None
        body = start + _HALF.size
        document = bytes(self._buffer[body : body + length])
        if crc32(document, sequence % SEAL_PRIME) != checksum:
            return None
        loaded = orjson.loads(document)
        return (sequence, loaded) if isinstance(loaded, dict) else None
