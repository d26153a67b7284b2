"""
The kinds of message, as one small number each.

A journal record carries the kind in its header, so that delivery can choose how to encode an
event without parsing it. The numbers are on disk: never reuse or renumber one. From 64 on they
are the collector's, whose log has the same record format (64: a request as it was received).
"""

from __future__ import annotations

from enum import IntEnum


class Kind(IntEnum):
    """What a message is; `wire` is its ``type`` in neutral JSON."""

    IDENTIFY = 1
    TRACK = 2
    PAGE = 3
    SCREEN = 4
    GROUP = 5
    ALIAS = 6
    #: PostHog's own call: an event with a ``distinct_id``.
    CAPTURE = 7
    #: PostHog's own call: properties of a group.
    GROUP_IDENTIFY = 8
    #: PostHog's own call: both ids as the vendor's SDKs send them, see docs/dialects.md.
    CREATE_ALIAS = 9
    #: An error with its causes and their stacks.
    EXCEPTION_EVENT = 10

    @property
    def wire(self) -> str:
        """The ``type`` of such a message in neutral JSON."""
        return self.name.lower()

    @property
    def title(self) -> str:
        """The class of such a message, as errors name it."""
        return "".join(word.capitalize() for word in self.name.split("_"))


#: ``{"track": Kind.TRACK, ...}``
BY_WIRE: dict[str, Kind] = {kind.wire: kind for kind in Kind}
