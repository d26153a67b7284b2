"""What the three shops share: what they sell, and the client that tells about it."""

from __future__ import annotations

import os
import sys

from penstock import Client, Config
from penstock.identity import AnonymousCookie

PRICES = {"monopoly": 60.0, "dominoes": 19.0}

#: The collector on this machine, unless PENSTOCK_URL names something else.
os.environ.setdefault("PENSTOCK_URL", "collector://demo@127.0.0.1:8765")
client = Client.from_env(Config(interval=1.0))

#: Not over TLS here: a shop on the internet leaves ``secure`` alone.
cookie = AnonymousCookie(secure=False)


def order(sku: str) -> dict[str, object]:
    """The facts of an order; KeyError for what is not sold."""
    return {"sku": sku, "revenue": PRICES[sku], "currency": "EUR"}


def port() -> int:
    """Where to listen."""
    return int(sys.argv[1]) if len(sys.argv) > 1 else 8000
