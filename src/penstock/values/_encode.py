"""A message as bytes: the quick way for plain JSON, the careful way for everything else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson

from penstock.errors import SerializationError
from penstock.values._conversion import MAX_DEPTH, to_json
from penstock.values._quick import quick_json
from penstock.values._scalars import is_plain
from penstock.values._weight import MOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.values._coercion import Coercion
    from penstock.values._conversion import Json

#: Parts of a message that are objects, whatever was given.
_OBJECTS = frozenset({"properties", "traits", "context", "integrations"})
#: Containers inside each other in a message: itself, and what `MAX_DEPTH` allows below.
LEVELS = MAX_DEPTH + 1


def encode(
    message: dict[str, Any],
    on_coercion: Callable[[Coercion], None] | None = None,
    most: int = MOST,
) -> bytes:
    """
    A whole message as compact JSON.

    Args:
        message: A neutral message; its values may be anything. Later changes have no effect.
        on_coercion: Called once for each lossy change. Only what it raises leaves here.
        most: About the bytes it may come to where it is not plain; see `to_json`.

    Raises:
        TooMuch: It comes to more.
    """
    data = quick_json(message, LEVELS)
    return encode_with_care(message, on_coercion, most) if data is None else data


def encode_with_care(
    message: dict[str, Any],
    on_coercion: Callable[[Coercion], None] | None = None,
    most: int = MOST,
) -> bytes:
    """`encode` for a message that `quick_json` gave back."""
    plain = to_json(message, "", on_coercion=on_coercion, max_depth=LEVELS, most=most)
    if not isinstance(plain, dict):  # the caller's stack is all but used up
        plain = {name: value for name, value in message.items() if is_plain(value)}
    _keep_objects(plain)
    try:
        return orjson.dumps(plain)
    except TypeError:  # an integer beyond 64 bits
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode()


def encode_strict(message: dict[str, Any]) -> bytes:
    """
    The same JSON, or an error at the first lossy change.

    Raises:
        SerializationError: With the change's path and reason.
    """
    return encode(message, _refuse)


def _keep_objects(plain: dict[str, Json]) -> None:
    """
    An object that could not be read became text, which was reported; servers want an object.

    PostHog refuses a whole batch for one event whose properties are anything else.
    """
    for name in _OBJECTS.intersection(plain):
        if not isinstance(plain[name], dict):
            plain[name] = {}


def _refuse(coercion: Coercion) -> None:
    raise SerializationError(coercion.path, coercion.reason)
