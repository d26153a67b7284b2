"""Getting a request's body: within a time, within a size, and inflated within another size."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.collector.refusal import Reason, Refusal
from penstock.transport.compression import (
    CorruptBodyError,
    InflatedTooLargeError,
    UnknownCodecError,
    decompress,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.collector.load import Load

    Receive = Callable[[], Awaitable[dict[str, Any]]]

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


class Gone(Exception):  # noqa: N818 - nobody is left to be told
    """The client closed the connection before its body was complete."""


async def read_bytes(receive: Receive, limit: int, timeout_s: float, load: Load) -> bytes:
    """
    Read the whole body.

    Args:
        receive: ASGI's.
        limit: Bytes it may have.
        timeout_s: Time in seconds for all of it.
        load: Counts what is held.

    Raises:
        Refusal: Too large, too slow, or too much is held already.
        Gone: The client went away.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise Gone
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit:
                    raise Refusal(Reason.TOO_LARGE, f"at most {limit} bytes")
                load.hold(len(chunk))
                chunks.append(chunk)
                more = message.get("more_body", False)
    except TimeoutError:
        raise Refusal(Reason.SLOW) from None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


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
