"""Where clients put their write key: Basic user, Bearer token; the body is the decoder's affair."""

from __future__ import annotations

import binascii
from typing import NamedTuple


class Credentials(NamedTuple):
    """What an ``Authorization`` header holds; empty strings when there is none."""

    #: In lower case: ``basic``, ``bearer`` or something unknown.
    scheme: str = ""
    key: str = ""


def credentials(header: bytes) -> Credentials:
    """
    Read an ``Authorization`` header.

    Of Basic, the user is the key (the password is ignored, a missing colon tolerated: old
    clients leave it out). A header that cannot be read gives an empty key.
    """
    scheme, _, rest = header.decode("latin-1").strip().partition(" ")
    scheme = scheme.lower()
    token = rest.strip()
    if scheme == "basic":
        return Credentials(scheme, _basic_user(token))
    return Credentials(scheme, token if scheme == "bearer" else "")


def _basic_user(token: str) -> str:
    try:
        decoded = binascii.a2b_base64(token, strict_mode=False).decode()
    except ValueError:  # includes UnicodeDecodeError and binascii.Error
        return ""
    return decoded.partition(":")[0].strip()


def well_formed(token: str) -> bool:
    """Whether PostHog would look at this project key at all: 1 to 64 ASCII, not a personal key."""
    return 0 < len(token) <= 64 and token.isascii() and not token.startswith("phx_")  # noqa: PLR2004 - its documented limit
