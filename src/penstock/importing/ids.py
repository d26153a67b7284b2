"""
Message ids that a second run over the same file makes again.

An id is a UUIDv5 of the file's content, the message's type and event name, and the row's number.
Two rows that repeat each other stay two events, since their numbers differ. The same rows
imported as another type or event are other facts and get other ids. Nothing else that the
mapping does changes an id.
"""

from __future__ import annotations

from uuid_utils import UUID, uuid5

#: Ours, made once at random; changing it would make today's imports new events.
NAMESPACE = UUID("6f0a6c2e-3c5b-4b0f-9d5e-0f4f4b8f1a67")


class MessageIds:
    """
    Ids for the rows of one file.

    Args:
        digest: SHA-256 of the file's content, in hex.
    """

    def __init__(self, digest: str) -> None:
        self._digest = digest

    def of(self, number: int, kind: str, event: str = "") -> str:
        """
        The id of row *number*.

        Args:
            number: 1 for the first row.
            kind: The message's type, such as ``track``.
            event: The event's name, of those types that have one.
        """
        return str(uuid5(NAMESPACE, f"{self._digest}/{kind}/{event}/{number}"))
