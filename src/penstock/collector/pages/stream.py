"""
The live stream, as server-sent events.

A viewer that reads slowly holds a bounded queue here, and the kernel's buffer: nothing is written
before what came earlier was taken, and of what waits the oldest is dropped and counted.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from penstock.collector.pages.chart import chart_of
from penstock.collector.pages.line import line_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penstock.collector.pages.arrival import Wanted
    from penstock.collector.pages.follower import Follower

#: People who watch at a time.
MOST_VIEWERS = 100
#: Seconds between two looks at the chart.
_CHART_S = 2.0
#: Seconds without news after which a comment keeps proxies from closing the connection.
_QUIET_S = 15.0


async def stream(follower: Follower, wanted: Wanted, place: str) -> AsyncIterator[bytes]:
    """
    Server-sent events, until the viewer or the collector goes.

    Args:
        follower: Knows what arrives.
        wanted: What is shown.
        place: Up to where everything is known; empty is here. One of another process is told to
            begin anew.
    """
    ring = follower.ring
    after = ring.number_at(place or ring.place)
    if after is None:
        yield _event("anew", None)
        return
    drawn, dropped, spoke = None, 0, time.monotonic()
    with ring.watched(wanted, after) as viewer:
        yield b"retry: 1000\n\n"
        while not ring.closed:
            news = await viewer.next(_CHART_S)
            parts: list[bytes] = []
            if news:
                lines = [line_of(seen.arrival) for seen in news]
                parts.append(_event("arrivals", lines, ring.place_of(news[-1].number)))
            if viewer.dropped != dropped:
                dropped = viewer.dropped
                parts.append(_event("dropped", dropped))
            chart = chart_of(follower.minutes.shown(time.time()))
            if chart != drawn:
                drawn = chart
                parts.append(_event("chart", chart))
            if not parts and time.monotonic() - spoke > _QUIET_S:
                parts.append(b":\n\n")
            if parts:
                spoke = time.monotonic()
                yield b"".join(parts)


def _event(name: str, data: object, place: str = "") -> bytes:
    """One event; JSON has no line breaks, so the data is one line."""
    known = b"id: %s\n" % place.encode() if place else b""
    return b"%sevent: %s\ndata: %s\n\n" % (known, name.encode(), msgspec.json.encode(data))
