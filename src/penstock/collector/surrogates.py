r"""
Half characters in JSON: ``"\ud83d"`` without its second half.

JavaScript's ``JSON.stringify`` writes one when a string was cut in the middle of an emoji, and
our decoders refuse the whole body for it. As Go's decoder (Segment, RudderStack) does, such an
escape is replaced by U+FFFD, so that one cut string costs one character.
"""

from __future__ import annotations

import re

#: An escape: a whole pair, a lone half, or any other one (so that ``\\ud83d`` is not misread).
_ESCAPE = re.compile(
    rb"\\(?:"
    rb"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|.)",
    re.DOTALL,
)


#: What stands for a lone half afterwards.
REPLACEMENT = b"\\ufffd"


def _replacement(match: re.Match[bytes]) -> bytes:
    return REPLACEMENT if match.group("lone") else match.group()


def mended(text: bytes) -> bytes:
    """The JSON *text* with every lone half replaced; itself when there is none."""
    if b"\\ud" not in text and b"\\uD" not in text:
        return text
    return _ESCAPE.sub(_replacement, text)
