"""What the store says, order by order, against what the file says."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from orders import EVENT, Order, Totals, totals

from penstock.collector import open_store

if TYPE_CHECKING:
    from pathlib import Path

#: Cents are taken from the JSON text as a decimal, so no sum ever sees a float.
_SQL = """
    SELECT source, message_id, user_id,
           strftime(original_timestamp, '%Y-%m-%d') AS day,
           CAST(properties ->> '$.quantity' AS BIGINT) AS items,
           CAST(CAST(properties ->> '$.revenue' AS DECIMAL(18, 2)) * 100 AS BIGINT) AS cents
    FROM events WHERE event = ? AND properties ->> '$.currency' = 'USD'
"""


class Finding(NamedTuple):
    """One source against the file."""

    totals: Totals
    #: Orders of the file that are not stored.
    lost: int
    #: Stored more than once.
    duplicated: int
    #: Stored, and not in the file.
    unknown: int
    #: Stored with another customer, day, quantity or revenue.
    altered: int

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong; the totals are equal then."""
        return not (self.lost or self.duplicated or self.unknown or self.altered)


def stored(store: Path) -> dict[str, list[tuple[str, Order]]]:
    """``{source: [(message id, order)]}``"""
    table = open_store(store).arrow(_SQL, [EVENT])
    found: dict[str, list[tuple[str, Order]]] = {}
    for source, message_id, *order in zip(*(c.to_pylist() for c in table.columns), strict=True):
        found.setdefault(source, []).append((message_id, Order(*order)))
    return found


def compare(wanted: dict[str, Order], found: list[tuple[str, Order]]) -> Finding:
    """Compare by id, not by count: a loss and a duplicate never cancel out."""
    times = Counter(message_id for message_id, _ in found)
    return Finding(
        totals=totals([order for _, order in found]),
        lost=len(wanted.keys() - times.keys()),
        duplicated=sum(count - 1 for count in times.values()),
        unknown=len(times.keys() - wanted.keys()),
        altered=sum(wanted.get(message_id, order) != order for message_id, order in found),
    )
