"""The customers and what they bought, read without Penstock."""

from __future__ import annotations

import csv
import gzip
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parent.parent / "data" / "cdnow_orders.csv.gz"
#: A customer has come back who orders again within so many days.
WINDOW = timedelta(days=90)


class Order(NamedTuple):
    """One row; money in cents."""

    day: date
    items: int
    cents: int


class Customer(NamedTuple):
    """Somebody, and everything they ordered, in order."""

    number: str
    orders: tuple[Order, ...]

    @property
    def first(self) -> Order:
        """What made them a customer."""
        return self.orders[0]

    @property
    def later(self) -> tuple[Order, ...]:
        """What they ordered after that, within the window."""
        end = self.first.day + WINDOW
        return tuple(order for order in self.orders[1:] if order.day <= end)


def customers() -> list[Customer]:
    """All of them, by number; the file is in order of customer and day."""
    found: dict[str, list[Order]] = {}
    with gzip.open(FILE, "rt", newline="") as text:
        for row in csv.DictReader(text):
            cents = round(float(row["revenue"]) * 100)
            day = date.fromisoformat(row["ordered_at"])
            order = Order(day, int(row["quantity"]), cents)
            found.setdefault(row["customer_id"], []).append(order)
    return [Customer(number, tuple(orders)) for number, orders in found.items()]


def persuaded(customer: Customer, share: float) -> Order | None:
    """
    A made-up order: what the reminder would have sold, if it had sold anything.

    Args:
        customer: Who did not come back by themselves.
        share: Of those, how many the reminder brings back, from 0 to 1.
    """
    if customer.later or int(customer.number) % 1000 >= share * 1000:
        return None
    first = customer.first
    return Order(first.day + timedelta(days=21), first.items, first.cents)
