"""The shop under WSGI: ``GET /5`` tracks five events and answers with the worker's pid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shop import sell

if TYPE_CHECKING:
    from collections.abc import Callable


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """One request."""
    body = sell(int(environ["PATH_INFO"].strip("/") or 0)).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
