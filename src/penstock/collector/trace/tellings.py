"""
What there is to tell of one time that an event came.

From a request that is kept, with the item as it came; or, when that is gone, from its row alone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.collector.decoding.wire import (
    POSTHOG_V1_ITEMS,
    SEGMENT_BATCH,
    Form,
    decoded,
    posthog_items,
)
from penstock.collector.layout import EVENTS
from penstock.collector.refusal import Refusal
from penstock.collector.store import snapshot
from penstock.collector.trace.masking import masked, masked_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.collector.decoding.rows import Event, Quarantined
    from penstock.collector.layout import Layout, SealedFile
    from penstock.collector.store.recent import Kept

#: Characters shown of an item as it came.
MOST_SHOWN = 64 * 1024

#: A row of the store, by column.
Row = dict[str, Any]
_OBJECTS = ("properties", "traits", "context", "integrations", "rest")
#: ``{member of neutral JSON: column}``, without the objects.
_MEMBERS = {
    "type": "type", "messageId": "message_id", "event": "event", "name": "name",
    "category": "category", "userId": "user_id", "anonymousId": "anonymous_id",
    "groupId": "group_id", "previousId": "previous_id", "timestamp": "timestamp",
    "originalTimestamp": "original_timestamp", "sentAt": "sent_at", "receivedAt": "received_at",
}  # fmt: skip


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The request an event came in: what the collector keeps of it."""

    lane: str
    request: int
    #: Milliseconds since 1970.
    received_at: int
    path: str
    #: Headers and facts of the connection, by name.
    kept: dict[str, str]
    #: Events in it.
    events: int
    #: Bytes of its body as it came.
    bytes: int


class Telling(msgspec.Struct, frozen=True, kw_only=True):
    """One time that the event came."""

    #: ``stored``, ``changed``, ``quarantined``, ``duplicate``, or ``gone``: it was stored and is
    #: not any more, since it was deleted or has expired.
    verdict: str
    #: Words for what was changed, or the reason for quarantine.
    reasons: list[str]
    detail: str = ""
    source: str
    #: Milliseconds since 1970.
    received_at: int
    #: None when it is not kept any more.
    request: Request | None
    #: Its place in the request, from 0.
    position: int
    #: The item as it came; None when that is not kept any more.
    raw: str | None
    #: The event in neutral form; None when it is none.
    neutral: dict[str, Any] | None
    #: The row in the store, by column; None when there is none.
    row: dict[str, Any] | None
    #: File in the store, or ``log``: in no file yet; empty when it is not stored.
    stored_in: str = ""


def place_of(row: Row) -> tuple[int, int]:
    """As `Kept.place`."""
    return row["request"], _us(row)


def _us(row: Row) -> int:
    moment: datetime = row["received_at"]
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def of_event(layout: Layout, kept: Kept, event: Event, rows: list[Row]) -> Telling:
    """
    An event of a request.

    Args:
        layout: The store.
        kept: The request.
        event: As it is decoded.
        rows: Those of the store with its id.
    """
    source, position = kept.head.source, event.position
    same = [row for row in rows if row["source"] == source]
    mine = [row for row in same if (*place_of(row), row["position"]) == (*kept.place, position)]
    verdict, row, where = "gone", None, ""
    reasons: list[str] = []
    if mine:
        row = mine[0]
        reasons = row["changes"].split(",") if row["changes"] else []
        verdict = "changed" if reasons else "stored"
        where = _file_of(layout, EVENTS, row)
    elif same:
        verdict = "duplicate"
    return _telling(
        kept,
        position,
        verdict=verdict,
        reasons=reasons,
        neutral=neutral_of(event._asdict()),
        row=_plain(row),
        stored_in=where,
    )


def of_item(kept: Kept, item: Quarantined, rows: list[Row]) -> Telling:
    """An item of a request that is no event."""
    row = next(
        (r for r in rows if (*place_of(r), r["position"]) == (*kept.place, item.position)), None
    )
    return _telling(
        kept,
        item.position,
        verdict="quarantined",
        reasons=[item.reason],
        detail=item.detail,
        neutral=None,
        row=_plain(row),
    )


def _telling(kept: Kept, position: int, **more: Any) -> Telling:
    return Telling(
        source=kept.head.source,
        received_at=kept.head.received_at,
        request=request_of(kept),
        position=position,
        raw=_raw(kept, position),
        **more,
    )


def request_of(kept: Kept) -> Request:
    """What is known of a request."""
    head = kept.head
    shown = {
        "User-Agent": head.agent,
        "Content-Encoding": head.encoding,
        "SDK": head.sdk,
        "Sent at": head.sent_at,
        "From": head.ip,
        "Dialect": head.dialect,
        "Form": head.form,
    }
    return Request(
        lane=kept.lane,
        request=kept.request,
        received_at=head.received_at,
        path=head.path,
        kept={name: value for name, value in shown.items() if value},
        events=head.count,
        bytes=len(kept.body),
    )


def _raw(kept: Kept, position: int) -> str:
    """The item at a place of a body, as it came; the whole body where it cannot be cut."""
    text = kept.text
    try:
        items = _items(kept.head.form, text)
        item = bytes(items[position]) if position < len(items) else text
    except Refusal:
        item = text
    return masked_text(item[: 2 * MOST_SHOWN].decode("utf-8", "backslashreplace"))[:MOST_SHOWN]


def _items(form: str, text: bytes) -> list[msgspec.Raw]:
    if form == Form.BATCH:
        return decoded(SEGMENT_BATCH, text).batch
    if form == Form.POSTHOG:
        return posthog_items(text)[1]
    if form == Form.POSTHOG_V1:
        return decoded(POSTHOG_V1_ITEMS, text).batch
    return [msgspec.Raw(text)]


# -- what is stored ----------------------------------------------------------------------------


def of_row(layout: Layout, table: str, row: dict[str, Any]) -> Telling:
    """A row whose request is not kept any more."""
    if table == EVENTS:
        reasons = row["changes"].split(",") if row["changes"] else []
        verdict, detail, raw = ("changed" if reasons else "stored"), "", None
    else:
        verdict, detail, reasons = "quarantined", row["detail"], [row["reason"]]
        raw = masked_text(row["raw"])
    return Telling(
        verdict=verdict,
        reasons=reasons,
        detail=detail,
        source=row["source"],
        received_at=_us(row) // 1000,
        request=None,
        position=row["position"],
        raw=raw,
        neutral=neutral_of(row) if table == EVENTS else None,
        row=_plain(row),
        stored_in=_file_of(layout, table, row),
    )


def _plain(row: dict[str, Any] | None) -> dict[str, Any] | None:
    """A row with objects for its JSON columns, and nothing for what it has not."""
    if row is None:
        return None
    found = {name: value for name, value in row.items() if value is not None}
    for name in _OBJECTS:
        if name in found:
            found[name] = _parsed(found[name])
    if "raw" in found:
        found["raw"] = masked_text(found["raw"])
    return dict(masked(found))


def neutral_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """An event in neutral form, from the columns of its row; times as the row has them."""
    found = {member: row[column] for member, column in _MEMBERS.items() if row.get(column)}
    for name in ("timestamp", "originalTimestamp", "sentAt", "receivedAt"):
        if isinstance(found.get(name), int):
            found[name] = datetime.fromtimestamp(found[name] / 1e6, UTC)
    for name in _OBJECTS[:-1]:
        if row.get(name):
            found[name] = _parsed(row[name])
    rest = _parsed(row["rest"]) if row.get("rest") else {}
    return dict(masked({**rest, **found} if isinstance(rest, dict) else found))


def _parsed(text: str | bytes) -> Any:
    """An object, or the text itself where it is nested too deeply to be one."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text if isinstance(text, str) else text.decode("utf-8", "backslashreplace")


def _file_of(layout: Layout, table: str, row: dict[str, Any]) -> str:
    """The file that holds a row, by its path in the store; ``log`` when none does yet."""
    when = _us(row) // 1000
    for file in snapshot.take(layout).files[table]:
        if file.extent.first <= when <= file.extent.last and _holds(file, row):
            return file.path.relative_to(layout.root).as_posix()
    return "log"


def _holds(file: SealedFile, row: dict[str, Any]) -> bool:
    if not file.is_fresh and file.source != row["source"]:
        return False
    chosen = [
        (name, "=", row[name]) for name in ("message_id", "request", "position") if name in row
    ]
    try:
        found = pq.read_table(file.path, columns=["request"], filters=chosen, partitioning=None)
    except (OSError, pa.ArrowException):  # merged meanwhile
        return False
    return len(found) > 0
