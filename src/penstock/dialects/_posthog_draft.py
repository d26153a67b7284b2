r"""
A PostHog event on its way to the wire, and how its properties become bytes.

The caller's properties are the bulk of an event and are already JSON, so they are copied, not
parsed: what Penstock adds is spliced in before their closing brace. That is right only while no
added key can be among theirs. Every key added there starts with ``$``, so properties without a
single ``$`` (or backslash, which could spell one as ``\u0024``) are safe to splice. Anything
else is opened to ``{key: its JSON}``, one level deep, and merged; no key is ever written twice.
"""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.dialects._posthog_context import Context  # noqa: TC001 - msgspec reads it

#: Which SDK sent the event.
LIBRARY = ("$lib", "$lib_version")

_DOLLAR, _BACKSLASH = b"$\\"
#: How compact JSON of an object with members begins.
_COMPACT = b'{"'
_NOTHING = (b"", b"{}")

_encode = msgspec.json.Encoder().encode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Draft(msgspec.Struct):
    """
    One event, its properties in layers: *context* < *added* < *fields* or *raw* < *forced*.

    The context's layer is shared between events and already JSON; it stays apart from *added*
    until somebody opens the draft or flattens it.
    """

    uuid: str
    event: str
    distinct_id: str
    timestamp: str
    #: The caller's properties as JSON, or empty when there are none.
    raw: bytes
    #: The same, opened: ``{key: JSON}``; None while nobody had to look inside.
    fields: dict[str, msgspec.Raw] | None = None
    context: Context | None = None
    #: Whether the context's properties are part of *added* by now.
    flat: bool = False
    #: What the caller's own properties win over.
    added: dict[str, Any] = {}
    #: What wins over the caller's own properties.
    forced: dict[str, Any] = {}
    #: ``{"$set": traits}`` of an identify, which the legacy form repeats at top level.
    person: dict[str, Any] | None = None

    def open(self) -> dict[str, msgspec.Raw]:
        """
        The caller's properties as ``{key: JSON}``, without a ``$lib``: that is always ours.

        Raises:
            msgspec.DecodeError: They are no JSON object.
        """
        if self.fields is None:
            self.fields = _decode_fields(self.raw) if self.raw else {}
            for name in LIBRARY:
                self.fields.pop(name, None)
        return self.fields

    def flatten(self) -> None:
        """Make the context's properties part of *added*."""
        if self.context is not None and not self.flat:
            self.added = {**self.context.properties, **self.context.derived, **self.added}
            self.flat = True

    def has(self, name: str) -> bool:
        """Whether the caller or the context gave this ``$`` property."""
        return (
            name in self.added
            or (self.fields is not None and name in self.fields)
            or (self.context is not None and not self.flat and name in self.context.properties)
        )

    def own(self, name: str) -> Any:
        """The value the caller or the context gave this ``$`` property, parsed; None if neither."""
        if self.fields is not None and name in self.fields:
            return msgspec.json.decode(self.fields[name])
        if name in self.added or self.context is None or self.flat:
            return self.added.get(name)
        return self.context.properties.get(name)

    def discard(self, name: str) -> None:
        """Remove a property, whoever gave it."""
        self.flatten()
        self.added.pop(name, None)
        if self.fields is not None:
            self.fields.pop(name, None)


def draft_of(uuid: str, event: str, distinct_id: str, timestamp: str, raw: bytes) -> Draft:
    """
    A draft with its properties opened if they have to be.

    Raises:
        msgspec.DecodeError: The properties are no JSON object.
    """
    if not raw.startswith(_COMPACT) and raw in _NOTHING:
        return Draft(uuid, event, distinct_id, timestamp, b"")
    draft = Draft(uuid, event, distinct_id, timestamp, raw)
    if _DOLLAR in raw or _BACKSLASH in raw or not raw.startswith(_COMPACT):
        draft.open()
    return draft


class Tail:
    """
    Properties every event ends with, unless it has its own.

    Args:
        defaults: ``{property: value}``.
    """

    def __init__(self, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        #: The end of an object that begins with something else: ``,"$lib":"penstock"}``.
        self.json = b"," + _encode(defaults)[1:] if defaults else b"}"


def properties_json(draft: Draft, tail: Tail) -> msgspec.Raw:
    """
    All properties of the event as one JSON object.

    Args:
        draft: The event. What Penstock adds to it repeats nothing in *tail*; the caller's own
            properties may.
        tail: What the event ends with.
    """
    if draft.fields is not None:
        return _merged(draft, draft.fields, tail)
    own = {**draft.added, **draft.forced} if draft.forced else draft.added
    rest = b"," + _encode(own)[1:-1] + tail.json if own else tail.json
    if draft.context is not None and not draft.flat:
        rest = draft.context.json + rest
    return msgspec.Raw(draft.raw[:-1] + rest if draft.raw else _opened(rest))


def _merged(draft: Draft, fields: dict[str, msgspec.Raw], tail: Tail) -> msgspec.Raw:
    draft.flatten()
    own = {**draft.added, **fields, **draft.forced}
    if not tail.defaults.keys().isdisjoint(fields):
        return msgspec.Raw(_encode({**tail.defaults, **own}))
    return msgspec.Raw(_encode(own)[:-1] + tail.json if own else _opened(tail.json))


def _opened(rest: bytes) -> bytes:
    """An object of what would have come after other members."""
    return b"{" + rest.removeprefix(b",")
