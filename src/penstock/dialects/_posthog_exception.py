"""
An exception event as PostHog's properties; their types are strict, one wrong costs the event.

Source: the error tracking reference, 1.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from penstock.dialects._types import Unencodable

if TYPE_CHECKING:
    from penstock.dialects._posthog_draft import Draft

#: ``{neutral field: property}`` of what is text.
TEXTS = {
    "level": "$exception_level",
    "source": "$exception_source",
    "fingerprint": "$exception_fingerprint",
    "release_id": "$release_id",
    "trace_id": "$trace_id",
    "span_id": "$span_id",
}


class Step(msgspec.Struct):
    """What happened before the error."""

    message: str
    timestamp: str = ""
    properties: dict[str, Any] = {}

    def posthog(self) -> dict[str, Any]:
        """In PostHog's words."""
        stamp = {"$timestamp": self.timestamp} if self.timestamp else {}
        return {**self.properties, "$message": self.message, **stamp}


class Told(msgspec.Struct, rename="camel"):
    """What an exception event says of the error; the list stays JSON."""

    exceptions: msgspec.Raw
    level: str = ""
    source: str = ""
    fingerprint: str = ""
    release_id: str = ""
    trace_id: str = ""
    span_id: str = ""
    steps: list[Step] = []

    def posthog(self) -> dict[str, Any]:
        """As properties."""
        found: dict[str, Any] = {"$exception_list": self.exceptions}
        for field, name in TEXTS.items():
            if text := getattr(self, field):
                found[name] = text
        if self.steps:
            found["$exception_steps"] = [step.posthog() for step in self.steps]
        return found


read_told = msgspec.json.Decoder(Told).decode


def put_exception(draft: Draft, payload: bytes) -> None:
    """
    Add what *payload* says of the error to *draft*; it wins over the caller's own properties.

    Raises:
        Unencodable: There is no exception in it: PostHog would make no issue of the event.
        msgspec.MsgspecError: A field has the wrong type.
    """
    told = read_told(payload)
    if not bytes(told.exceptions).startswith(b"[{"):
        raise Unencodable("malformed", "an exception event without exceptions")
    draft.forced |= told.posthog()
