r"""
Half characters in JSON: ``"\ud83d"`` without its second half.

JavaScript's ``JSON.stringify`` writes one when a string was cut in the middle of an emoji, and
our decoders refuse the whole body for it. As Go's decoder (Segment, RudderStack) does, such an
escape is replaced by U+FFFD, so that one cut string costs one character.
"""

from __future__ import annotations

import re

_HEX = rb"[0-9a-fA-F]{2}"
_PAIR = rb"\\u[dD][89abAB]" + _HEX + rb"\\u[dD][c-fC-F]" + _HEX
#: What must not be misread (backslashes that stand for themselves, whole pairs), or a lone half.
#: Other escapes are passed over without a match.
_ESCAPE = re.compile(rb"(?:\\\\)+|(?:" + _PAIR + rb")+|(?P<lone>\\u[dD][89a-fA-F]" + _HEX + rb")")
#: What stands for a lone half afterwards.
REPLACEMENT = b"\\ufffd"
#: Matches looked at, about a tenth of a second: a text with more is no text.
_MOST = 200_000


class _TooManyError(Exception):
    """Nobody wrote this."""


def mended(text: bytes) -> bytes:
    """
    The JSON *text* with every lone half replaced.

    Returns:
        Itself when there is none, or when it is made of little else.
    """
    if b"\\ud" not in text and b"\\uD" not in text:
        return text
    left = _MOST

    def replacement(match: re.Match[bytes]) -> bytes:
        nonlocal left
        left -= 1
        if left < 0:
            raise _TooManyError
        return REPLACEMENT if match.group("lone") else match.group()

    try:
        return _ESCAPE.sub(replacement, text)
    except _TooManyError:
        return text
