"""The real journal recovers an image: what it finds, how it counts, and whether it ends."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, NamedTuple

from crash_model import image as images
from crash_model.oracle import DESTINATIONS
from crash_model.process import JOURNAL, MAX_BYTES, in_flight
from crash_model.taking import taken
from penstock.journal import inspect
from penstock.journal.disk import DiskJournal
from penstock.journal.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crash_model.image import Image
    from penstock.journal._cursor import Hole
    from penstock.journal.lane import Lane
    from penstock.journal.record import Record

#: More looks than any journal here can need: recovery that takes this many does not end.
_LOOKS = 2000
_BATCH = 7


class Recovered(NamedTuple):
    """What a recovery came to."""

    #: ``{destination: records}`` that were sent.
    sent: dict[str, list[Record]]
    #: As a look from outside tells it before, and after everything was sent.
    before: Ledger
    after: Ledger


def recover(image: Image, scratch: Path, *, trusted: bool = True) -> Recovered:
    """
    Recover *image*, after looking at it twice without sending anything.

    Args:
        image: A disk, with nothing running on it.
        scratch: Where to put it; removed again.
        trusted: Whether the lines of retired lanes are as they were written.
    """
    images.write(image, scratch)
    for unfinished in (scratch / JOURNAL).glob("new-*"):
        os.utime(unfinished, (0, 0))  # long ago: nobody is still making it
    try:
        return _recover(scratch / JOURNAL, trusted=trusted)
    finally:
        shutil.rmtree(scratch)


def _recover(directory: Path, *, trusted: bool) -> Recovered:
    before = _look(directory, trusted=trusted)
    first, again = _survey(directory), _survey(directory)
    assert first == again, "recovering twice differs"
    sent = _drain(directory)
    assert {identity: sorted(found) for identity, found in sent.items()} == first[0]
    return Recovered(sent, before, _look(directory, trusted=trusted))


def _look(directory: Path, *, trusted: bool) -> Ledger:
    ledger = sum((found.ledger for found in inspect(directory)), Ledger())
    if trusted:
        _check(ledger)
    return ledger


def _survey(directory: Path) -> tuple[dict[str, list[Record]], Ledger]:
    """What a process would send, and its ledger; it dies before it sent anything."""
    journal = _journal(directory)
    found: dict[str, list[Record]] = {identity: [] for identity in DESTINATIONS}
    lanes = journal.adopt()
    _check(journal.ledger())
    for lane in lanes:
        for identity in DESTINATIONS:
            for _hole, records in _batches(lane, identity):
                found[identity] += records
    ledger = journal.ledger()
    _check(ledger)
    for lane in lanes:
        lane.close()
    journal.abandon()
    return {identity: sorted(records) for identity, records in found.items()}, ledger


def _drain(directory: Path) -> dict[str, list[Record]]:
    """Send everything there is; then every lane is gone."""
    journal = _journal(directory)
    sent: dict[str, list[Record]] = {identity: [] for identity in DESTINATIONS}
    for lane in journal.adopt():
        for identity in DESTINATIONS:
            cursor = lane.cursor(identity)
            for hole, records in _batches(lane, identity):
                cursor.settle(hole, delivered=[record.ordinal for record in records])
                sent[identity] += records
                lane.reclaim()
        _check(journal.ledger())
        assert journal.retire(lane), "a lane with nothing to send stays"
    _check(journal.ledger())
    assert not journal.ledger().pending
    assert not journal.adopt(), "something was left to adopt"
    journal.close()
    left = sorted(path.name for path in directory.glob("*-*"))
    assert not left, f"left behind: {left}"
    return sent


def _journal(directory: Path) -> DiskJournal:
    return DiskJournal(directory, DESTINATIONS, max_bytes=MAX_BYTES, max_age=1e9)


def _batches(lane: Lane, identity: str) -> Iterator[tuple[Hole, list[Record]]]:
    """What was in flight, then everything beyond the head."""
    cursor = lane.cursor(identity)
    yield from in_flight(lane, identity)
    for _ in range(_LOOKS):
        before = cursor.head
        hole, records = taken(lane, cursor, _BATCH)
        if records:
            yield hole, records
        elif cursor.head == before:
            return
    raise AssertionError("reading does not end")


def _check(ledger: Ledger) -> None:
    """What holds for every ledger."""
    assert ledger.balanced, ledger
    for account in ledger.destinations.values():
        counts = (account.accepted, account.delivered, account.pending, *account.dead.values())
        assert min(counts) >= 0, ledger
        assert max(counts) < 1_000_000, ledger
