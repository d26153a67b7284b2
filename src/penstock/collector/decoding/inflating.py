"""Inflating the body of a request within a size; what it is wins over what it is said to be."""

from __future__ import annotations

from penstock.collector.refusal import Reason, Refusal
from penstock.transport.compression import (
    CorruptBodyError,
    InflatedTooLargeError,
    UnknownCodecError,
    decompress,
)

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
#: ``Content-Encoding`` and PostHog's ``compression=``: the codec. Some need a package of their own.
_ENCODINGS = {
    "": "",
    "identity": "",
    "gzip": "gzip",
    "x-gzip": "gzip",
    "gzip-js": "gzip",
    "deflate": "deflate",
    "zstd": "zstd",
    "br": "br",
}


def encoding_of(declared: str, body: bytes) -> str:
    """
    How *body* is compressed; what it is wins over what is declared.

    gzip and zstd have magic bytes. JSON that is declared compressed was inflated by a proxy that
    left the header; Brotli may begin like JSON, so there the header is believed.

    Raises:
        Refusal: The declared encoding is not one we read.
    """
    if body[:2] == _GZIP_MAGIC:
        return "gzip"
    if body[:4] == _ZSTD_MAGIC:
        return "zstd"
    try:
        encoding = _ENCODINGS[declared.strip().lower()]
    except KeyError:
        raise Refusal(Reason.ENCODING) from None
    return "" if body[:1] in {b"{", b"["} and encoding != "br" else encoding


def inflated(body: bytes, encoding: str, limit: int) -> bytes:
    """
    The JSON in *body*.

    Raises:
        Refusal: It is not what *encoding* says, or would exceed *limit* bytes.
    """
    if not encoding:
        return body
    try:
        return decompress(body, encoding, limit)
    except InflatedTooLargeError:
        raise Refusal(Reason.TOO_LARGE, f"at most {limit} bytes inflated") from None
    except UnknownCodecError:
        raise Refusal(Reason.ENCODING) from None
    except CorruptBodyError:
        raise Refusal(Reason.BAD_COMPRESSION) from None
