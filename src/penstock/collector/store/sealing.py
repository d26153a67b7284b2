"""
Sealing: a run of the log becomes fresh files, exactly once.

    decode -> drop duplicates -> Arrow tables                   `prepare`, in memory
    write the files -> have them count -> forget the log        `Sealer.commit`, may be repeated

`prepare` is where ids become known, so what it returns must be committed, in that order, before
anything else happens to the log. `commit` can fail (a full disk) and be called again with the same
run.

Runs are small and come every second or faster, so that readers find little undecoded in the log.
`penstock.collector.store.compaction` makes big files of the small ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from penstock.collector.layout import EVENTS, QUARANTINE
from penstock.collector.store.columns import RunBuilder
from penstock.collector.store.tables import written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.collector.layout import Layout
    from penstock.collector.log.reading import Entry
    from penstock.collector.store.catalog import Catalog, Made
    from penstock.collector.store.columns import Admit
    from penstock.collector.store.ledger import Counts


class Run(NamedTuple):
    """A part of the log, decoded."""

    #: ``{lane: last ordinal}``
    lanes: dict[str, int]
    #: As `penstock.collector.store.tables.FRESH_EVENTS` has them; those that are new.
    events: Any
    #: As `penstock.collector.store.tables.FRESH_QUARANTINE` has them.
    quarantined: Any
    counts: Counts


class Sink(Protocol):
    """
    Somebody else who wants every run, such as the router to destinations.

    Called from one thread of the pipeline, a run at a time, in their order.
    """

    def take(self, run: Run) -> None:
        """
        Take a run over before it counts as stored.

        After a crash the same events may come again, in other runs: `Run.lanes` and the columns
        ``request`` and ``position`` tell. A sink that returns has them safe.

        Raises:
            OSError: Not now: the same run is offered again later.
        """
        ...


def prepare(entries: Mapping[str, Sequence[Entry]], admit: Admit, *, lost: int = 0) -> Run:
    """
    Decode a run of the log and leave out what is known.

    Args:
        entries: ``{lane: requests}``
        admit: `Seen.admit`, or another judge.
        lost: Entries that could not be read.
    """
    builder = RunBuilder(admit)
    for lane, requests in entries.items():
        builder.add(lane, requests)
    builder.counts.lost = lost
    lanes = {lane: requests[-1].ordinal for lane, requests in entries.items() if requests}
    return Run(lanes, builder.events(), builder.quarantined(), builder.counts)


class Sealer:
    """
    Writes runs.

    Args:
        layout: The store.
        catalog: Its catalog.
        sinks: Others who get each run before it counts.
    """

    def __init__(self, layout: Layout, catalog: Catalog, sinks: Sequence[Sink] = ()) -> None:
        self._layout = layout
        self._catalog = catalog
        self._sinks = sinks

    def commit(self, run: Run) -> None:
        """
        Write the run's files and have them count; afterwards the log may forget it.

        Raises:
            OSError: The disk is full or failing: call again later.
        """
        for sink in self._sinks:
            sink.take(run)
        made: list[Made] = []
        try:
            for table, rows in ((EVENTS, run.events), (QUARANTINE, run.quarantined)):
                if len(rows):
                    made.append(written(self._layout.fresh(table), rows))
        except OSError:
            for file in made:
                file.temporary.unlink(missing_ok=True)
            raise
        self._catalog.commit(made, lanes=run.lanes, counts=run.counts)
