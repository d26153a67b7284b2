"""
One journal record: a 24-byte header, then the event's neutral JSON.

    offset  size  field
    0       2     magic 0x4E50, little endian: the bytes ``PN``
    2       1     kind (`penstock.kinds.Kind`)
    3       1     flags
    4       4     length of the payload in bytes
    8       4     CRC-32 of the payload, mixed with the rest of the header (`seal`)
    12      4     captured at, seconds since 1970 (age counts from here)
    16      8     ordinal: 1, 2, 3 ... within the lane

Records start at multiples of eight. The payload is stored first and the header last, so a
record counts once its header is there: a process killed in between leaves eight-aligned zeros
where the header would be. A reader that finds neither a valid record nor the end looks for the
next magic whose checksum holds, so one bad record never hides a good one; the ordinals tell
how many were lost between.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from penstock.native import NATIVE

try:
    from isal import isal_zlib as _crc  # 0.04 µs for 520 bytes, against 0.21 µs for zlib's
except ImportError:  # no wheel for this processor
    import zlib as _crc  # type: ignore[no-redef]

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.journal._segment import Buffer

#: CRC-32, ``checksum(data) -> int``.
checksum: Callable[[bytes], int] = _crc.crc32

MAGIC = 0x4E50
MAGIC_BYTES = b"PN"
HEADER = struct.Struct("<HBBIIIQ")
HEADER_BYTES = HEADER.size
ALIGN = 8

#: The largest prime below 2**32.
SEAL_PRIME = 4_294_967_291

#: The kind of a record whose writer was interrupted (a signal handler raised): never an event.
VOID = 0

#: The event names destinations in ``integrations``: look before sending.
FLAG_SELECTIVE = 1
#: The event is part of a historical import (PostHog's ``historical_migration``).
FLAG_HISTORICAL = 2


class Record(NamedTuple):
    """An event as it lies in the journal."""

    ordinal: int
    kind: int
    flags: int
    #: Seconds since 1970, by the capturing host's clock.
    captured_at: int
    #: Neutral JSON, UTF-8; see docs/journal.md.
    payload: bytes


#: A third cheaper than calling the class, which is a Python function around this.
_record = tuple.__new__


class Scan(NamedTuple):
    """What one look at a segment found."""

    records: list[Record]
    #: Where the next look starts.
    offset: int
    #: Ordinal of the last record or void passed; 0 when there was none.
    last: int
    #: Ordinals of the records passed whose writers were interrupted.
    voids: list[int]


class Wanted(NamedTuple):
    """Which records make a run; see `run_of`."""

    #: At most so many.
    records: int
    #: Bytes that their payloads may take, each with *between* after it.
    room: int
    #: What goes between two payloads.
    between: bytes
    #: Bytes of the largest payload.
    largest: int
    #: Their kinds are below this one.
    below: int
    #: They have none of these flags.
    without: int
    #: None was captured earlier, in seconds since 1970.
    oldest: float


class Run(NamedTuple):
    """
    Records that lie one after the other: three objects for a batch, not some for each.

    Attributes:
        body: Their payloads, with `Wanted.between` in between.
        heads: Their headers, `HEADER_BYTES` each.
        gap: Bytes between two payloads.
    """

    body: bytes
    heads: bytes
    gap: int

    @classmethod
    def of(cls, stretches: list[Stretch], between: bytes) -> Run:
        """The run that begins with the first of *stretches* and ends with the last."""
        body = between.join([stretch.body for stretch in stretches])  # of one it is that one
        return cls(body, b"".join([stretch.heads for stretch in stretches]), len(between))

    @property
    def ordinals(self) -> range:
        """Their ordinals, which have no gap."""
        first: int = HEADER.unpack_from(self.heads)[-1]
        return range(first, first + len(self.heads) // HEADER_BYTES)

    @property
    def oldest(self) -> int:
        """When the first of them was captured, in seconds since 1970."""
        oldest: int = min(head[-2] for head in HEADER.iter_unpack(self.heads))
        return oldest

    def records(self) -> list[Record]:
        """One by one."""
        records, start = [], 0
        for _, kind, flags, length, _, captured_at, ordinal in HEADER.iter_unpack(self.heads):
            payload = self.body[start : start + length]
            records.append(Record(ordinal, kind, flags, captured_at, payload))
            start += length + self.gap
        return records


def span(payload_bytes: int) -> int:
    """Bytes a record of this payload takes in a segment, padding included."""
    return (HEADER_BYTES + payload_bytes + ALIGN - 1) & -ALIGN


def seal(  # noqa: PLR0917 - the fields of a header, in their order
    payload_crc: int, kind: int, flags: int, length: int, captured_at: int, ordinal: int
) -> int:
    """
    The checksum of a record from that of its payload.

    Folding the header in here costs a few integer operations instead of a second checksum
    call, and a flipped bit in any header field still makes the record invalid: the remainder
    by a prime, not by a power of two, lets the high half of the ordinal count as well. It is
    folded in last, so that the payload's part is known before the ordinal is.
    """
    mixed = captured_at ^ ordinal ^ (length << 8) ^ (kind << 24) ^ (flags << 16)
    return payload_crc ^ (mixed % SEAL_PRIME)


def scan(
    buffer: Buffer,
    offset: int,
    end: int,
    *,
    verify: bool,
    max_records: int,
    max_bytes: int,
) -> Scan:
    """
    Read records from *offset* on, skipping whatever is not one.

    Args:
        buffer: A segment.
        offset: A multiple of eight.
        end: No record reaches beyond this.
        verify: Check every CRC; off only for records this very process wrote.
        max_records: Stop after this many.
        max_bytes: Stop before the payloads read exceed this; one record is always taken.

    Returns:
        The records, and where the next read starts: *end* when there is nothing more.
    """
    if NATIVE is not None:
        check = checksum if verify else None
        return Scan(*NATIVE.scan(buffer, offset, end, max_records, max_bytes, Record, check))
    records: list[Record] = []
    voids: list[int] = []
    last = 0
    unpack = HEADER.unpack_from
    while offset + HEADER_BYTES <= end and len(records) < max_records:
        magic, kind, flags, length, crc, captured_at, ordinal = unpack(buffer, offset)
        start = offset + HEADER_BYTES
        stop = start + length
        valid = magic == MAGIC and ordinal > 0 and stop <= end
        if valid:
            payload = bytes(buffer[start:stop])
            valid = not verify or crc == seal(
                checksum(payload), kind, flags, length, captured_at, ordinal
            )
        if not valid:
            offset = next_magic(buffer, offset + ALIGN, end)
            continue
        if kind == VOID:
            voids.append(ordinal)
        else:
            if length > max_bytes and records:
                break
            max_bytes -= length
            records.append(_record(Record, (ordinal, kind, flags, captured_at, payload)))
        last = ordinal
        offset = (stop + ALIGN - 1) & -ALIGN
    return Scan(records, offset if offset + HEADER_BYTES <= end else end, last, voids)


class Stretch(NamedTuple):
    """What of a run one look at a segment found; it may be nothing."""

    #: Where the next look starts.
    offset: int
    #: As `Run.body`.
    body: bytes
    #: As `Run.heads`.
    heads: bytes
    #: What is left of `Wanted.room`.
    room: int


def run_of(
    buffer: Buffer, offset: int, end: int, last: int, wanted: Wanted, *, verify: bool
) -> Stretch | None:
    """
    Read on as `scan` does, for as long as the records are wanted and their ordinals have no gap.

    Args:
        buffer: A segment.
        offset: A multiple of eight.
        end: No record reaches beyond this.
        last: Ordinal of the record before *offset*.
        wanted: Which records, and how many more.
        verify: As for `scan`.

    Returns:
        None where another record is in the way.
    """
    read = _run_of if NATIVE is None else NATIVE.run_of
    found = read(buffer, offset, end, last, checksum if verify else None, *wanted)
    return found and Stretch(*found)


def _run_of(  # noqa: PLR0917 - as its native twin
    buffer: Buffer,
    offset: int,
    end: int,
    last: int,
    check: Callable[[bytes], int] | None,
    records: int,
    room: int,
    between: bytes,
    largest: int,
    below: int,
    without: int,
    oldest: float,
) -> tuple[int, bytes, bytes, int] | None:
    payloads: list[bytes] = []
    heads: list[bytes] = []
    while offset + HEADER_BYTES <= end and len(heads) < records:
        magic, kind, flags, length, crc, captured_at, ordinal = HEADER.unpack_from(buffer, offset)
        start = offset + HEADER_BYTES
        is_next = magic == MAGIC and ordinal == last + 1 and start + length <= end
        is_meant = VOID < kind < below and not flags & without and captured_at >= oldest
        if not is_next or not is_meant or length > largest:
            return None
        payload = bytes(buffer[start : start + length])
        if check and crc != seal(check(payload), kind, flags, length, captured_at, ordinal):
            return None
        if length + len(between) > room:
            break
        payloads.append(payload)
        heads.append(bytes(buffer[offset:start]))
        room -= length + len(between)
        last = ordinal
        offset = (start + length + ALIGN - 1) & -ALIGN
    read_to = offset if offset + HEADER_BYTES <= end else end
    return read_to, between.join(payloads), b"".join(heads), room


def next_magic(buffer: Buffer, offset: int, end: int) -> int:
    """Offset of the next possible record at or after *offset*; *end* when there is none."""
    found = buffer.find(MAGIC_BYTES, offset, end)
    while found != -1 and found % ALIGN:
        found = buffer.find(MAGIC_BYTES, found + 1, end)
    return end if found == -1 else found
