"""
A set of 16-byte digests in about 20 bytes each.

Python's own set takes five times that: an object and a slot per member. Here many digests share
one ``bytes`` object, a bucket, and are looked for with ``bytes.find``, which costs about as much
as a comparison. Buckets are split one at a time while the set grows (linear hashing), so nothing
ever waits for a whole table to be built anew.

The bucket is chosen by Python's keyed hash: whoever chooses the ids cannot choose the bucket.
"""

from __future__ import annotations

import hashlib
from binascii import Error, unhexlify
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DIGEST_BYTES = 16
#: Digests in a bucket on average: less costs memory, more costs time.
_FILL = 12
#: Characters of a UUID as text.
_UUID = 36


class DigestSet:
    """Digests that were seen; each has `DIGEST_BYTES` bytes."""

    __slots__ = ("_buckets", "_count", "_mask", "_next")

    def __init__(self) -> None:
        self._buckets = [b""]
        self._count = 0
        #: The buckets of this round are ``_mask + 1``; those before `_next` are split already.
        self._mask = 0
        self._next = 0

    def __len__(self) -> int:
        """How many."""
        return self._count

    def known(self, digests: Sequence[bytes]) -> list[bool]:
        """For each, whether it was seen."""
        buckets = self._buckets
        places = self._places(digests)
        ends = [buckets[p].find(d) for p, d in zip(places, digests, strict=True)]
        if not any(end % DIGEST_BYTES for end in ends if end != -1):
            return [end != -1 for end in ends]
        return [_has(buckets[p], d) for p, d in zip(places, digests, strict=True)]

    def add(self, digests: Sequence[bytes]) -> list[bool]:
        """Add all; for each, whether it was new."""
        buckets = self._buckets
        places = self._places(digests)
        ends = [buckets[p].find(d) for p, d in zip(places, digests, strict=True)]
        # The hottest loop of the collector. Nearly always, all are new.
        if max(ends, default=-1) < 0 and len(set(digests)) == len(digests):
            for place, digest in zip(places, digests, strict=True):
                buckets[place] += digest
            self._grow(len(digests))
            return [True] * len(digests)
        fresh: list[bool] = []
        for place, digest in zip(places, digests, strict=True):
            fresh.append(not _has(buckets[place], digest))
            if fresh[-1]:
                buckets[place] += digest
        self._grow(sum(fresh))
        return fresh

    def _places(self, digests: Sequence[bytes]) -> list[int]:
        """The bucket of each."""
        mask, split, twice = self._mask, self._next, 2 * self._mask + 1
        keys = map(hash, digests)
        return [place if (place := key & mask) >= split else key & twice for key in keys]

    def _grow(self, added: int) -> None:
        self._count += added
        while self._count > _FILL * len(self._buckets):
            self._split()

    def _split(self) -> None:
        """Divide the next bucket between itself and a new one at the end."""
        high = self._mask + 1
        bucket = self._buckets[self._next]
        parts: tuple[list[bytes], list[bytes]] = ([], [])
        for start in range(0, len(bucket), DIGEST_BYTES):
            digest = bucket[start : start + DIGEST_BYTES]
            parts[bool(hash(digest) & high)].append(digest)
        self._buckets[self._next] = b"".join(parts[0])
        self._buckets.append(b"".join(parts[1]))
        self._next += 1
        if self._next == high:
            self._mask, self._next = 2 * self._mask + 1, 0


def _has(bucket: bytes, digest: bytes) -> bool:
    """Whether a digest is in a bucket; the end of one and the beginning of the next is none."""
    found = bucket.find(digest)
    while found % DIGEST_BYTES and found != -1:
        found = bucket.find(digest, found + 1)
    return found != -1


def digest_of(message_id: str) -> bytes:
    """
    What stands for an id: a UUID's own 16 bytes, or else a hash of the text.

    UUIDs that differ in case or dashes only are one, as vendors have it. The hash is
    cryptographic: two ids with one digest do not happen.
    """
    if len(message_id) == _UUID:
        try:
            digest = unhexlify(message_id.replace("-", ""))
        except (Error, ValueError):
            digest = b""
        if len(digest) == DIGEST_BYTES:
            return digest
    return hashlib.blake2b(message_id.encode(), digest_size=DIGEST_BYTES).digest()
