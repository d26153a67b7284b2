"""How a batch is taken from a lane: as a pump does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.journal.record import Wanted

if TYPE_CHECKING:
    from penstock.journal._cursor import Cursor, Hole
    from penstock.journal.lane import Lane
    from penstock.journal.record import Record

_BATCH_BYTES = 1 << 16
#: More than any kind.
_ANY_KIND = 256


def taken(lane: Lane, cursor: Cursor, count: int) -> tuple[Hole, list[Record]]:
    """At most *count* records from the head on, handed out: a run of them where there is one."""
    wanted = Wanted(count, _BATCH_BYTES, b",", _BATCH_BYTES, below=_ANY_KIND, without=0, oldest=0.0)
    found = lane.read_run(cursor.head, wanted)
    if found is not None:
        run, after = found
        return cursor.hand_out(run.ordinals, after, 0), run.records()
    chunk = lane.read(cursor.head, count, _BATCH_BYTES)
    return cursor.hand_out(chunk.records, chunk.after, chunk.voids), chunk.records
