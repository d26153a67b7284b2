"""A WSGI shop for a real server: a page, a file, a stream, and one that breaks in the middle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock import Client, Config, ErrorTracking, Segment
from penstock.identity import AnonymousCookie
from penstock.web.wsgi import AnalyticsMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

client = Client(
    Segment(os.environ["WRITE_KEY"], endpoint=os.environ["SINK"]),
    config=Config(
        interval=0.05,
        error_tracking=ErrorTracking(exceptions_as_track="Exception Captured"),
    ),
)


def shop(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Four pages."""
    path = environ["PATH_INFO"]
    client.track(event=path)
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/file":
        source = Path(__file__).open("rb")  # noqa: SIM115 - the server closes it
        file: Iterable[bytes] = environ["wsgi.file_wrapper"](source)
        return file
    if path in {"/stream", "/broken"}:
        return pieces(path)
    return [b"ok"]


def pieces(path: str) -> Iterator[bytes]:
    """A body that is made while it is sent."""
    yield b"one "
    client.track(event=f"{path} streamed")
    if path == "/broken":
        raise RuntimeError
    yield b"two"


app = AnalyticsMiddleware(shop, client, cookie=AnonymousCookie(secure=False))
