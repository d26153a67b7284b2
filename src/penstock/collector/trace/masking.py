"""
Write keys out of sight.

SDKs put them into bodies and properties under a few names. Whoever looks at events need not see
them: of a value under such a name, at most the first four characters are shown.
"""

from __future__ import annotations

import re
from typing import Any

#: Names under which the vendors' SDKs say a key.
_NAMES = frozenset({"writeKey", "write_key", "api_key", "apiKey", "token", "$token"})
_SHOWN = 4
#: The longest key that is seen from its beginning; of a shorter one nothing is.
_SHORT = 8
#: Plain or escaped once, as inside of JSON that is a string; also as a form has it.
_IN_TEXT = re.compile(
    r'(\\*"(?:writeKey|write_key|api_?[kK]ey|\$?token)\\*"\s*:\s*\\*")([^"\\]*)'
    r"|((?:^|[?&])(?:writeKey|write_key|api_?[kK]ey|token)=)([^&\s\"]*)"
)


def masked_key(key: str) -> str:
    """A key as it may be shown: ``phc_…``."""
    return (key[:_SHOWN] if len(key) > _SHORT else "") + "…"


def masked_text(text: str) -> str:
    """JSON or a form, with the keys in it masked."""
    return _IN_TEXT.sub(
        lambda m: (m[1] or m[3]) + masked_key(m[2] if m[1] else m[4]),
        text,
    )


def masked(value: Any) -> Any:
    """Plain objects, with the keys in them masked."""
    if isinstance(value, dict):
        return {
            name: masked_key(member)
            if name in _NAMES and isinstance(member, str)
            else masked(member)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [masked(member) for member in value]
    return masked_text(value) if isinstance(value, str) else value
