"""
What is in a store at one moment: the sealed files that count, and the log behind them.

The order makes it consistent without a lock. First how far lanes are sealed, then what lies
behind that in the log, then again how far they are sealed, and last the files up to *there*.
What was sealed in between is in the files, so it is left out of the tail. Files that stopped
counting after that stay where they are for a while; if a reader is slower still, it begins anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from penstock.collector.layout import TABLES
from penstock.collector.log.reading import LaneReader, lane_paths
from penstock.collector.store import ledger

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.collector.layout import Layout, SealedFile
    from penstock.collector.log.reading import Entry
    from penstock.collector.store.ledger import Counts, Sealed


class Snapshot(NamedTuple):
    """A store at one moment."""

    #: What became of everything sealed so far.
    counts: Counts
    #: ``{table: files}``, in the order of their numbers.
    files: dict[str, list[SealedFile]]
    #: ``{lane: entries that are in no file yet}``, the oldest lane first.
    tail: dict[str, list[Entry]]


def take(layout: Layout, since_day: str = "") -> Snapshot:
    """
    Look at a store.

    Args:
        layout: The store.
        since_day: Files of earlier days are not wanted (``YYYY-MM-DD``).

    Raises:
        ValueError: The ledger is damaged.
    """
    before = ledger.load(layout.sealed)
    tail = {path: _read_tail(path, before) for path in lane_paths(layout.log)}
    sealed, there = _settled(layout, list(tail))
    unsealed = {
        path.name: _behind(entries, sealed.lanes.get(path.name, 0))
        for path, entries in tail.items()
        if path.name in sealed.lanes or path in there
    }
    return Snapshot(sealed.counts, _files(layout, sealed, since_day), unsealed)


def _read_tail(path: Path, sealed: Sealed) -> list[Entry]:
    reader = LaneReader(path, sealed.lanes.get(path.name, 0))
    reader.complete = True  # for us: nothing that comes later is wanted
    entries = reader.rest()
    reader.close()
    return entries


def _settled(layout: Layout, lanes: list[Path]) -> tuple[Sealed, set[Path]]:
    """
    How far lanes are sealed, and which of them were there at that moment.

    A lane that the ledger does not know is new, or finished and gone: only both looks together
    tell.
    """
    while True:
        sealed = ledger.load(layout.sealed)
        unknown = [path for path in lanes if path.name not in sealed.lanes]
        there = {path for path in unknown if path.exists()}
        if not unknown or ledger.load(layout.sealed).lanes == sealed.lanes:
            return sealed, there


def _behind(entries: list[Entry], last: int) -> list[Entry]:
    return [entry for entry in entries if entry.ordinal > last]


def _files(layout: Layout, sealed: Sealed, since_day: str) -> dict[str, list[SealedFile]]:
    found = {
        table: [f for f in layout.files(table, since_day) if sealed.covers(f, layout.root)]
        for table in TABLES
    }
    return {table: sorted(files, key=lambda f: f.number) for table, files in found.items()}
