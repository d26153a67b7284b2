"""
Looking at a journal from outside: nothing is locked, nothing is changed, every record is read.

So the account found here is a recount: what is pending are records that were read and whose
checksums hold, not a number some process wrote down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from penstock.journal._budget import Budget
from penstock.journal._cursor import CURSOR_BYTES
from penstock.journal._segment import DiskStore
from penstock.journal._slot import Slot
from penstock.journal.disk import LANE_PREFIX, RETIRED
from penstock.journal.lane import Lane
from penstock.journal.ledger import DestinationLedger, Ledger
from penstock.journal.memory import lane_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.journal._segment import Segment
    from penstock.journal.record import Record

_CURSOR_PREFIX = "cursor-"
_READ_RECORDS = 1000
_READ_BYTES = 16 * 1024 * 1024


class Inspected(NamedTuple):
    """One journal directory."""

    path: Path
    ledger: Ledger
    #: Identities of the destinations its lanes are for, ``{identity: name}``.
    destinations: dict[str, str]
    #: Lanes that are still there, of living and of dead processes.
    lanes: int


class _Retired(msgspec.Struct):
    """A line of the file of removed lanes."""

    lane: str
    accepted: int
    destinations: dict[str, DestinationLedger]


class _Copies(DiskStore):
    """A lane's files to look at: state is copied, segments are mapped for reading."""

    def create(self, number: int, size: int, first_ordinal: int) -> Segment:
        raise OSError(f"looking changes nothing: {number}, {size}, {first_ordinal}")

    def delete(self, number: int) -> None:
        """Keep it."""

    def slot(self, name: str, size: int) -> bytearray:  # type: ignore[override]
        """Copy of the state; zeros when there is none."""
        try:
            found = bytearray((self.path / name).read_bytes())
        except FileNotFoundError:
            found = bytearray()
        return found.ljust(size, b"\0")


def inspect(directory: Path) -> list[Inspected]:
    """
    Recount every journal in *directory*.

    Args:
        directory: A journal, or a root that holds several (``PENSTOCK_JOURNAL``).

    Returns:
        One entry per journal, by path; empty when there is none.
    """
    if not directory.is_dir():
        return []
    if _is_journal(directory):
        return [_journal(directory)]
    return [_journal(path) for path in sorted(directory.iterdir()) if _is_journal(path)]


def names(directory: Path) -> set[str]:
    """The names of the destinations that a journal has, or had, events for."""
    cursors = directory.glob(f"{LANE_PREFIX}*/{_CURSOR_PREFIX}*")
    retired = _retired(directory / RETIRED).values()
    return {_named(file)[1] for file in cursors}.union(*(x.destinations for x in retired))


def waiting(directory: Path) -> Iterator[tuple[str, Record]]:
    """
    What is not settled in one journal, lane by lane.

    Args:
        directory: The journal.

    Returns:
        ``(destination name, record)``
    """
    retired = _retired(directory / RETIRED)
    for path in sorted(directory.glob(f"{LANE_PREFIX}*")):
        if path.name in retired:
            continue
        destinations = dict(_named(file) for file in sorted(path.glob(f"{_CURSOR_PREFIX}*")))
        store = _Copies(path)
        lane = Lane(lambda store=store: store, Budget(0), destinations)  # type: ignore[misc]
        lane.adopt(store)
        try:
            for identity, name in destinations.items():
                yield from ((name, record) for record in _unsettled(lane, identity))
        finally:
            lane.close()


def _unsettled(lane: Lane, identity: str) -> Iterator[Record]:
    cursor = lane.cursor(identity)
    for hole in cursor.holes:
        yield from lane.reread(hole)
    position = cursor.head
    while True:
        chunk = lane.read(position, _READ_RECORDS, _READ_BYTES)
        yield from chunk.records
        if not chunk.records and chunk.after == position:
            return
        position = chunk.after


def _is_journal(path: Path) -> bool:
    if not path.is_dir():
        return False
    return (path / RETIRED).exists() or any(path.glob(f"{LANE_PREFIX}*"))


def _journal(path: Path) -> Inspected:
    retired = _retired(path / RETIRED)
    lanes = [lane for lane in sorted(path.glob(f"{LANE_PREFIX}*")) if lane.name not in retired]
    found = [_lane(lane) for lane in lanes]
    destinations = {key: name for lane in found for key, name in lane.destinations.items()}
    ledgers = [*retired.values(), *(lane.ledger for lane in found)]
    return Inspected(path, sum(ledgers, Ledger()), destinations, len(lanes))


def _retired(file: Path) -> dict[str, Ledger]:
    """The accounts of removed lanes by name; a lane told twice counts once."""
    try:
        lines = file.read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    told = {}
    for line in lines:
        try:
            entry = msgspec.json.decode(line, type=_Retired)
        except (msgspec.DecodeError, UnicodeDecodeError):  # damaged, or torn by a power loss
            continue
        told[entry.lane] = Ledger(accepted=entry.accepted, destinations=entry.destinations)
    return told


def _lane(path: Path) -> Inspected:
    destinations = dict(_named(file) for file in sorted(path.glob(f"{_CURSOR_PREFIX}*")))
    store = _Copies(path)
    lane = Lane(lambda: store, Budget(0), destinations)
    lane.adopt(store)
    for identity in destinations:
        _read_all(lane, identity)
    ledger = lane_ledger(lane, destinations)
    lane.close()
    return Inspected(path, ledger, destinations, 1)


def _named(file: Path) -> tuple[str, str]:
    """A cursor's identity, and its destination's name where it is known yet."""
    identity = file.name.removeprefix(_CURSOR_PREFIX)
    found = bytearray(file.read_bytes()).ljust(CURSOR_BYTES, b"\0")  # short: its maker died
    stored = Slot(found).load() or {}
    return identity, stored.get("name", identity)


def _read_all(lane: Lane, identity: str) -> None:
    """Move the copy of a cursor over everything there is, so that every record is counted."""
    cursor = lane.cursor(identity)
    while True:
        before = cursor.head
        chunk = lane.read(before, _READ_RECORDS, _READ_BYTES)
        cursor.hand_out(chunk.records, chunk.after, chunk.voids)
        if not chunk.records and chunk.after == before:
            return
