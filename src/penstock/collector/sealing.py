"""
Sealing: a run of the log becomes Parquet files, exactly once.

    decode -> drop duplicates -> group by day and source        `prepare`, in memory
    write files -> save the ledger -> forget the log            `Sealer.commit`, may be repeated

`prepare` is where ids become known, so what it returns must be committed before anything else
is prepared. `commit` can fail (a full disk) and be called again with the same batch: it writes
the same files under the same names.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from penstock.collector import ledger
from penstock.collector.decoding import decode_entry
from penstock.collector.layout import EVENTS, QUARANTINE, day_of
from penstock.collector.ledger import Counts, Sealed
from penstock.collector.tables import (
    EVENT_SCHEMA,
    QUARANTINE_SCHEMA,
    read_ids,
    table_of,
    write_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.collector.dedupe import Seen
    from penstock.collector.layout import Layout
    from penstock.collector.reading import Entry
    from penstock.collector.rows import Event, Quarantined

    #: ``(day, source)``
    Partition = tuple[str, str]
    Admit = Callable[[str, list[Event], int], list[Event]]


class Batch(NamedTuple):
    """A run of the log, ready to be written."""

    #: ``(lane, first ordinal, last ordinal)``
    run: tuple[str, int, int]
    events: dict[Partition, list[Event]]
    quarantined: dict[Partition, list[Quarantined]]
    counts: Counts


def prepare(lane: str, entries: Sequence[Entry], admit: Admit) -> Batch:
    """
    Decode a run of the log and leave out what is known.

    Args:
        lane: Its lane.
        entries: At least one.
        admit: `Seen.admit`, or another judge of ``(source, events, received ms)``.
    """
    batch = Batch(
        (lane, entries[0].ordinal, entries[-1].ordinal),
        defaultdict(list),
        defaultdict(list),
        Counts(),
    )
    for entry in entries:
        _add(batch, lane, entry, admit)
    return batch


def _add(batch: Batch, lane: str, entry: Entry, admit: Admit) -> None:
    decoded = decode_entry(entry.payload, lane, entry.ordinal)
    source, received = decoded.source, decoded.received_at
    partition = (day_of(received), source)
    fresh = admit(source, decoded.events, received)
    if fresh:
        batch.events[partition] += fresh
    if decoded.quarantined:
        batch.quarantined[partition] += decoded.quarantined
    batch.counts.stored += len(fresh)
    batch.counts.duplicates += len(decoded.events) - len(fresh)
    batch.counts.quarantined += len(decoded.quarantined)


class Sealer:
    """
    Writes batches and keeps the ledger.

    Args:
        layout: The store.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.sealed: Sealed = ledger.load(layout.sealed)

    def recover(self) -> None:
        """Remove what a pipeline that died left unfinished: its runs will be sealed again."""
        for path in self._layout.leftovers():
            path.unlink(missing_ok=True)
        for table in (EVENTS, QUARANTINE):
            for file in list(self._layout.files(table)):
                if not self.sealed.covers(file):
                    file.path.unlink(missing_ok=True)

    def restore(self, seen: Seen, since_ms: int) -> None:
        """Remember the ids stored since that many milliseconds since 1970."""
        files = self._layout.files(EVENTS, day_of(since_ms))
        for file in sorted(files, key=lambda f: (f.path.parent.parent.name, f.lane, f.first)):
            ids, received = read_ids(file.path)
            if received >= since_ms:
                source = file.path.parent.name.removeprefix("source=")
                seen.restore(source, ids, received)

    def register(self, lanes: Sequence[str]) -> None:
        """
        Make lanes known before anything of them is sealed.

        A file of an unknown lane counts (see `penstock.collector.ledger`), so one of a known lane
        must be recognisable as unfinished from the first on.
        """
        unknown = {lane: 0 for lane in lanes if lane not in self.sealed.lanes}
        if unknown:
            self._save({**self.sealed.lanes, **unknown}, self.sealed.counts)

    def commit(self, batch: Batch) -> None:
        """
        Write the batch's files, then the ledger; afterwards the run may be forgotten.

        Raises:
            OSError: The disk is full or failing: call again later.
        """
        tables = (
            (EVENTS, EVENT_SCHEMA, batch.events),
            (QUARANTINE, QUARANTINE_SCHEMA, batch.quarantined),
        )
        for table, schema, partitions in tables:
            for (day, source), rows in partitions.items():
                path = self._layout.file(table, day, source, batch.run)
                write_file(path, table_of(schema, rows))
        lane, _first, last = batch.run
        self._save({**self.sealed.lanes, lane: last}, self.sealed.counts.plus(batch.counts))

    def retire(self, lane: str) -> None:
        """Drop a lane from the ledger, once its log is gone."""
        lanes = {name: last for name, last in self.sealed.lanes.items() if name != lane}
        self._save(lanes, self.sealed.counts)

    def _save(self, lanes: dict[str, int], counts: Counts) -> None:
        sealed = Sealed(lanes, counts)
        ledger.save(self._layout.sealed, sealed)
        self.sealed = sealed
