"""Small forms, as browsers post them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

#: Bytes and fields of a form; ours have a few dozen.
_MOST_BYTES = 64 * 1024
_MOST_FIELDS = 100


async def read_form(receive: Callable[[], Awaitable[Any]]) -> dict[str, str] | None:
    """The fields of a posted form, of several with one name the last; None: it is too large."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _MOST_BYTES:
            return None
        if not message.get("more_body"):
            break
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=_MOST_FIELDS))
    except ValueError:
        return None
