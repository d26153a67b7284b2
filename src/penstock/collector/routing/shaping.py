"""Which events a destination gets, and under which names. Pure."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Members whose members are renamed as properties.
_OBJECTS = ("properties", "traits")


class Routed(NamedTuple):
    """A stored event on its way out."""

    source: str
    type: str
    #: The event's name; that of a page or screen; empty for others.
    event: str
    #: Whether the event names destinations in ``integrations``.
    selective: bool
    #: Neutral JSON.
    payload: bytes


class Matcher(msgspec.Struct, frozen=True, kw_only=True):
    """Events by what they are: all the lists that are not empty must match."""

    types: tuple[str, ...] = ()
    #: Names with ``*``, ``?`` and ``[a-z]``; upper and lower case differ.
    events: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        return not (self.types or self.events or self.sources)

    def matches(self, event: Routed) -> bool:
        """Whether *event* is one of those."""
        return (
            (not self.types or event.type in self.types)
            and (not self.sources or event.source in self.sources)
            and (not self.events or any(_pattern(e).match(event.event) for e in self.events))
        )


class Renaming(msgspec.Struct, frozen=True, kw_only=True):
    """Other names: ``{ours: theirs}``."""

    events: dict[str, str] = {}
    #: Of properties and traits, at their top level.
    properties: dict[str, str] = {}


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What one destination gets of the events of its sources."""

    only: Matcher = Matcher()
    without: Matcher = Matcher()
    rename: Renaming = Renaming()

    def takes(self, event: Routed) -> bool:
        """Whether the destination is to have *event*; by the names it came with."""
        if not self.without.is_empty and self.without.matches(event):
            return False
        return self.only.matches(event)

    def shaped(self, event: Routed) -> bytes:
        """The payload with the destination's names; as it is when there is nothing to rename."""
        payload, rename = event.payload, self.rename
        renamed = event.event in rename.events
        if not renamed and not any(_quoted(name) in payload for name in rename.properties):
            return payload
        message: dict[str, Any] = orjson.loads(payload)
        if renamed:
            member = "event" if "event" in message else "name"
            message[member] = rename.events[event.event]
        for member in _OBJECTS:
            if member in message:
                message[member] = _renamed(message[member], rename.properties)
        return orjson.dumps(message)


def _renamed(members: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A member that has the new name already gives way."""
    moved = {names[name]: value for name, value in members.items() if name in names}
    kept = {name: value for name, value in members.items() if name not in names}
    return {**kept, **moved}


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(translate(text))


@cache
def _quoted(name: str) -> bytes:
    """As far as any JSON writer leaves it as it is; else its quote, which is always there."""
    plain = name.isascii() and name.isprintable() and not set(name) & set('"\\/')
    return b'"' + name.encode() + b'"' if plain else b'"'
