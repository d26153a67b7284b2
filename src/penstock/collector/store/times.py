"""
The times of many events at once, in Arrow.

The rules are those of `penstock.collector.decoding.plain_rows`. Times are microseconds since 1970
here, in columns of 64-bit integers.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from penstock.collector.decoding.changes import CLOCK, FUTURE, NO_ID, NO_TIME
from penstock.collector.decoding.clock import AHEAD, EARLIEST, EPOCH, JITTER, LATEST, read_time
from penstock.collector.store.tables import TIME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NUMBER = pa.int64()
_MOMENTS = ("stated", "original", "own_sent")
#: What can be said of a time; nothing first.
_WORDS = (None, CLOCK, FUTURE, NO_TIME)
#: The same, and again with an id that was made.
_CHANGES = pa.array(
    [*_WORDS, *(",".join(sorted(filter(None, (word, NO_ID)))) for word in _WORDS)], pa.string()
)


class Times(NamedTuple):
    """Columns of the store."""

    timestamp: Any
    original_timestamp: Any
    sent_at: Any
    changes: Any


def moments(told: Sequence[str | None]) -> list[datetime | None]:
    """What `read_time` makes of many texts, as datetimes; without an offset they are UTC."""
    if not any(told):
        return [None] * len(told)
    read = datetime.fromisoformat
    try:
        return [None if text is None else read(text) for text in told]
    except ValueError:
        return [_moment(text) for text in told]


def _moment(text: str | None) -> datetime | None:
    found = read_time(text)
    return None if found is None else EPOCH + timedelta(microseconds=found)


def corrected_columns(told: Mapping[str, list[Any]], request: Mapping[str, Any]) -> Times:
    """
    When events happened, by our clock and by theirs, and when they were sent.

    Args:
        told: ``stated``, ``original`` and ``own_sent`` are ``timestamp``, ``originalTimestamp`` and
            ``sentAt`` of the messages, as datetimes; ``made`` is whether a message got its id from
            us.
        request: Columns too: ``request_sent`` and ``received`` are when their requests were sent
            and arrived; ``rudder`` is whether RudderStack's rule holds, see
            `penstock.collector.decoding.plain_rows`.
    """
    stated, original, own_sent = (_numbers(told[name]) for name in _MOMENTS)
    received, rudder = request["received"], request["rudder"]
    sent = pc.coalesce(own_sent, request["request_sent"])
    claimed = pc.if_else(rudder, pc.coalesce(original, stated), pc.coalesce(stated, original))
    happened = pc.coalesce(stated, original)
    trusted = pc.and_(rudder, pc.is_valid(stated))
    skewed = pc.greater_equal(pc.abs(pc.subtract(sent, received)), JITTER)
    moves = pc.fill_null(pc.and_not(skewed, trusted), fill_value=False)
    moved = pc.coalesce(_within(pc.subtract(received, pc.subtract(sent, happened))), received)
    when = pc.coalesce(pc.if_else(moves, moved, happened), received)
    when = pc.if_else(pc.greater(when, pc.add(received, AHEAD)), received, when)
    changes = _changes(pa.array(told["made"], pa.bool_()), when, claimed, sent, received)
    return Times(when.cast(TIME), claimed.cast(TIME), sent.cast(TIME), changes)


def _changes(made: Any, when: Any, claimed: Any, sent: Any, received: Any) -> Any:
    """What `penstock.collector.decoding.changes.changes_of` says of each."""
    clipped = pc.and_(
        pc.equal(when, received), pc.fill_null(pc.not_equal(claimed, sent), fill_value=True)
    )
    moved = pc.if_else(clipped, _WORDS.index(FUTURE), _WORDS.index(CLOCK))
    word = pc.if_else(pc.equal(when, claimed), 0, moved)
    place = pc.add(pc.fill_null(word, _WORDS.index(NO_TIME)), pc.if_else(made, len(_WORDS), 0))
    return _CHANGES.take(place)


def _numbers(values: list[datetime | None]) -> Any:
    return _within(pa.array(values, TIME).cast(_NUMBER))


def _within(numbers: Any) -> Any:
    """Null for times too close to the ends of the calendar, as `read_time` has it."""
    inside = pc.and_(pc.greater_equal(numbers, EARLIEST), pc.less_equal(numbers, LATEST))
    return pc.if_else(inside, numbers, pa.scalar(None, _NUMBER))
