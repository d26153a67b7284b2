"""What became of one event at each destination, read from the outboxes."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from penstock.collector.routing.attempts import DELIVERED, attempts_of, message_id_of
from penstock.journal import letters
from penstock.journal.inspection import names, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.collector.layout import Layout
    from penstock.journal.letters import Found

#: Records looked at in an outbox: a backlog may be long.
_MOST_LOOKED_AT = 200_000


class Try(msgspec.Struct, frozen=True):
    """One request that carried the event."""

    #: Seconds since 1970.
    at: float
    #: Of the answer; None when there was none.
    status: int | None
    #: ``delivered``, ``retry`` or ``dead``.
    fate: str
    detail: str


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One destination's part of a story."""

    destination: str
    #: ``delivered``, ``pending``, ``dead``, or ``elsewhere``: nothing is known any more.
    state: str
    #: The oldest first; what is not kept any more is missing.
    tries: list[Try]
    #: Requests made with it, as far as is known.
    attempts: int = 0
    #: Of its death: seconds since 1970, why, the answer's status, and what it said.
    died_at: float | None = None
    reason: str = ""
    status: int | None = None
    detail: str = ""


def deliveries_of(layout: Layout, message_id: str) -> list[Delivery]:
    """
    What became of a message at every destination that has an outbox, by name.

    Args:
        layout: The store.
        message_id: Of the message.
    """
    found = [
        _at(journal, name, message_id)
        for journal in sorted(_journals(layout.outbox))
        for name in sorted(names(journal))
    ]
    return sorted(found, key=lambda delivery: delivery.destination)


def _journals(outbox: Path) -> Iterator[Path]:
    if outbox.is_dir():
        yield from (path for path in outbox.iterdir() if path.is_dir())


def _at(journal: Path, name: str, message_id: str) -> Delivery:
    known = [one for one in attempts_of(journal, message_id) if one.destination == name]
    dead = [one for one in _letters(journal, name) if one.message_id == message_id]
    tries = [Try(one.at, one.status, one.fate, one.detail) for one in known]
    if _is_waiting(journal, name, message_id):
        state = "pending"
    elif dead:
        state = "dead"
    elif any(one.fate == DELIVERED for one in known):
        state = "delivered"
    else:
        state = "elsewhere"
    made = Delivery(destination=name, state=state, tries=tries, attempts=len(tries))
    if state != "dead":
        return made
    letter = dead[-1].letter
    return msgspec.structs.replace(
        made,
        attempts=max(letter.attempts, len(tries)),
        died_at=letter.died_at,
        reason=letter.reason,
        status=letter.status,
        detail=letter.detail,
    )


def _letters(journal: Path, name: str) -> list[Found]:
    return letters.find(journal, letters.Wanted(destination=name))


def _is_waiting(journal: Path, name: str, message_id: str) -> bool:
    needle = message_id.encode()
    escaped = msgspec.json.encode(message_id)[1:-1]
    return any(
        destination == name
        and (needle in record.payload or escaped in record.payload)
        and message_id_of(record.payload) == message_id
        for destination, record in islice(waiting(journal), _MOST_LOOKED_AT)
    )
