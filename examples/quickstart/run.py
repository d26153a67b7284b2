"""Say who somebody is and what they did, to a collector on this machine."""

from __future__ import annotations

import sys

from penstock import Client, Collector

address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8765"

with Client(Collector("demo", endpoint=address)) as client:
    client.identify("019mr8mf4r", {"name": "Michael Bolton", "plan": "Enterprise"})
    client.track("019mr8mf4r", "Order Completed", {"revenue": 99.99, "currency": "USD"})
    ledger = client.flush(timeout=5)

print(f"{ledger.delivered} delivered, {ledger.pending} pending")
