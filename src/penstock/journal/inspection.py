"""
Looking at a journal from outside: nothing is locked, nothing is changed, every record is read.

So the account found here is a recount: what is pending are records that were read and whose
checksums hold, not a number some process wrote down.
"""

from __future__ import annotations

from contextlib import contextmanager
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
    from collections.abc import Iterator, Mapping
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


class LaneState(NamedTuple):
    """Where the events of one lane are."""

    ledger: Ledger
    #: ``{destination name: seconds since 1970 at which its oldest pending event was captured}``
    oldest: dict[str, int]


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
    retired = retired_ledgers(directory / RETIRED).values()
    return {_named(file)[1] for file in cursors}.union(*(x.destinations for x in retired))


def waiting(directory: Path) -> Iterator[tuple[str, Record]]:
    """
    What is not settled in one journal, lane by lane.

    Args:
        directory: The journal.

    Returns:
        ``(destination name, record)``
    """
    retired = retired_ledgers(directory / RETIRED)
    for path in sorted(directory.glob(f"{LANE_PREFIX}*")):
        if path.name in retired:
            continue
        with _copy_of(path) as (lane, destinations):
            for identity, name in destinations.items():
                yield from ((name, record) for record in _unsettled(lane, identity))


def state_of(lane: Lane, destinations: Mapping[str, str]) -> LaneState:
    """The state of a lane that this process holds; it may be appended to and delivered."""
    oldest = {}
    for identity, name in destinations.items() if lane.opened else ():
        first = next(_unsettled(lane, identity), None)
        if first is not None:
            oldest[name] = first.captured_at
    return LaneState(lane_ledger(lane, destinations), oldest)


def look_at(path: Path) -> LaneState:
    """
    Recount one lane by its directory, whoever holds it.

    Raises:
        JournalError: Its format is not known here.
        OSError: It is gone, or not ours to read.
    """
    with _copy_of(path) as (lane, destinations):
        oldest = state_of(lane, destinations).oldest
        for identity in destinations:
            _read_all(lane, identity)
        return LaneState(lane_ledger(lane, destinations), oldest)


@contextmanager
def _copy_of(path: Path) -> Iterator[tuple[Lane, dict[str, str]]]:
    """A lane to look at, and its destinations."""
    destinations = dict(_named(file) for file in sorted(path.glob(f"{_CURSOR_PREFIX}*")))
    store = _Copies(path)
    lane = Lane(lambda: store, Budget(0), destinations)
    lane.adopt(store)
    try:
        yield lane, destinations
    finally:
        lane.close()


def _unsettled(lane: Lane, identity: str) -> Iterator[Record]:
    cursor = lane.cursor(identity)
    with cursor.lock:  # copies: its owner may settle meanwhile
        position = cursor.head
        holes = [hole.copy() for hole in cursor.holes if hole.count]
    for hole in holes:
        yield from lane.reread(hole)
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
    retired = retired_ledgers(path / RETIRED)
    lanes = [lane for lane in sorted(path.glob(f"{LANE_PREFIX}*")) if lane.name not in retired]
    found = [_lane(lane) for lane in lanes]
    destinations = {key: name for lane in found for key, name in lane.destinations.items()}
    ledgers = [*retired.values(), *(lane.ledger for lane in found)]
    return Inspected(path, sum(ledgers, Ledger()), destinations, len(lanes))


def retired_ledgers(file: Path) -> dict[str, Ledger]:
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
    with _copy_of(path) as (lane, destinations):
        for identity in destinations:
            _read_all(lane, identity)
        return Inspected(path, lane_ledger(lane, destinations), destinations, 1)


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
