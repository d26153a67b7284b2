"""Content codings, both ways."""

from __future__ import annotations

import gzip
import sys
import tracemalloc
import zlib
from contextlib import suppress
from importlib.util import find_spec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import ConfigError
from penstock.transport import Request
from penstock.transport.compression import (
    CODECS,
    MAX_MEMBERS,
    CorruptBodyError,
    InflatedTooLargeError,
    InflateError,
    UnknownCodecError,
    check_installed,
    compress,
    compressed,
    decompress,
)

PACKAGES = {"zstd": "zstandard", "br": "brotli"}
#: What this environment can do: gzip and deflate always.
USABLE = [codec for codec in CODECS if codec not in PACKAGES or find_spec(PACKAGES[codec])]

usable = pytest.mark.parametrize("codec", USABLE)
MIB = 1024 * 1024


@usable
@given(body=st.binary(max_size=2000))
def test_what_was_compressed_comes_back(codec: str, body: bytes) -> None:
    """Any bytes, within exactly their own length."""
    assert decompress(compress(body, codec), codec, len(body)) == body


@usable
def test_the_same_body_compresses_to_the_same_bytes(codec: str) -> None:
    """No time of day is in it."""
    assert compress(b"events" * 100, codec) == compress(b"events" * 100, codec)


def test_the_formats_are_the_standard_ones() -> None:
    """The standard library reads what we write; deflate is wrapped in zlib, as RFC 9110 says."""
    assert gzip.decompress(compress(b"body", "gzip")) == b"body"
    assert zlib.decompress(compress(b"body", "deflate")) == b"body"


def test_a_compressed_request_says_so() -> None:
    """The header is added, the rest and the original stay."""
    plain = Request("POST", "https://h/v1/batch", {"Authorization": "Basic x"}, b"{}" * 500)
    sent = compressed(plain, "gzip")
    assert sent.headers == {"Authorization": "Basic x", "Content-Encoding": "gzip"}
    assert (sent.method, sent.url) == (plain.method, plain.url)
    assert gzip.decompress(sent.body) == plain.body
    assert "Content-Encoding" not in plain.headers


@usable
def test_one_byte_over_the_limit_is_too_large(codec: str) -> None:
    """The limit itself is allowed."""
    body = compress(b"x" * 1000, codec)
    assert len(decompress(body, codec, 1000)) == 1000
    with pytest.raises(InflatedTooLargeError) as caught:
        decompress(body, codec, 999)
    assert caught.value.limit_bytes == 999


@usable
def test_a_bomb_is_stopped_while_it_grows(codec: str) -> None:
    """64 MiB from a few KB never exist in memory."""
    bomb = compress(b"\0" * (64 * MIB), codec)
    tracemalloc.start()
    with pytest.raises(InflatedTooLargeError):
        decompress(bomb, codec, MIB)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MIB


@usable
def test_half_a_body_is_corrupt(codec: str) -> None:
    """Every cut is noticed, also the one that costs only the checksum."""
    body = compress(b"an event " * 50, codec)
    for cut in range(len(body)):
        with pytest.raises(CorruptBodyError):
            decompress(body[:cut], codec, 1000)


@usable
@given(garbage=st.binary(min_size=1, max_size=200))
def test_garbage_is_refused_or_read_but_nothing_else(codec: str, garbage: bytes) -> None:
    """Any bytes give an answer of at most the limit, or one named error."""
    with suppress(InflateError):
        assert len(decompress(garbage, codec, 500)) <= 500


@usable
def test_bytes_behind_the_body_are_refused(codec: str) -> None:
    """Two readers must not disagree on where it ends."""
    with pytest.raises(CorruptBodyError):
        decompress(compress(b"body", codec) + b"more", codec, 100)


def test_gzip_members_are_read_one_after_the_other() -> None:
    """As the format allows, zeros at the end included, and the limit is for all of them."""
    body = gzip.compress(b"ab") + gzip.compress(b"cd")
    assert decompress(body + b"\0\0", "gzip", 4) == b"abcd"
    with pytest.raises(InflatedTooLargeError):
        decompress(body, "gzip", 3)


def test_endless_empty_members_are_refused() -> None:
    """Each costs work and gives nothing."""
    body = gzip.compress(b"")
    assert decompress(body * MAX_MEMBERS, "gzip", 1) == b""
    with pytest.raises(CorruptBodyError):
        decompress(body * (MAX_MEMBERS + 1), "gzip", 1)


@pytest.mark.parametrize("codec", ["", "identity", " Identity "])
def test_a_plain_body_has_a_limit_too(codec: str) -> None:
    """No coding, same rule."""
    assert decompress(b"body", codec, 4) == b"body"
    with pytest.raises(InflatedTooLargeError):
        decompress(b"body", codec, 3)


def test_codings_are_named_in_any_case() -> None:
    """HTTP's are case-insensitive, and x-gzip is gzip."""
    assert decompress(compress(b"body", "gzip"), " X-GZIP ", 4) == b"body"


@pytest.mark.parametrize("codec", ["lzma", "gzip, gzip", "compress"])
def test_an_unknown_coding_is_named_as_such(codec: str) -> None:
    """A sender is told by an error for settings, a receiver by one for bodies."""
    with pytest.raises(UnknownCodecError):
        decompress(b"body", codec, 10)
    with pytest.raises(ConfigError, match="compression"):
        compress(b"body", codec)


@pytest.mark.parametrize(("codec", "package"), PACKAGES.items())
def test_a_codec_without_its_package_says_what_to_install(
    codec: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the client is built, and when a body comes in."""
    monkeypatch.setitem(sys.modules, package, None)
    for use in (check_installed, lambda codec: compress(b"", codec)):
        with pytest.raises(ConfigError, match=f"pip install {package}"):
            use(codec)
    with pytest.raises(UnknownCodecError, match=package):
        decompress(b"body", codec, 10)
