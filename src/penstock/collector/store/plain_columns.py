"""
The plain way from a batch of the Segment family to columns.

This is the collector's hottest code (nearly every event passes here once), so it is written for
speed: whole columns are taken from the messages, and nothing is decoded that is stored as text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from penstock.collector.decoding.plain import Identify, Track
from penstock.collector.decoding.shared import ODD, object_text
from penstock.collector.store.times import moments

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from msgspec import Raw

    from penstock.collector.decoding.frame import Frame
    from penstock.collector.decoding.plain import Message
    from penstock.collector.decoding.shared import Shared

#: Texts as `columns_of` gives them.
TEXTS = (
    "message_id", "type", "event", "user_id", "anonymous_id", "group_id", "previous_id", "name",
    "category", "library",
)  # fmt: skip
#: Texts that are JSON, as bytes.
OBJECTS = ("properties", "traits", "context", "integrations", "rest")
#: What the times are worked out from, for many requests at once.
TOLD = ("stated", "original", "own_sent", "made")
COLUMNS = (*TEXTS, *OBJECTS, *TOLD, "position")

_BRACES = {b"{"}
_ABSENT = {b""}
_RARE = ("group_id", "previous_id", "name", "category")
_TRACK = {Track}
_COMMON = {Track, Identify}


def columns_of(
    frame: Frame, shared: Shared, messages: Sequence[Message]
) -> dict[str, list[Any]] | None:
    """
    The columns of all *messages*; None when one of them is not plain after all.

    Args:
        frame: The request.
        shared: What its envelope puts beneath each message.
        messages: Its batch.
    """
    if not all([m.is_sound() for m in messages]):  # noqa: C419 - a list is faster here
        return None
    objects = _objects(shared, messages)
    if objects is None:
        return None
    ids = [m.message_id for m in messages]
    made = [False] * len(ids)
    if None in ids:
        made = [known is None for known in ids]
        ids = [known or frame.id_at(place) for place, known in enumerate(ids)]
    contexts = objects["context"]
    libraries = {context: shared.library(context) for context in set(contexts)}
    return {
        "message_id": ids,
        "made": made,
        "type": [m.kind for m in messages],
        "event": [m.event for m in messages],
        "user_id": [m.user_id for m in messages],
        "anonymous_id": [m.anonymous_id for m in messages],
        "library": [libraries[context] for context in contexts],
        "rest": [m.channel and msgspec.json.encode({"channel": m.channel}) for m in messages],
        "position": list(range(len(messages))),
        **_rare(messages),
        **objects,
        **_times(messages),
    }


def _rare(messages: Sequence[Message]) -> dict[str, list[str | None]]:
    """What only some types have; most batches hold none of them."""
    if {type(m) for m in messages} <= _COMMON:
        nothing = [None] * len(messages)
        return dict.fromkeys(_RARE, nothing)  # type: ignore[arg-type]
    return {name: [getattr(m, name) for m in messages] for name in _RARE}


def _objects(shared: Shared, messages: Sequence[Message]) -> dict[str, list[bytes | None]] | None:
    """The members that are objects, as text; None when one is not."""
    traits = [m.traits for m in messages] if {type(m) for m in messages} != _TRACK else []
    columns = {
        "properties": _texts([m.properties for m in messages]),
        "traits": _texts(traits) or [None] * len(messages),
        "context": _beneath(shared, "context", [m.context for m in messages], shared.context),
        # Not beneath only: an old spelling of "All" is looked for, too.
        "integrations": _mapped(shared.integrations, [m.integrations for m in messages]),
    }
    return None if any(ODD in column for column in columns.values()) else columns


def _texts(raws: list[Raw]) -> list[bytes | None]:
    """What `object_text` makes of each."""
    texts: list[bytes | None] = list(map(bytes, raws))
    heads = {text[:1] for text in texts}  # type: ignore[index]
    if heads == _BRACES:
        return texts
    if heads == _ABSENT:
        return [None] * len(raws)
    return [object_text(raw) for raw in raws]


def _beneath(
    shared: Shared, member: str, raws: list[Raw], joined: Callable[[Raw], bytes | None]
) -> list[bytes | None]:
    """With what the envelope has of the same."""
    return _mapped(joined, raws) if shared.objects[member] else _texts(raws)


def _mapped(joined: Callable[[Raw], bytes | None], raws: list[Raw]) -> list[bytes | None]:
    """The messages of a batch tend to have the same there: each text is looked at once."""
    if not raws:
        return []
    texts = list(map(bytes, raws))
    if texts.count(texts[0]) == len(texts):
        return [joined(raws[0])] * len(texts)
    first = dict(zip(texts, raws, strict=True))
    results = {text: joined(raw) for text, raw in first.items()}
    return [results[text] for text in texts]


def _times(messages: Sequence[Message]) -> dict[str, list[Any]]:
    return {
        "stated": moments([m.timestamp for m in messages]),
        "original": moments([m.original_timestamp for m in messages]),
        "own_sent": moments([m.sent_at for m in messages]),
    }
