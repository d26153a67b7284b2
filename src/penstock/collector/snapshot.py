"""
What is in a store at one moment: the sealed files that count, and the log behind them.

The order makes it consistent without a lock. First how far lanes are sealed, then what lies
behind that in the log, then again how far they are sealed, and last the files up to *there*.
What was sealed in between is in the files, so it is left out of the tail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from penstock.collector import ledger
from penstock.collector.layout import EVENTS, QUARANTINE
from penstock.collector.reading import LaneReader, lane_paths

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.collector.layout import Layout
    from penstock.collector.ledger import Counts, Sealed
    from penstock.collector.reading import Entry


class Snapshot(NamedTuple):
    """A store at one moment."""

    #: What became of everything sealed so far.
    counts: Counts
    #: ``{table: files}``
    files: dict[str, list[Path]]
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
    sealed = ledger.load(layout.sealed)
    unsealed = {path.name: _unsealed(path, entries, sealed) for path, entries in tail.items()}
    files = {
        table: sorted(f.path for f in layout.files(table, since_day) if sealed.covers(f))
        for table in (EVENTS, QUARANTINE)
    }
    return Snapshot(sealed.counts, files, unsealed)


def _read_tail(path: Path, sealed: Sealed) -> list[Entry]:
    reader = LaneReader(path, sealed.lanes.get(path.name, 0))
    reader.complete = True  # for us: nothing that comes later is wanted
    entries = reader.rest()
    reader.close()
    return entries


def _unsealed(path: Path, entries: list[Entry], sealed: Sealed) -> list[Entry]:
    last = sealed.lanes.get(path.name)
    if last is not None:
        return [entry for entry in entries if entry.ordinal > last]
    # Not in the ledger: the pipeline has not seen the lane yet, or has just finished with it.
    return entries if path.exists() else []
