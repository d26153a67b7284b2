"""
The attempts of an outbox: which request carried which message ids, when, and what was answered.

A diary that is kept a while, a line per request and fate; nobody's account depends on it. The ids
are all that is in it of an event.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import msgspec

from penstock.journal._lines import append

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from penstock.delivery._job import Item, Job
    from penstock.delivery._outcome import Resolution

#: Of a file; at that size it becomes the previous one, and the one before goes.
MOST_BYTES = 8 * 1024 * 1024
CURRENT, PREVIOUS = "attempts.jsonl", "attempts.1.jsonl"
DELIVERED, RETRY, DEAD = "delivered", "retry", "dead"
_MOST_DETAIL = 200


class Attempt(msgspec.Struct, frozen=True):
    """One request, and the messages that had one fate in it."""

    #: Seconds since 1970.
    at: float
    destination: str
    #: From 1; a batch that was split or put back begins anew.
    attempt: int
    #: Of the answer; None when there was none.
    status: int | None
    fate: str
    ids: list[str]
    detail: str = ""


class _Named(msgspec.Struct, rename="camel"):
    message_id: str = ""


_named = msgspec.json.Decoder(_Named)
_attempt = msgspec.json.Decoder(Attempt)


def message_id_of(payload: bytes) -> str:
    """The id in a record of the journal; empty where there is none to be read."""
    try:
        return _named.decode(payload).message_id
    except msgspec.MsgspecError:
        return ""


class Attempts:
    """
    Writes the diary of one outbox.

    Args:
        directory: Its journal.
        destination: Its name.
    """

    def __init__(self, directory: Path, destination: str) -> None:
        self._directory = directory
        self._destination = destination

    def note(self, job: Job, resolution: Resolution, status: int | None) -> None:
        """Write down what came of a request; a disk that refuses costs these lines only."""
        fates = [
            (DELIVERED, "", resolution.delivered),
            (RETRY, resolution.detail, resolution.retry),
        ]
        fates += [(DEAD, death.detail or death.reason, death.items) for death in resolution.deaths]
        if resolution.split:
            fates.append((RETRY, "refused as a whole, sent again in halves", job.items))
        lines = [
            msgspec.json.encode(self._line(job.attempts, status, fate, detail, items)) + b"\n"
            for fate, detail, items in fates
            if items
        ]
        with contextlib.suppress(OSError):
            if append(self._directory / CURRENT, b"".join(lines)) >= MOST_BYTES:
                (self._directory / CURRENT).replace(self._directory / PREVIOUS)

    def _line(
        self, attempt: int, status: int | None, fate: str, detail: str, items: Sequence[Item]
    ) -> Attempt:
        ids = [message_id_of(item.record.payload) for item in items]
        detail = detail[:_MOST_DETAIL]
        return Attempt(time.time(), self._destination, attempt, status, fate, ids, detail)


def attempts_of(directory: Path, message_id: str) -> Iterator[Attempt]:
    """
    What is written down of one message, the oldest first.

    Args:
        directory: The outbox's journal.
        message_id: Of the message.
    """
    needle = msgspec.json.encode(message_id)
    for name in (PREVIOUS, CURRENT):
        try:
            text = (directory / name).read_bytes()
        except FileNotFoundError:
            continue
        for line in text.splitlines() if needle in text else ():
            if needle in line:
                with contextlib.suppress(msgspec.MsgspecError):  # torn
                    found = _attempt.decode(line)
                    if message_id in found.ids:
                        yield found
