"""
A closed loop against a real collector: a connection that has its answer sends its next request.

    python benchmarks/closedloop.py STORE batches|singles REQUESTS

Requests are made before the clock starts, each event with an id of its own. An answer comes after
the sync of the journal that holds the events, so what is counted is durable.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple, cast
from uuid import UUID

import openloop

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Connections that are busy all the time.
_CONNECTIONS = {"batches": 16, "singles": 64}
_OK = b"HTTP/1.1 200 "


class Pace(NamedTuple):
    """What one run showed."""

    events: int
    refused: int
    per_second: float
    answer_p50: float
    answer_p99: float
    #: Microseconds of processor time per event of the serving processes.
    intake_us: float


def singles(count: int, seed: int) -> Iterator[bytes]:
    """``POST /v1/track`` with one event each."""
    rng = Random(seed)
    for _ in range(count):
        event = {
            "messageId": str(UUID(int=rng.getrandbits(128), version=4)),
            "userId": f"u-{rng.randrange(200_000)}",
            "event": "Order Completed",
            "properties": {"order_id": f"o-{rng.randrange(10**9)}", "revenue": 143.25},
        }
        body = json.dumps(event).encode()
        head = (
            f"POST /v1/track HTTP/1.1\r\nHost: bench\r\nAuthorization: Basic {openloop.KEY}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body


class Connection(asyncio.Protocol):
    """Takes requests from *stock*, which all connections share, until there are none."""

    def __init__(
        self, stock: Iterator[bytes], latencies: list[float], ended: asyncio.Event
    ) -> None:
        self._stock = stock
        self._latencies = latencies
        self._ended = ended
        self._received = b""
        self._sent_at = 0.0
        self.refused = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        """However it ended; a run that lost one shows fewer answers than requests."""
        del error
        self._ended.set()

    def data_received(self, data: bytes) -> None:
        """Count an answer once it is whole, and send the next request."""
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        if not blank or len(body) < int(length):
            return
        self._received = b""
        self._latencies.append(time.perf_counter() - self._sent_at)
        self.refused += not head.startswith(_OK)
        self._next()

    def _next(self) -> None:
        request = next(self._stock, None)
        if request is None:
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)


def pushed(address: tuple[int, int], kind: str, count: int) -> Pace:
    """Send *count* requests as fast as they are answered."""
    import uvloop

    port, pid = address
    _, others = openloop.family(pid)
    make = openloop.bodies if kind == "batches" else singles
    requests = list(make(count, 1))
    before = sum(openloop.use_of(other).seconds for other in others)
    begin = time.perf_counter()
    latencies, refused = uvloop.run(_run(port, requests, _CONNECTIONS[kind]))
    took = time.perf_counter() - begin
    used = sum(openloop.use_of(other).seconds for other in others) - before
    each = openloop.BATCH if kind == "batches" else 1
    taken = (len(latencies) - refused) * each
    latencies = sorted(latency * 1000 for latency in latencies)
    p50, p99 = (latencies[int(len(latencies) * share)] for share in (0.5, 0.99))
    lost = (len(requests) - len(latencies)) * each
    return Pace(taken, refused * each + lost, taken / took, p50, p99, used * 1e6 / taken)


async def _run(port: int, requests: list[bytes], connections: int) -> tuple[list[float], int]:
    loop = asyncio.get_running_loop()
    stock, latencies, protocols = iter(requests), [], []
    endings = [asyncio.Event() for _ in range(connections)]
    for ended in endings:
        protocols.append(Connection(stock, latencies, ended))
        await loop.create_connection(lambda: protocols[-1], "127.0.0.1", port)
    for ended in endings:
        await ended.wait()
    return latencies, sum(protocol.refused for protocol in protocols)


def main(store: str, kind: str, requests: str) -> None:
    """Print what one run showed."""
    with openloop.collector(Path(store)) as address:
        found = pushed(address, kind, int(requests))
    for name, value in found._asdict().items():
        print(f"{name:12} {value:,.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
