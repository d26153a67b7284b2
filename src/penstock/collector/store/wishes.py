"""
What somebody wants the pipeline to do: a file in the store's ``requests``, gone once it is done.

Only one process may change the store's files, so `penstock delete-user` does not do it itself: it
leaves a request. It survives every crash, since it stays until the work is done, and doing it
twice is the same as doing it once. When no collector runs, whoever asks is the pipeline for that
moment.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

import msgspec

from penstock.collector.log.lane import make_directory, sync_directory
from penstock.collector.store.ledger import replace

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.collector.layout import Layout


class Wish(msgspec.Struct, frozen=True):
    """One request."""

    kind: Literal["delete-user", "compact"]
    #: UUID; names the file.
    id: str = msgspec.field(default_factory=lambda: str(uuid4()))
    #: Seconds since 1970.
    asked_at: float = msgspec.field(default_factory=time.time)
    #: Whose data; a user id or an anonymous id.
    user: str = ""


_DECODER = msgspec.json.Decoder(Wish)


def ask(layout: Layout, wish: Wish) -> Path:
    """
    Leave a request; gives its file, which is there until it is done.

    Raises:
        OSError: The store cannot be written.
    """
    make_directory(layout.requests)
    path = _path(layout, wish)
    replace(path, msgspec.json.encode(wish))
    return path


def pending(layout: Layout) -> list[Wish]:
    """What is not done yet, in the order of asking; what is no request is left alone."""
    found: list[Wish] = []
    try:
        paths = list(layout.requests.iterdir())
    except FileNotFoundError:
        return []
    for path in paths:
        try:
            wish = _DECODER.decode(path.read_bytes())
        except (OSError, msgspec.DecodeError):
            continue
        if path == _path(layout, wish):
            found.append(wish)
    return sorted(found, key=lambda wish: (wish.asked_at, wish.id))


def fulfilled(layout: Layout, wish: Wish) -> None:
    """It is done: forget it."""
    _path(layout, wish).unlink(missing_ok=True)
    sync_directory(layout.requests)


def _path(layout: Layout, wish: Wish) -> Path:
    return layout.requests / f"{wish.id}.json"
