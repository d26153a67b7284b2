"""The unsealed end of the log as tables: what a reader decodes itself, a second's worth mostly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.collector.config import Window
from penstock.collector.layout import EVENTS, QUARANTINE
from penstock.collector.store.dedupe import Seen
from penstock.collector.store.deletions import forgotten
from penstock.collector.store.sealing import prepare
from penstock.collector.store.tables import FRESH_EVENTS, FRESH_QUARANTINE, with_date

if TYPE_CHECKING:
    from penstock.collector.layout import Layout
    from penstock.collector.store.snapshot import Snapshot

#: A reader forgets nothing while it reads.
_FOR_EVER = Window(hours=1e6, ids=1 << 62)


def tail_of(seen: Snapshot, layout: Layout) -> dict[str, Any]:
    """
    What is not sealed yet, ``{table: rows with source and date}``.

    A repetition inside the tail is left out, and what was deleted on request; one of an event
    that is in a file is not.

    Args:
        seen: The store.
        layout: Where it is.
    """
    if not any(seen.tail.values()):
        return {
            EVENTS: with_date(FRESH_EVENTS.empty_table()),
            QUARANTINE: with_date(FRESH_QUARANTINE.empty_table()),
        }
    known = Seen(_FOR_EVER)
    for deletion in forgotten(layout, 0.0):
        for source, digests in deletion.digests.items():
            known.restore_digests(source, digests, 0)
    run = prepare(seen.tail, known.admit)
    return {EVENTS: with_date(run.events), QUARANTINE: with_date(run.quarantined)}
