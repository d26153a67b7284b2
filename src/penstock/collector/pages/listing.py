"""What the pages list: the newest events, quarantined items, and who sends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from heapq import nlargest
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.collector.pages.arrival import (
    CHANGED,
    QUARANTINED,
    STORED,
    Arrival,
    of_quarantined,
    of_row,
)
from penstock.collector.store.query import Filter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.collector.pages.arrival import Wanted
    from penstock.collector.store.reader import Store

#: Lines of a page.
SHOWN = 100
#: Rows looked at when they are chosen by what the store cannot find by itself.
LOOKED_AT = 2000
#: Who has sent within so many hours is listed.
SENDERS_HOURS = 24

_SENDERS = """
    SELECT source, dialect, left(coalesce(library, ''), 200) AS library, count(*) AS events,
           max(received_at) AS last, count(changes) AS changed
    FROM events WHERE received_at >= ? GROUP BY ALL ORDER BY last DESC LIMIT 500
"""


class Sender(NamedTuple):
    """Events of one source by one SDK."""

    source: str
    dialect: str
    #: ``name/version``, as the SDK says.
    library: str
    events: int
    last: datetime
    #: Events of which something was changed.
    changed: int


def newest(store: Store, duplicates: Iterable[Arrival], wanted: Wanted) -> list[Arrival]:
    """
    The newest arrivals, the newest first.

    Args:
        store: Where to look.
        duplicates: Repetitions, which no store has.
        wanted: Which.
    """
    found: list[Arrival] = []
    looked = LOOKED_AT if wanted.text or wanted.verdict == CHANGED else SHOWN
    if wanted.verdict in {"", STORED, CHANGED}:
        chosen = Filter(*(getattr(wanted, name) or None for name in Filter._fields[:4]))
        looked = LOOKED_AT if wanted.event else looked
        # A page's name is shown as an event's is, so it is looked for as one.
        chosen = chosen._replace(event=None)
        found += map(of_row, store.events(chosen, looked))
    if wanted.verdict in {"", QUARANTINED}:
        found += map(of_quarantined, store.quarantined(Filter(wanted.source or None), looked))
    found += duplicates
    return nlargest(SHOWN, filter(wanted.takes, found), key=lambda a: (a.received_at, a.mark))


def quarantined(store: Store, source: str, reason: str) -> list[dict[str, Any]]:
    """The newest quarantined items, chosen by source and reason if these are not empty."""
    looked = LOOKED_AT if reason else SHOWN
    rows = store.quarantined(Filter(source or None), looked)
    return [row for row in rows if reason in ("", row["reason"])][:SHOWN]


def senders(store: Store) -> list[Sender]:
    """Who has sent within the last `SENDERS_HOURS`, who sent last first."""
    since = datetime.now(UTC) - timedelta(hours=SENDERS_HOURS)
    return [Sender(**row) for row in store.arrow(_SENDERS, [since]).to_pylist()]
