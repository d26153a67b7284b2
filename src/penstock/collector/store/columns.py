"""
A run of the log as Arrow tables: the pipeline's way from requests to columns.

A request is read one of two ways. A batch of the Segment family in which every message is plain
(`penstock.collector.decoding.plain`) goes straight into columns: never is there an object per
event, and times are corrected by Arrow, for a whole run at once. Everything else is decoded row by
row (`penstock.collector.decoding.requests`). Both give the same; a test holds them to it.
"""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from penstock.collector.decoding import plain
from penstock.collector.decoding.family import envelope_of
from penstock.collector.decoding.frame import Frame
from penstock.collector.decoding.inflating import inflated
from penstock.collector.decoding.requests import MOST_INFLATED, decode_entry
from penstock.collector.decoding.wire import Form
from penstock.collector.log.entry import unpacked
from penstock.collector.refusal import Refusal
from penstock.collector.store.ledger import Counts
from penstock.collector.store.plain_columns import COLUMNS, OBJECTS, TEXTS, columns_of
from penstock.collector.store.tables import FRESH_EVENTS, FRESH_QUARANTINE, TEXT, TIME, table_of
from penstock.collector.store.times import corrected_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from penstock.collector.log.reading import Entry

    #: `Seen.admit`, or another judge of ``(source, message ids, received ms)``.
    Admit = Callable[[str, Sequence[str], int], list[bool]]

_BATCH = Form.BATCH.value
#: The column that says which request an event came in.
_WHICH = "which"
#: What all events of a request have in common.
REQUEST: Mapping[str, Any] = {
    "source": TEXT,
    "dialect": TEXT,
    "ip": TEXT,
    "request": pa.int64(),
    "request_sent": pa.int64(),
    "received": pa.int64(),
    "rudder": pa.bool_(),
}


def request_of(frame: Frame) -> dict[str, Any]:
    """The values of `REQUEST`."""
    head = frame.head
    return {
        "source": head.source,
        "dialect": head.dialect,
        "ip": frame.ip,
        "request": frame.request,
        "request_sent": frame.sent,
        "received": frame.received,
        "rudder": head.dialect == "rudderstack",
    }


class RunBuilder:
    """
    Collects what requests become.

    Args:
        admit: Says which events are new.
    """

    def __init__(self, admit: Admit) -> None:
        self._admit = admit
        self._columns: dict[str, list[Any]] = {name: [] for name in (*COLUMNS, _WHICH)}
        self._requests: dict[str, list[Any]] = {name: [] for name in REQUEST}
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
            frame = Frame(head, lane, entry.ordinal)
            plainly = head.form == _BATCH and not head.refused
            columns = _plain_columns(frame, body) if plainly else None
            if columns is None:
                self._add_rows(lane, entry)
            else:
                self._add_columns(frame, columns)

    def _add_columns(self, frame: Frame, columns: dict[str, list[Any]]) -> None:
        ids = columns["message_id"]
        columns[_WHICH] = [len(self._requests["source"])] * len(ids)
        for name, value in request_of(frame).items():
            self._requests[name].append(value)
        fresh = self._fresh(frame.head.source, ids, frame.head.received_at)
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
        tables = [_table(self._columns, self._requests), table_of(FRESH_EVENTS, self._rows)]
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


def _table(columns: dict[str, list[Any]], requests: dict[str, list[Any]]) -> Any:
    which = pa.array(columns[_WHICH], pa.int32())
    arrays: dict[str, Any] = {
        name: pa.array(requests[name], kind).take(which) for name, kind in REQUEST.items()
    }
    times = corrected_columns(columns, arrays)
    arrays |= times._asdict()
    arrays |= {name: pa.array(columns[name], TEXT) for name in TEXTS}
    # Their bytes are known to be UTF-8: the whole body was looked through.
    arrays |= {name: pa.array(columns[name], pa.binary()).view(TEXT) for name in OBJECTS}
    arrays["received_at"] = arrays["received"].cast(TIME)
    arrays["position"] = pa.array(columns["position"], pa.int32())
    return pa.Table.from_arrays([arrays[field.name] for field in FRESH_EVENTS], schema=FRESH_EVENTS)
