"""
Content codings: compressing what we send, inflating what a collector gets.

gzip and deflate come from `isal`, about four times cheaper than zlib at a better ratio, and from
zlib where there is no wheel for it. zstd and Brotli need a package of their own. Inflating is
bounded while it runs: a kilobyte can claim to be a gigabyte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.errors import ConfigError, PenstockError

try:
    from isal import isal_zlib as zlib
except ImportError:  # no wheel for this processor
    import zlib  # type: ignore[no-redef]

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.transport._types import Request

CODECS = ("gzip", "deflate", "zstd", "br")

#: A gzip body may consist of several members. Real ones have one; each costs a copy of the rest.
MAX_MEMBERS = 16
#: Most memory a zstd frame may ask for as its window, in bytes.
MAX_ZSTD_WINDOW = 32 * 1024 * 1024

_ZlibError: type[Exception] = zlib.error  # type: ignore[assignment] # its stub names an instance
_GZIP_WBITS = 31
_ZLIB_WBITS = 15
_PACKAGES = {"zstd": "zstandard", "br": "brotli"}


class InflateError(PenstockError, ValueError):
    """A body that cannot be inflated."""


class CorruptBodyError(InflateError):
    """The body is not, or not all of, what its coding says."""


class InflatedTooLargeError(InflateError):
    """
    The body inflates to more than was allowed.

    Args:
        limit_bytes: What was allowed.
    """

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the body inflates to more than {limit_bytes} bytes")
        self.limit_bytes = limit_bytes


class UnknownCodecError(InflateError):
    """A coding that is not one of `CODECS`, or whose package is not installed."""


def check_installed(codec: str) -> None:
    """
    Make sure that *codec* can be used here.

    Raises:
        ConfigError: It is unknown, or its package is not installed; says which one to install.
    """
    if codec not in CODECS:
        raise ConfigError("compression", codec, f"must be one of {', '.join(CODECS)}")
    if codec in _PACKAGES:
        _import(codec)


def _import(codec: str) -> Any:
    from importlib import import_module

    package = _PACKAGES[codec]
    try:
        return import_module(package)
    except ImportError:
        reason = f"needs the package {package}: pip install {package}"
        raise ConfigError("compression", codec, reason) from None


def compressed(request: Request, codec: str, level: int = 1) -> Request:
    """*request* with its body compressed and ``Content-Encoding`` saying so."""
    headers = {**request.headers, "Content-Encoding": codec}
    return request._replace(headers=headers, body=compress(request.body, codec, level))


def compress(body: bytes, codec: str, level: int = 1) -> bytes:
    """
    Compress *body*; the same bytes give the same result.

    Args:
        body: Any bytes.
        codec: One of `CODECS`.
        level: 0 to 3 for gzip and deflate; the codec's own scale for zstd and Brotli.

    Raises:
        ConfigError: The codec is unknown or its package is not installed.
    """
    if codec == "gzip":
        return bytes(zlib.compress(body, level, _GZIP_WBITS))
    if codec == "deflate":
        return bytes(zlib.compress(body, level, _ZLIB_WBITS))
    check_installed(codec)
    if codec == "zstd":
        return bytes(_import(codec).ZstdCompressor(level=level).compress(body))
    return bytes(_import(codec).compress(body, quality=level))


def decompress(body: bytes, codec: str, limit_bytes: int) -> bytes:
    """
    Inflate *body*, never holding more than *limit_bytes* of the result and a little.

    Args:
        body: What came over the wire.
        codec: ``Content-Encoding`` in any case; ``""`` and ``identity`` mean it is plain.
        limit_bytes: Most bytes the result may have; exactly as many are allowed.

    Raises:
        InflatedTooLargeError: It has more.
        CorruptBodyError: It is truncated, or garbage, or followed by garbage.
        UnknownCodecError: The coding is none of `CODECS` or not installed.
    """
    inflate = _INFLATERS.get(codec.strip().lower())
    if inflate is None:
        raise UnknownCodecError("the content coding is not supported")
    inflated = inflate(body, limit_bytes + 1)
    if len(inflated) > limit_bytes:
        raise InflatedTooLargeError(limit_bytes)
    return inflated


# Each inflater returns at most *most* bytes of the result, or raises.


def _plain(body: bytes, most: int) -> bytes:
    return body[:most]


def _gunzip(body: bytes, most: int) -> bytes:
    parts: list[bytes] = []
    for _ in range(MAX_MEMBERS):
        part, body = _inflate_member(body, most, _GZIP_WBITS)
        parts.append(part)
        most -= len(part)
        if most <= 0 or not body.strip(b"\0"):  # zeros may pad the end
            return b"".join(parts)
    raise CorruptBodyError("the body has too many gzip members")


def _inflate_zlib(body: bytes, most: int) -> bytes:
    inflated, rest = _inflate_member(body, most, _ZLIB_WBITS)
    if rest and len(inflated) < most:
        raise CorruptBodyError("the compressed body is followed by other bytes")
    return inflated


def _inflate_member(body: bytes, most: int, wbits: int) -> tuple[bytes, bytes]:
    """The inflated bytes and what follows the member."""
    inflater = zlib.decompressobj(wbits)
    try:
        inflated = bytes(inflater.decompress(body, most))
    except _ZlibError:
        raise CorruptBodyError("the compressed body is corrupt") from None
    if not inflater.eof and len(inflated) < most:
        raise CorruptBodyError("the compressed body is truncated")
    return inflated, bytes(inflater.unused_data)


def _unzstd(body: bytes, most: int) -> bytes:
    zstd = _installed("zstd")
    inflater = zstd.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW)
    try:
        inflated = bytes(inflater.stream_reader(body).read(most))
        if len(inflated) < most:  # small, so a second look is cheap; this one sees truncation
            whole = inflater.decompressobj()
            whole.decompress(body)
            if not whole.eof or whole.unused_data:
                raise CorruptBodyError("the compressed body is truncated or followed by others")
    except zstd.ZstdError:
        raise CorruptBodyError("the compressed body is corrupt") from None
    return inflated


def _unbrotli(body: bytes, most: int) -> bytes:
    brotli = _installed("br")
    inflater = brotli.Decompressor()
    inflated = b""
    try:
        while len(inflated) < most and not inflater.is_finished():
            wanted = most - len(inflated)
            part = inflater.process(body, output_buffer_limit=wanted)
            if not part and not body:
                raise CorruptBodyError("the compressed body is truncated")
            inflated, body = inflated + part, b""
    except brotli.error:
        raise CorruptBodyError("the compressed body is corrupt") from None
    except TypeError:  # an older one cannot stop in the middle, so it is no use here
        raise UnknownCodecError("br bodies need brotli 1.2 or newer") from None
    return inflated[:most]


def _installed(codec: str) -> Any:
    try:
        return _import(codec)
    except ConfigError:
        raise UnknownCodecError(f"{codec} bodies need the package {_PACKAGES[codec]}") from None


_INFLATERS: dict[str, Callable[[bytes, int], bytes]] = {
    "": _plain,
    "identity": _plain,
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _inflate_zlib,
    "zstd": _unzstd,
    "br": _unbrotli,
}
