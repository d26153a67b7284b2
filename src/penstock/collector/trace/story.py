"""
One event's whole story: what was sent, what was understood, what became of it, where it is.

Everything is looked up when it is asked, in the log, the requests kept a while
(`penstock.collector.store.recent`), the store, and the destinations' journals; no index is kept. So
the same story is told by the debugger and by `penstock trace`, with a running collector or without.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import orjson

from penstock.collector.decoding.requests import decode_entry
from penstock.collector.layout import EVENTS, QUARANTINE, TABLES
from penstock.collector.log.entry import packed
from penstock.collector.routing.deliveries import Delivery, deliveries_of
from penstock.collector.store import recent
from penstock.collector.store.reader import Store
from penstock.collector.trace.tellings import Telling, of_event, of_item, of_row, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.collector.layout import Layout
    from penstock.collector.store.recent import Kept
    from penstock.collector.trace.tellings import Row

#: Rows of one id (it repeats over sources, and in quarantine), and requests that have it in them.
_MOST_ROWS, _MOST_REQUESTS = 50, 50
#: Seconds to look through the requests that are kept.
PATIENCE_S = 3.0


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """All there is to tell of one message id."""

    id: str
    #: The newest first.
    tellings: list[Telling]
    #: What became of it at each destination.
    deliveries: list[Delivery]
    #: Whether all requests that are kept were looked through, and not only the newest.
    whole: bool = True


def trace(layout: Layout, message_id: str, patience_s: float = PATIENCE_S) -> Story:
    """
    Everything known of a message id.

    Args:
        layout: The store.
        message_id: As the store has it.
        patience_s: Seconds to look through the requests that are kept.

    Returns:
        A story without tellings when nothing is known of it.
    """
    message_id = message_id.encode(
        "utf-8", "replace"
    ).decode()  # a terminal's argument is any bytes
    # The log first: what is in it now is in the store's answer or in the log still.
    search = _Search(layout, message_id, time.monotonic() + patience_s)
    store = Store(layout.root)
    rows = {table: _rows(store, table, message_id) for table in TABLES}
    search.add_places({place_of(row) for found in rows.values() for row in found})
    tellings = [*_arrived(layout, message_id, search.found, rows)]
    told = {_mark(t.row, t.source) for t in tellings if t.row}
    for table, found in rows.items():
        tellings += [
            of_row(layout, table, row) for row in found if _mark(row, row["source"]) not in told
        ]
    tellings.sort(key=lambda telling: -telling.received_at)
    deliveries = deliveries_of(layout, message_id) if tellings else []
    return Story(id=message_id, tellings=tellings, deliveries=deliveries, whole=search.whole)


def _mark(row: Row, source: str) -> tuple[object, ...]:
    return source, row["request"], row["position"], row["received_at"]


class _Search:
    """Requests that have an id in their body, or lie at a place that a row tells."""

    def __init__(self, layout: Layout, message_id: str, deadline: float) -> None:
        self._layout = layout
        self._by_place: dict[tuple[str, int], Kept] = {}
        self.whole = True
        plain = message_id.encode()
        self._needles = {plain, orjson.dumps(message_id)[1:-1]} if message_id else set()
        for kept in recent.requests(layout) if message_id else ():
            if time.monotonic() > deadline or len(self._by_place) >= _MOST_REQUESTS:
                self.whole = False
                break
            text = kept.text
            if any(needle in text for needle in self._needles):
                self._by_place[kept.lane, kept.request] = kept

    def add_places(self, places: set[tuple[int, int]]) -> None:
        """An id that we made is in no body, and there may have been no time to see all."""
        for place in places - {kept.place for kept in self.found}:
            for kept in recent.requests_at(self._layout, place[0]):
                if kept.place == place:
                    self._by_place[kept.lane, kept.request] = kept

    @property
    def found(self) -> list[Kept]:
        """All of them."""
        return list(self._by_place.values())


def _rows(store: Store, table: str, message_id: str) -> list[Row]:
    ask = f"SELECT * FROM {table} WHERE message_id = ? ORDER BY received_at DESC LIMIT {_MOST_ROWS}"  # noqa: S608 - our own words
    found: list[Row] = store.arrow(ask, [message_id]).to_pylist()
    return found


def _arrived(
    layout: Layout,
    message_id: str,
    candidates: list[Kept],
    rows: dict[str, list[Row]],
) -> Iterator[Telling]:
    for kept in candidates:
        made = decode_entry(packed(kept.head, kept.body), kept.lane, kept.request)
        for event in made.events:
            if event.message_id == message_id:
                yield of_event(layout, kept, event, rows[EVENTS])
        for item in made.quarantined:
            if item.message_id == message_id:
                yield of_item(kept, item, rows[QUARANTINE])
