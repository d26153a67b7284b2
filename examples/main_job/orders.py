"""What the file says, read without Penstock: the figures everything else must equal."""

from __future__ import annotations

import csv
import gzip
import hashlib
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from penstock.importing import MessageIds

FILE = Path(__file__).parent.parent / "data" / "cdnow_orders.csv.gz"
EVENT = "Order Completed"


class Order(NamedTuple):
    """One row; money in cents."""

    customer: str
    day: str
    items: int
    cents: int


class Totals(NamedTuple):
    """What a set of orders adds up to."""

    orders: int
    customers: int
    items: int
    cents: int

    @property
    def revenue(self) -> str:
        """In dollars."""
        return f"{self.cents // 100:,}.{self.cents % 100:02}"


def read() -> dict[str, Order]:
    """Every order by the message id it must arrive under; 255 rows repeat an earlier one."""
    content = gzip.decompress(FILE.read_bytes())
    ids = MessageIds(hashlib.sha256(content).hexdigest())
    rows = csv.DictReader(content.decode().splitlines())
    return {
        ids.of(number, "track", EVENT): Order(
            row["customer_id"],
            row["ordered_at"],
            int(row["quantity"]),
            int(Decimal(row["revenue"]) * 100),
        )
        for number, row in enumerate(rows, start=1)
    }


def totals(orders: list[Order]) -> Totals:
    """Their sums, exact."""
    return Totals(
        orders=len(orders),
        customers=len({order.customer for order in orders}),
        items=sum(order.items for order in orders),
        cents=sum(order.cents for order in orders),
    )
