"""
lz-string, as PostHog's JavaScript SDK used it before it had gzip: ``compression=lz64``.

LZW over UTF-16 code units, with codes that grow from two bits, packed into base64.

Source: pieroxy/lz-string, the format as its decoder reads it.
"""

from __future__ import annotations

from penstock.collector.refusal import Reason, Refusal

#: Most characters read: unpacking is Python, about 20 ms for so many.
MOST_BYTES = 256 * 1024

_BITS = 6
_SIX_BITS = {
    letter: f"{value:06b}"
    for value, letter in enumerate(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    )
}
#: Codes with a meaning of their own: a character of 8 bits, one of 16, the end.
_BYTE, _WIDE, _END = 0, 1, 2
_FIRST_CODE = 3


class _Bits:
    """Numbers out of base64 letters, each with its lowest bit first."""

    def __init__(self, letters: str) -> None:
        self._text = "".join([_SIX_BITS[letter] for letter in letters])
        self._at = 0

    def take(self, width: int) -> int:
        """The next *width* bits; raises `ValueError` at the end."""
        end = self._at + width
        bits = self._text[self._at : end]
        if len(bits) < width:
            raise ValueError("truncated")
        self._at = end
        return int(bits[::-1], 2)


def decompress(data: bytes, limit_bytes: int) -> bytes:
    """
    The text in *data*, as UTF-8.

    Args:
        data: Base64 letters.
        limit_bytes: More text than this is refused.

    Raises:
        Refusal: It is damaged or too large.
    """
    if len(data) > MOST_BYTES:
        raise Refusal(Reason.TOO_LARGE, f"at most {MOST_BYTES} bytes of lz64")
    try:
        letters = data.decode("ascii").replace(" ", "+").rstrip("=")
        units = _units(_Bits(letters), limit_bytes)
        return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()
    except (ValueError, KeyError, IndexError):  # includes UnicodeError
        raise Refusal(Reason.BAD_COMPRESSION, "not lz64") from None


def _units(bits: _Bits, limit: int) -> str:
    """Everything up to the end mark."""
    width = 2
    previous = _literal(bits, bits.take(width))
    if not previous:
        return ""
    known = ["", "", "", previous]
    parts, size, width = [previous], 1, 3
    # A new character takes a code, and so does each pair of neighbours: codes get wider.
    while True:
        code = bits.take(width)
        if code == _END:
            return "".join(parts)
        if code < _FIRST_CODE:
            known.append(_literal(bits, code))
            width = max(width, len(known).bit_length())
            code = len(known) - 1
        entry = known[code] if code < len(known) else _repeated(previous, code, len(known))
        known.append(previous + entry[0])
        width = max(width, len(known).bit_length())
        parts.append(entry)
        size += len(entry)
        if size > limit:
            raise Refusal(Reason.TOO_LARGE, f"at most {limit} bytes inflated")
        previous = entry


def _literal(bits: _Bits, code: int) -> str:
    """A character spelt out; empty for the end."""
    if code == _END:
        return ""
    if code not in {_BYTE, _WIDE}:
        raise ValueError("no character")
    return chr(bits.take(8 if code == _BYTE else 16))


def _repeated(previous: str, code: int, following: int) -> str:
    """The one entry that may be named before it is known."""
    if code != following:
        raise ValueError("no such entry")
    return previous + previous[0]
