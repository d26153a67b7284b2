"""What is to become of records that were read: a function of them and of the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from penstock.delivery._batcher import Batches, Limits, message_overhead, split
from penstock.delivery._encoding import Sorted, sort
from penstock.journal.record import FLAG_SELECTIVE, Wanted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.delivery._job import Item
    from penstock.delivery._settings import PumpSettings
    from penstock.destinations import Destination
    from penstock.dialects._types import Dialect
    from penstock.journal.record import Record


class Plan(NamedTuple):
    """Records, those of them that travel or do not, and the batches of the former."""

    records: Sequence[Record]
    found: Sorted
    batches: Batches

    def whole_batches(self) -> int:
        """How many of the records, from the first on, make batches that are full."""
        batches = self.batches.batches
        places = {(bucket, items[0].stream) for bucket, items in batches}
        if len(batches) < 2 or len(places) > 1:  # noqa: PLR2004 - one batch, full or not, is taken
            return len(self.records)
        first_of_last = batches[-1][1][0].record.ordinal
        return sum(record.ordinal < first_of_last for record in self.records)


def wanted(dialect: Dialect, limits: Limits, oldest: float) -> Wanted:
    """
    What a batch takes that goes out as it lies in the journal; the same as any other takes.

    Args:
        dialect: The destination's; one that sends nothing as it is wants nothing.
        limits: What one request may hold.
        oldest: Records captured before this, in seconds since 1970, have expired.
    """
    body_bytes = dialect.body_bytes
    below, between = dialect.verbatim or (0, b"")
    return Wanted(
        records=limits.batch_size,
        room=limits.max_batch_bytes - body_bytes(1, 0) + len(between),
        between=between,
        largest=limits.max_message_bytes - message_overhead(body_bytes),
        below=below,
        without=FLAG_SELECTIVE,
        oldest=oldest,
    )


def planned(
    records: list[Record],
    destination: Destination,
    settings: PumpSettings,
    *,
    oldest: float,
    node_count: int,
) -> Plan:
    """
    Encode records and put them into batches.

    Args:
        records: In order.
        destination: Where to.
        settings: Its numbers.
        oldest: Records captured before this, in seconds since 1970, have expired.
        node_count: Servers behind the endpoint, as far as known.
    """
    streams = settings.concurrency if settings.ordered else 0
    found = sort(records, destination, oldest=oldest, streams=streams)
    return Plan(records, found, batched(found.items, destination, settings, node_count))


def batched(
    items: Sequence[Item], destination: Destination, settings: PumpSettings, node_count: int
) -> Batches:
    """Put encoded events into batches, each for one of *node_count* servers."""
    dialect = destination.dialect
    return split(
        items,
        settings.limits,
        lambda item: dialect.bucket(item.encoded, node_count),
        dialect.body_bytes,
    )
