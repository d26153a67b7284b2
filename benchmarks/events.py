"""The two events every SDK is measured with, built anew for every call like in a real program."""

from __future__ import annotations

from typing import Any, NamedTuple

#: Numbers from here on are warm-up: they are not counted.
WARM_UP = 90_000_000


class Event(NamedTuple):
    """What a caller has in hand before it calls an SDK."""

    user: str
    name: str
    properties: dict[str, Any]
    context: dict[str, Any] | None


def full(number: int) -> Event:
    """About 560 bytes as a Segment message: ten mixed properties and a context."""
    return Event(
        f"user-{number % 5000}",
        "Order Completed",
        {
            "order_id": f"ord-{number:08d}",
            "total": 143.25,
            "currency": "EUR",
            "coupon": None,
            "first_order": True,
            "items": 3,
            "products": ["sku-1001", "sku-2044", "sku-77"],
            "shipping": {"method": "express", "cost": 7.5},
            "channel": "web",
            "note": "gift wrapped, please ring twice",
        },
        {
            "ip": "203.0.113.9",
            "locale": "de-AT",
            "page": {"path": "/checkout", "referrer": "https://example.test/cart"},
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64)",
        },
    )


def small(number: int) -> Event:
    """About 220 bytes: two properties, no context."""
    return Event(f"user-{number % 5000}", "Clicked", {"button": "buy", "n": number}, None)


KINDS = {"full": full, "small": small}
