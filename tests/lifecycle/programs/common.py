"""What every program here shares: a client on defaults, and a way to tell what happened."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NoReturn

from penstock import Client, Config, PostHog, Segment

#: About 560 bytes as a Segment message: what `benchmarks` call the full event.
PROPERTIES: dict[str, Any] = {
    "order_id": "ord-8841-2231",
    "total": 143.25,
    "currency": "EUR",
    "coupon": None,
    "first_order": True,
    "items": 3,
    "products": ["sku-1001", "sku-2044", "sku-77"],
    "shipping": {"method": "express", "cost": 7.5},
    "channel": "web",
    "note": "Überraschung, bitte klingeln",
}
CONTEXT: dict[str, Any] = {
    "ip": "203.0.113.9",
    "locale": "de-AT",
    "page": {"path": "/checkout", "referrer": "https://example.test/cart"},
    "userAgent": "Mozilla/5.0 (X11; Linux x86_64)",
}


def open_client(**settings: Any) -> Client:
    """A Segment client for the sink, or one of PostHog's; no settings means defaults."""
    key, sink = os.environ["WRITE_KEY"], os.environ["SINK"]
    is_posthog = os.environ.get("DIALECT") == "posthog"
    destination = PostHog(key, sink) if is_posthog else Segment(key, endpoint=sink)
    return Client(destination, config=Config(**settings) if settings else None)


def track(client: Client, count: int, *, note_each: bool = False) -> None:
    """Track *count* events; note the ids together at the end, or each as soon as it is known."""
    ids = []
    for number in range(count):
        ids.append(client.track(f"user-{number}", "Order Completed", PROPERTIES, context=CONTEXT))
        if note_each:
            note(ids.pop())
    note(*ids)


def note(*ids: str) -> None:
    """
    Write ids where they outlive the process; one call is one ``write``, so lines never mix.

    A kill may still cut one short where a page of the file ends, so each begins a line as well.
    """
    descriptor = os.open(os.environ["IDS"], os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, "".join(f"\n{i}\n" for i in ids).encode())
    os.close(descriptor)


def tell(kind: str, value: Any) -> None:
    """Print a line for the test: a kind and a JSON value, in one ``write``."""
    os.write(1, f"@ {kind} {json.dumps(value)}\n".encode())


def report(client: Client) -> None:
    """Tell the client's ledger."""
    tell("ledger", client.ledger().to_dict())


def live_as_child(client: Client, count: int, timeout: float) -> NoReturn:
    """What a forked process does in its short life: track, close within *timeout* s, tell."""
    track(client, count)
    client.close(timeout=timeout)
    report(client)
    os._exit(0)


def resident_kib(field: str) -> int:
    """``VmRSS`` (now) or ``VmHWM`` (peak), in KiB; mapped journal pages are in it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise LookupError(field)
