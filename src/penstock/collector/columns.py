"""
A run of the log as Arrow tables: the pipeline's way from requests to columns.

A request is read one of two ways. A batch of the Segment family in which every message is plain
(`penstock.collector.plain`) goes straight into columns: never is there an object per event, and
times are corrected by Arrow, for a whole run at once. Everything else is decoded row by row
(`penstock.collector.decoding`). Both give the same; a test holds them to it.
"""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from penstock.collector import plain
from penstock.collector.body import inflated
from penstock.collector.decoding import MOST_INFLATED, decode_entry
from penstock.collector.entry import unpacked
from penstock.collector.family import envelope_of
from penstock.collector.frame import Frame
from penstock.collector.ledger import Counts
from penstock.collector.plain_columns import COLUMNS, TEXTS, columns_of
from penstock.collector.refusal import Refusal
from penstock.collector.tables import FRESH_EVENTS, FRESH_QUARANTINE, TEXT, table_of
from penstock.collector.times import corrected_columns
from penstock.collector.wire import Form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from penstock.collector.entry import Head
    from penstock.collector.reading import Entry

    #: `Seen.admit`, or another judge of ``(source, message ids, received ms)``.
    Admit = Callable[[str, Sequence[str], int], list[bool]]

_BATCH = Form.BATCH.value


class RunBuilder:
    """
    Collects what requests become.

    Args:
        admit: Says which events are new.
    """

    def __init__(self, admit: Admit) -> None:
        self._admit = admit
        self._columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        self._rows: list[tuple[Any, ...]] = []
        self._quarantined: list[tuple[Any, ...]] = []
        self.counts = Counts()

    def add(self, lane: str, entries: Iterable[Entry]) -> None:
        """Decode requests of one lane and keep what is new of them; what is none is left out."""
        for entry in entries:
            try:
                head, body = unpacked(entry.payload)
            except ValueError:
                continue
            columns = None
            if head.form == _BATCH and not head.refused:
                columns = _plain_columns(Frame(head, lane, entry.ordinal), body)
            if columns is None:
                self._add_rows(lane, entry)
            else:
                self._add_columns(head, columns)

    def _add_columns(self, head: Head, columns: dict[str, list[Any]]) -> None:
        ids = columns["message_id"]
        fresh = self._fresh(head.source, ids, head.received_at)
        if len(fresh) == sum(fresh):
            for name, values in columns.items():
                self._columns[name] += values
        else:
            for name, values in columns.items():
                self._columns[name] += compress(values, fresh)

    def _add_rows(self, lane: str, entry: Entry) -> None:
        decoded = decode_entry(entry.payload, lane, entry.ordinal)
        source = decoded.source
        ids = [event.message_id for event in decoded.events]
        fresh = self._fresh(source, ids, decoded.received_at)
        self._rows += [(*event, source) for event in compress(decoded.events, fresh)]
        self._quarantined += [(*item, source) for item in decoded.quarantined]
        self.counts.quarantined += len(decoded.quarantined)

    def _fresh(self, source: str, ids: list[str], received_ms: int) -> list[bool]:
        fresh = self._admit(source, ids, received_ms)
        stored = sum(fresh)
        self.counts.stored += stored
        self.counts.duplicates += len(fresh) - stored
        return fresh

    def events(self) -> Any:
        """The new events, as `FRESH_EVENTS` has them."""
        tables = [_table(self._columns), table_of(FRESH_EVENTS, self._rows)]
        return pa.concat_tables([table for table in tables if len(table)] or tables[:1])

    def quarantined(self) -> Any:
        """The items that are no events, as `FRESH_QUARANTINE` has them."""
        return table_of(FRESH_QUARANTINE, self._quarantined)


def _plain_columns(frame: Frame, body: bytes) -> dict[str, list[Any]] | None:
    """A batch's columns; None when it takes the other way."""
    try:
        text = inflated(body, frame.head.encoding, MOST_INFLATED)
        batch = plain.BATCH.decode(text) if plain.is_plain_text(text) else None
    except (Refusal, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None if batch is None else columns_of(frame, envelope_of(frame, batch), batch.batch)


def _table(columns: dict[str, list[Any]]) -> Any:
    times = corrected_columns(columns)
    arrays: dict[str, Any] = {name: pa.array(columns[name], TEXT) for name in TEXTS}
    arrays |= times._asdict()
    arrays["received_at"] = columns["received"]
    arrays["request"], arrays["position"] = columns["request"], columns["position"]
    made = [
        pa.array(arrays[field.name], field.type)
        if isinstance(arrays[field.name], list)
        else arrays[field.name]
        for field in FRESH_EVENTS
    ]
    return pa.Table.from_arrays(made, schema=FRESH_EVENTS)
