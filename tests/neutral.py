"""Neutral messages of the six kinds every vendor knows, made for the dialects' tests."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from penstock.dialects import Attempt
from penstock.journal.record import Record
from penstock.kinds import BY_WIRE

TIME = "2026-03-01T10:20:30.123Z"
ATTEMPT = Attempt(
    number=1,
    sent_at="2026-03-01T10:20:35.500Z",
    created_at="2026-03-01T10:20:35.100Z",
    request_id="0195500a-3333-7000-8000-000000000001",
)


def neutral(type_: str, **fields: Any) -> dict[str, Any]:
    """A neutral message with the fields every one has; None takes one of them away."""
    message = {"type": type_, "messageId": "m-1", "timestamp": TIME, **fields}
    return {name: value for name, value in message.items() if value is not None}


def record_of(message: dict[str, Any]) -> Record:
    """The journal record of *message*."""
    payload = json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()
    return Record(1, BY_WIRE[message["type"]], 0, 1_772_360_431, payload)


# Text as JSON carries it; ids have no blanks around them and are never empty.
texts = st.text(st.characters(codec="utf-8"), max_size=12)
ids = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8).map(
    lambda text: f"i{text}d"
)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(
    lambda text: not text.isspace()
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, values, max_size=4)
times = st.datetimes(
    min_value=datetime(1970, 1, 1),
    max_value=datetime(2100, 1, 1),
).map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z")


@st.composite
def messages(draw: st.DrawFn) -> dict[str, Any]:
    """
    Any valid neutral message.

    The context holds no ``library``, which is the sender's, and no ``traits``, which an identify
    call may carry in either of two places; integrations are called by their right name.
    """
    kind = draw(st.sampled_from(["identify", "track", "page", "screen", "group", "alias"]))
    message = neutral(kind, messageId=draw(ids), timestamp=draw(times), userId=draw(ids))
    facts = "traits" if kind in ("identify", "group") else "properties"
    optional: dict[str, Any] = {
        "context": objects.map(lambda held: _without(held, "library", "traits")),
        "integrations": objects.map(lambda held: _without(held, "all")),
    }
    if kind == "alias":
        message["previousId"] = draw(ids)
    else:
        optional |= {facts: objects, "anonymousId": ids}
    if kind == "track":
        message["event"] = draw(names)
    if kind == "group":
        message["groupId"] = draw(ids)
    if kind in ("page", "screen"):
        optional |= {"name": names, "category": names}
    for field, strategy in optional.items():
        if draw(st.booleans()):
            message[field] = draw(strategy)
    return message


def _without(held: dict[str, Any], *fields: str) -> dict[str, Any]:
    return {name: value for name, value in held.items() if name not in fields}
