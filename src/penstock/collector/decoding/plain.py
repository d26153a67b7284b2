"""
Messages of the Segment family with nothing unusual about them, decoded as they are.

One class per type, with just the members the type has: a decoder for them accepts a plain
message and nothing else, at the speed of C. Nested JSON stays undecoded (`msgspec.Raw`).
"""

from __future__ import annotations

from typing import ClassVar

import msgspec
from msgspec import Raw

from penstock.collector.decoding.wire import NOTHING

_NO_TRAITS = {b"", b"null"}


def is_tidy(text: str | None) -> bool:
    """Whether a text needs neither trimming nor dropping."""
    return text is None or (text == text.strip() and text != "")


class Message(
    msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False, tag_field="type"
):
    """What all types have; what only some have is a constant here."""

    kind: ClassVar[str]
    group_id: ClassVar[str | None] = None
    previous_id: ClassVar[str | None] = None
    event: ClassVar[str | None] = None
    name: ClassVar[str | None] = None
    category: ClassVar[str | None] = None
    properties: ClassVar[Raw] = NOTHING
    traits: ClassVar[Raw] = NOTHING
    message_id: str | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    timestamp: str | None = None
    original_timestamp: str | None = None
    sent_at: str | None = None
    channel: str | None = None
    context: Raw = NOTHING
    integrations: Raw = NOTHING

    def is_sound(self) -> bool:
        """Whether it has what its type cannot do without, and all its texts are tidy."""
        user, anonymous, own = self.user_id, self.anonymous_id, self.message_id
        return bool(  # `is_tidy` written out: every event passes here
            (user or anonymous)
            and (user is None or (user and user.strip() == user))
            and (anonymous is None or (anonymous and anonymous.strip() == anonymous))
            and (own is None or (own and own.strip() == own))
        )


class Identify(Message, tag="identify"):
    """``identify``."""

    kind = "identify"
    traits: Raw = NOTHING  # type: ignore[misc]

    def is_sound(self) -> bool:
        """With an id; traits that are only in the context are for the careful way to lift."""
        elsewhere = bytes(self.traits) in _NO_TRAITS and b'"traits"' in bytes(self.context)
        return not elsewhere and Message.is_sound(self)


class Track(Message, tag="track"):
    """``track``."""

    kind = "track"
    event: str | None = None  # type: ignore[misc]
    properties: Raw = NOTHING  # type: ignore[misc]

    def is_sound(self) -> bool:
        """With an event and an id."""
        event = self.event
        return bool(event) and event.strip() == event and Message.is_sound(self)  # type: ignore[union-attr]


class _Titled(Message):
    name: str | None = None  # type: ignore[misc]
    category: str | None = None  # type: ignore[misc]
    properties: Raw = NOTHING  # type: ignore[misc]

    def is_sound(self) -> bool:
        """With an id."""
        return is_tidy(self.name) and is_tidy(self.category) and Message.is_sound(self)


class Page(_Titled, tag="page"):
    """``page``."""

    kind = "page"


class Screen(_Titled, tag="screen"):
    """``screen``."""

    kind = "screen"


class Group(Message, tag="group"):
    """``group``."""

    kind = "group"
    group_id: str | None = None  # type: ignore[misc]
    traits: Raw = NOTHING  # type: ignore[misc]

    def is_sound(self) -> bool:
        """With a group and an id."""
        return bool(self.group_id) and is_tidy(self.group_id) and Message.is_sound(self)


class Alias(Message, tag="alias"):
    """``alias``."""

    kind = "alias"
    previous_id: str | None = None  # type: ignore[misc]

    def is_sound(self) -> bool:
        """With both ids."""
        both = bool(self.user_id and self.previous_id)
        return both and is_tidy(self.previous_id) and Message.is_sound(self)


class Batch(msgspec.Struct, gc=False):
    """The envelope of ``/v1/batch`` around plain messages; see `wire.SegmentBatch`."""

    batch: list[Identify | Track | Page | Screen | Group | Alias]
    context: Raw = NOTHING
    integrations: Raw = NOTHING
    sent_at: Raw = msgspec.field(name="sentAt", default=NOTHING)


#: A whole ``/v1/batch`` of plain messages.
BATCH = msgspec.json.Decoder(Batch)
#: One item of a batch.
ITEM: msgspec.json.Decoder[Message] = msgspec.json.Decoder(
    Identify | Track | Page | Screen | Group | Alias
)
#: The body of ``/v1/track`` and its siblings, by the path's type.
BY_TYPE: dict[str, msgspec.json.Decoder[Message]] = {
    message.kind: msgspec.json.Decoder(message)
    for message in (Identify, Track, Page, Screen, Group, Alias)
}


def is_plain_text(body: bytes) -> bool:
    """Whether *body* is UTF-8 throughout (undecoded JSON is not checked) and has no NUL in it."""
    # Most bodies have no backslash at all, and one byte is looked for faster than six.
    if b"\\" in body and b"\\u0000" in body:
        return False
    if body.isascii():
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
