"""From the columns of a run to neutral events on their way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from penstock.collector.routing.shaping import Routed
from penstock.timestamps import from_epoch_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

#: ``{member of neutral JSON: column}``
_TEXTS = {
    "userId": "user_id",
    "anonymousId": "anonymous_id",
    "groupId": "group_id",
    "previousId": "previous_id",
    "name": "name",
    "category": "category",
    "event": "event",
}
_OBJECTS = ("properties", "traits", "context", "integrations")


def outgoing(table: Any) -> Iterator[Routed]:
    """
    The events of a run in neutral form.

    Args:
        table: As `penstock.collector.store.tables.FRESH_EVENTS` has it.
    """
    names = ["source", "type", "message_id", "rest", *_TEXTS.values(), *_OBJECTS]
    columns = {name: table.column(name).to_pylist() for name in names}
    times = table.column("timestamp").cast(pa.int64()).to_pylist()
    texts = {member: columns[column] for member, column in _TEXTS.items()}
    for place, time_us in enumerate(times):
        message = {
            "type": columns["type"][place],
            "messageId": columns["message_id"][place],
            "timestamp": from_epoch_ms(time_us // 1000),
        }
        for member, values in texts.items():
            if values[place] is not None:
                message[member] = values[place]
        for member in _OBJECTS:
            if columns[member][place] is not None:
                message[member] = orjson.Fragment(columns[member][place])
        if columns["rest"][place] is not None:
            message = {**orjson.loads(columns["rest"][place]), **message}
        yield Routed(
            columns["source"][place],
            columns["type"][place],
            columns["event"][place] or columns["name"][place] or "",
            columns["integrations"][place] is not None,
            orjson.dumps(message),
        )
