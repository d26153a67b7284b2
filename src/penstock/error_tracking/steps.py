"""
What happened before an error: the last steps of the request, job or task that it is in.

A request's steps belong to its boundary, so that all threads that serve it add to one list.
Outside of requests each thread and task has its own.
"""

from __future__ import annotations

from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import orjson

from penstock.error_tracking.text import clean
from penstock.scope import CURRENT
from penstock.timestamps import from_epoch_ms
from penstock.values import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Steps that are kept, and bytes of them that go into an event.
MAX_STEPS: Final = 100
MAX_BYTES: Final = 32 * 1024
#: Characters of what a step says.
MAX_MESSAGE: Final = 1000

Ring = deque[bytes]
_RING: ContextVar[Ring | None] = ContextVar("penstock_steps", default=None)


def add_step(message: str, properties: Mapping[str, Any], at_ms: int) -> None:
    """
    Remember a step; the oldest is forgotten for it where there are many.

    Args:
        message: What happened.
        properties: Facts of it; they are copied.
        at_ms: When, in milliseconds since 1970.
    """
    step: dict[str, Any] = {"message": clean(str(message), MAX_MESSAGE)}
    step["timestamp"] = from_epoch_ms(at_ms)
    if properties:
        step["properties"] = dict(properties)
    written = encode(step)
    if len(written) <= MAX_BYTES:
        _ring(make=True).append(written)


def current_steps(room: int = MAX_BYTES) -> list[dict[str, Any]]:
    """The steps until now, oldest first; of many the latest that fit into *room* bytes."""
    kept: list[dict[str, Any]] = []
    for written in reversed(_ring(make=False).copy()):
        room -= len(written) + 1
        if room < 0:
            break
        kept.append(orjson.loads(written))
    kept.reverse()
    return kept


def _ring(*, make: bool) -> Ring:
    boundary = getattr(CURRENT.get(), "boundary", None)
    if boundary is not None:
        ring: Ring = boundary.state.setdefault("steps", deque(maxlen=MAX_STEPS))
        return ring
    found = _RING.get()
    if found is None:
        found = deque(maxlen=MAX_STEPS)
        if make:
            _RING.set(found)
    return found
