"""
Dead letters: events that will not be sent again, kept with the reason for a person to look at.

One JSON object a line. The file is bounded: at half the cap it becomes ``dead.1.jsonl`` (the one
before it goes), and a file nothing was added to for the age limit is removed. Whoever takes
letters out (`penstock.journal.letters`) renames a file first: every ``dead*.jsonl`` counts.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import orjson

from penstock.journal._lines import append

if TYPE_CHECKING:
    from pathlib import Path

CURRENT = "dead.jsonl"
PREVIOUS = "dead.1.jsonl"
#: All there may be: the two above, and those somebody is taking letters out of.
PATTERN = "dead*.jsonl"


class DeadLetter(NamedTuple):
    """One event and why it died."""

    destination: str
    reason: str
    status: int | None
    detail: str
    #: Seconds since 1970.
    died_at: float
    #: Neutral JSON, as it lay in the journal.
    message: bytes
    #: Requests made with it, in the last cycle of attempts.
    attempts: int = 0
    #: The destination's identity, which names its cursor.
    identity: str = ""
    #: Of the record.
    kind: int = 0
    flags: int = 0

    def line(self) -> bytes:
        """The letter as one line of JSON."""
        fields = self._asdict()
        fields["message"] = orjson.Fragment(self.message)
        return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


class DeadLetters:
    """
    The dead-letter files of one journal directory.

    Args:
        directory: Where they lie.
        max_bytes: The two files together stay about below this.
        max_age: Seconds after which a file nothing was added to is removed.
    """

    def __init__(self, directory: Path, *, max_bytes: int, max_age: float) -> None:
        self._directory = directory
        self._half = max_bytes // 2
        self._max_age = max_age

    def add(self, letters: list[DeadLetter]) -> None:
        """
        Append *letters* in one write.

        Raises:
            OSError: The disk refused.
        """
        current = self._directory / CURRENT
        if append(current, b"".join(letter.line() for letter in letters)) >= self._half:
            with suppress(FileNotFoundError):  # somebody is taking letters out
                current.replace(self._directory / PREVIOUS)

    def expire(self) -> None:
        """Remove files nothing was added to for the age limit."""
        for path in self._directory.glob(PATTERN):
            try:
                if time.time() - path.stat().st_mtime > self._max_age:
                    path.unlink()
            except FileNotFoundError:
                continue
