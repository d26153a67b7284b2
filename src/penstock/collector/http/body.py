"""Getting a request's body: within a time, and within a size."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.collector.refusal import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.collector.http.load import Load

    Receive = Callable[[], Awaitable[dict[str, Any]]]


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
