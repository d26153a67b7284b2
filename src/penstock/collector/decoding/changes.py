"""
What was changed of an event on its way in, in words: the verdict on one that was stored.

An event without any of them is stored as it came. The words are stable; docs/collector.md says
what each means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: The sender's clock was off: ``timestamp`` is by ours.
CLOCK = "clock_corrected"
#: It was dated more than 23 hours ahead: ``timestamp`` is when it arrived.
FUTURE = "future_time"
#: It had no time that can be read: ``timestamp`` is when it arrived.
NO_TIME = "no_time"
#: It had no id, so it got one.
NO_ID = "id_made"
#: An id was a number, or had blanks around it, or was too long.
ID = "id_rewritten"
#: Half a character, as JavaScript makes when it cuts an emoji in two, became U+FFFD.
TEXT = "text_mended"
#: ``context`` or ``integrations`` was no object.
IGNORED = "member_ignored"

_IDS = ("messageId", "userId", "anonymousId", "groupId", "previousId")
_OBJECTS = ("context", "integrations")


def changes_of(
    message_id: str | None, times: Sequence[int | None], received: int, *more: str
) -> str | None:
    """
    The words for what every event may meet, and *more*; None when there are none.

    Args:
        message_id: As the client gave it.
        times: Happened (as stored), happened (as told), sent; microseconds since 1970.
        received: The same, by our clock.
        more: Further words.
    """
    happened, told = times[0], times[1]
    if happened == told and message_id and not more:  # as it nearly always is
        return None
    words = [*more] if message_id else [NO_ID, *more]
    if told is None:
        words.append(NO_TIME)
    elif happened != told:
        words.append(FUTURE if happened == received and told != times[2] else CLOCK)
    return ",".join(sorted(words)) or None


def rewritten(item: Mapping[str, Any], neutral: Mapping[str, Any]) -> Iterator[str]:
    """
    Words for what a dialect's ``receive`` changed of a message of the Segment family.

    Args:
        item: The message as it came.
        neutral: What ``receive`` made of it.
    """
    if any(neutral[name] != item.get(name) for name in _IDS if name in neutral):
        yield ID
    if any(not isinstance(item.get(name), dict | None) for name in _OBJECTS):
        yield IGNORED
