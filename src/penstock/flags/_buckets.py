"""
Shares of the population: which part of them a person falls into, the same on every machine.

A person's place is a number from 0 to 1, made of the first 60 bits of a SHA-1. Shares are turned
into digests when definitions are compiled, so evaluation compares bytes with bytes: no conversion
to a number is left to do, and the outcome is the same to the last bit.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from functools import lru_cache, partial
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from hashlib import _Hash

#: The hash. Python's own is half the price of OpenSSL's for a few bytes; an interpreter may be
#: built without it. Nothing here is about security.
sha1: Callable[[bytes], _Hash]
try:
    sha1 = import_module("_sha1").sha1
except ImportError:
    sha1 = partial(hashlib.sha1, usedforsecurity=False)

_BITS = 60
#: Bits of the first eight bytes that are not part of the place.
_SPARE_BITS = 4
_HEX_DIGITS = 15
_SCALE = float(0xFFFFFFFFFFFFFFF)
_NO_DIGEST = b"\xff" * 21
VARIANT_SALT = "variant"
HOLDOUT_PREFIX = "holdout-"


def digest(text: str) -> bytes:
    """The digest of prefix, person and salt, put together."""
    return sha1(text.encode()).digest()


def place(prefix: str, who: str, salt: str = "") -> float:
    """
    Where *who* is between 0 and 1.

    Args:
        prefix: The flag's key and a point; ``holdout-`` for holdouts.
        who: Distinct id, device id or group key.
        salt: ``variant`` for the choice of a variant.
    """
    return place_of(digest(prefix + who + salt))


def place_of(found: bytes) -> float:
    """The number behind a digest."""
    return int(found.hex()[:_HEX_DIGITS], 16) / _SCALE


@lru_cache(maxsize=4096)
def beyond(share: float) -> bytes:
    """
    The first digest whose place is greater than *share*.

    ``digest(...) >= beyond(share)`` is ``place(...) > share``.
    """
    return _first(lambda number: number / _SCALE > share)


@lru_cache(maxsize=4096)
def reaching(share: float) -> bytes:
    """The first digest whose place is at least *share*."""
    return _first(lambda number: number / _SCALE >= share)


def steps(shares: Iterable[tuple[str, float]]) -> tuple[Sequence[bytes], Sequence[str | None]]:
    """
    Lay shares side by side from 0, and cut at every border.

    Args:
        shares: ``(name, share)``, 1 being all.

    Returns:
        Borders in order, and one name more than borders: ``names[bisect_right(borders, digest)]``.
        None where nobody's share is. A later share never takes what an earlier one has.
    """
    spans, low = [], 0.0
    for name, share in shares:
        high = low + share
        spans.append((name, reaching(low), reaching(high)))
        low = high
    borders = sorted({border for _, *both in spans for border in both})
    return borders, [_owner(spans, at) for at in [b"", *borders]]


def _owner(spans: Sequence[tuple[str, bytes, bytes]], at: bytes) -> str | None:
    return next((name for name, low, high in spans if low <= at < high), None)


def _first(holds: object) -> bytes:
    number = bisect_left(range(1 << _BITS), True, key=holds)  # type: ignore[call-overload] # noqa: FBT003
    if number == 1 << _BITS:
        return _NO_DIGEST
    found: bytes = (number << _SPARE_BITS).to_bytes(8, "big")
    return found
