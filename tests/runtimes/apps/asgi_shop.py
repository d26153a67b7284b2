"""The shop under ASGI: ``GET /5`` tracks five events and answers with the worker's pid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shop import sell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """One request, or the server's start and end."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = sell(int(scope["path"].strip("/") or 0)).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
