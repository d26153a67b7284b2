"""
An open loop against a real collector: requests leave when they are due, not when the last is done.

    python benchmarks/openloop.py STORE EVENTS_PER_SECOND SECONDS

Bodies are made before the clock starts: gzip batches of 250 events, every event with an id of its
own. A request's latency counts from the moment it was due, so a server that stalls cannot hide it.
Beside it a process asks the store every second for events by name and minute, and notes how many
it sees: an event is queryable when the first answer that counts it is there.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from isal import igzip

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = 250
#: Connections: more than are ever needed at once while the server keeps up.
_CONNECTIONS = 48
_NAMES = ("Order Completed", "Product Viewed", "Product Added", "Checkout Started", "Signed Up")
KEY = base64.b64encode(b"bench:").decode()

#: What the store is asked every second.
QUERY = (
    "SELECT event, date_trunc('minute', received_at) AS minute, count(*) AS n "
    "FROM events GROUP BY ALL"
)


class Load(NamedTuple):
    """What one run showed; times in milliseconds."""

    offered: int
    accepted: int
    refused: int
    seconds: float
    ack_p50: float
    ack_p99: float
    ack_max: float
    queryable_p50: float
    queryable_p99: float
    query_p50: float
    queries: int
    #: Microseconds of processor time per event, of the serving processes and of the pipeline.
    intake_us: float
    pipeline_us: float
    #: Peak memory of both, MiB.
    intake_mib: float
    pipeline_mib: float


def raw_bodies(count: int, seed: int) -> Iterator[bytes]:
    """Batches with gzip; about 540 bytes of JSON an event, 130 of gzip."""
    rng = random.Random(seed)
    for _ in range(count):
        raw = json.dumps({"batch": [_event(rng) for _ in range(BATCH)], "sentAt": _now()}).encode()
        yield igzip.compress(raw, 1)


def bodies(count: int, seed: int) -> Iterator[bytes]:
    """HTTP requests with a batch each."""
    for packed in raw_bodies(count, seed):
        head = (
            f"POST /v1/batch HTTP/1.1\r\nHost: bench\r\nAuthorization: Basic {KEY}\r\n"
            "Content-Type: application/json\r\nContent-Encoding: gzip\r\n"
            f"Content-Length: {len(packed)}\r\n\r\n"
        )
        yield head.encode() + packed


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())


def _event(rng: random.Random) -> dict[str, Any]:
    return {
        "type": "track",
        "messageId": str(UUID(int=rng.getrandbits(128), version=4)),
        "anonymousId": str(UUID(int=rng.getrandbits(128), version=4)),
        "userId": f"u-{rng.randrange(200_000)}",
        "event": rng.choice(_NAMES),
        "timestamp": _now(),
        "properties": {
            "order_id": f"o-{rng.randrange(10**9)}",
            "revenue": round(rng.random() * 500, 2),
            "currency": rng.choice(("EUR", "USD", "BRL")),
            "products": [
                {"sku": f"s-{rng.randrange(10_000)}", "quantity": rng.randrange(1, 5)}
                for _ in range(2)
            ],
            "coupon": rng.choice(("NONE", "SPRING", "VIP")),
        },
        "context": {
            "library": {"name": "analytics-python", "version": "2.4.0"},
            "ip": f"203.0.113.{rng.randrange(256)}",
            "locale": "de-AT",
        },
        "integrations": {},
    }


class Sender:
    """
    Sends bodies when they are due.

    Args:
        port: Of the collector.
        requests: What to send.
        rate: Requests per second.
    """

    def __init__(self, port: int, requests: list[bytes], rate: float) -> None:
        self._port = port
        self._requests = requests
        self._rate = rate
        self.latencies: list[float] = []
        #: ``(when it was due, when it was answered)``, in the order of answers.
        self.answered: list[tuple[float, float]] = []
        self.refused = 0

    def run(self) -> float:
        """Send everything; how many seconds it took."""
        begin = time.perf_counter()
        asyncio.run(self._run())
        return time.perf_counter() - begin

    async def _run(self) -> None:
        free: asyncio.Queue[Any] = asyncio.Queue()
        for _ in range(_CONNECTIONS):
            free.put_nowait(await asyncio.open_connection("127.0.0.1", self._port))
        start = time.perf_counter() + 0.1
        tasks = []
        for number, request in enumerate(self._requests):
            due = start + number / self._rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(self._send(free, request, due)))
        await asyncio.gather(*tasks)
        while not free.empty():
            free.get_nowait()[1].close()

    async def _send(self, free: asyncio.Queue[Any], request: bytes, due: float) -> None:
        reader, writer = await free.get()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        free.put_nowait((reader, writer))
        now = time.perf_counter()
        self.latencies.append((now - due) * 1000)
        if b" 200 " in head[:20]:
            self.answered.append((due, now))
        else:
            self.refused += 1


class Asker(threading.Thread):
    """Asks the store every second, in a process of its own, until told to end."""

    def __init__(self, store: Path, first: int) -> None:
        super().__init__(daemon=True)
        code = (
            "import sys, time\n"
            "from penstock.collector import open_store\n"
            "store = open_store(sys.argv[1])\n"
            "while True:\n"
            "    begin = time.perf_counter()\n"
            "    n = sum(store.arrow(sys.argv[2]).column('n').to_pylist())\n"
            "    end = time.perf_counter()\n"
            "    print(begin, end, n, flush=True)\n"
            "    time.sleep(max(0.0, 1 - (end - begin)))\n"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, str(store), QUERY], stdout=subprocess.PIPE, text=True
        )
        self._first = first
        #: ``(begin, end, events seen)``
        self.seen: list[tuple[float, float, int]] = []

    def run(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            begin, end, count = line.split()
            self.seen.append((float(begin), float(end), int(count) - self._first))

    def finish(self, count: int) -> None:
        """Wait until it has seen that many, then end it."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (self.seen and self.seen[-1][2] >= count):
            time.sleep(0.1)
        self._process.kill()
        self._process.wait()
        self.join()


class Use(NamedTuple):
    """Processor seconds and peak MiB of one process."""

    seconds: float
    mib: float


def use_of(pid: int) -> Use:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    ticks = os.sysconf("SC_CLK_TCK")
    return Use((int(fields[11]) + int(fields[12])) / ticks, int(peak) / 1024)


def resident_mib(pid: int) -> float:
    """The memory a process has now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(x.split()[1] for x in status.splitlines() if x.startswith("VmRSS"))) / 1024


def shared_once_mib(pid: int) -> float:
    """The same, where a page that several processes have counts for each in part (PSS)."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(next(x.split()[1] for x in rollup.splitlines() if x.startswith("Pss:"))) / 1024


def family(pid: int) -> tuple[int, list[int]]:
    """The pipeline of a collector, once it has started, and its other processes."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = _descendants(pid)
        for child in found:
            if any(name.endswith("pipeline.lock") for name in _open_files(child)):
                return child, [pid, *(other for other in found if other != child)]
        time.sleep(0.05)
    raise TimeoutError("the pipeline did not start")


def _descendants(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    found = [int(child) for task in tasks for child in task.read_text().split()]
    return found + [inner for child in found for inner in _descendants(child)]


def _open_files(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    return []


def pushed(address: tuple[int, int], store: Path, rate: float, seconds: float, seed: int) -> Load:
    """Offer *rate* events per second for that long."""
    from penstock.collector import open_store

    port, pid = address
    pipeline, others = family(pid)

    count = max(1, int(rate * seconds / BATCH))
    requests = list(bodies(count, seed))
    first = open_store(store).count()
    sender = Sender(port, requests, rate / BATCH)
    asker = Asker(store, first)
    asker.start()
    took = sender.run()
    asker.finish(len(sender.answered) * BATCH)
    uses = [use_of(pipeline), *(use_of(other) for other in others)]
    return _load(sender, asker, took, uses)


def _load(sender: Sender, asker: Asker, took: float, uses: list[Use]) -> Load:
    lags = sorted(_lags(sender, asker))
    latencies = sorted(sender.latencies)
    durations = sorted((end - begin) * 1000 for begin, end, _ in asker.seen)
    return Load(
        len(sender.latencies) * BATCH,
        len(sender.answered) * BATCH,
        sender.refused,
        took,
        _at(latencies, 0.5),
        _at(latencies, 0.99),
        latencies[-1],
        _at(lags, 0.5),
        _at(lags, 0.99),
        _at(durations, 0.5),
        len(durations),
        sum(use.seconds for use in uses[1:]) * 1e6 / (len(sender.answered) * BATCH),
        uses[0].seconds * 1e6 / (len(sender.answered) * BATCH),
        sum(use.mib for use in uses[1:]),
        uses[0].mib,
    )


def _lags(sender: Sender, asker: Asker) -> Iterator[float]:
    """Milliseconds from when a request was due to when an answer counted its events."""
    looks = iter(asker.seen)
    look = next(looks, None)
    for place, (due, _answered) in enumerate(sender.answered, 1):
        while look is not None and look[2] < place * BATCH:
            look = next(looks, None)
        yield (look[1] - due) * 1000 if look else float("inf")


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@contextlib.contextmanager
def collector(store: Path, *options: str) -> Iterator[tuple[int, int]]:
    """A served collector: ``(port, process id)``."""
    command = [sys.executable, "-m", "penstock", "serve", "--port", "0", "--store", str(store)]
    command.append("--no-debugger")  # its cost is told in docs/debugger.md
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, env=os.environ)
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    try:
        with urllib.request.urlopen(f"{told['url']}/healthz", timeout=10):
            pass
        yield int(told["url"].rpartition(":")[2]), process.pid
    finally:
        process.terminate()
        process.wait()


def main(store: str, rate: str, seconds: str, *options: str) -> None:
    """Print what one run showed."""
    with collector(Path(store), *options) as address:
        found = pushed(address, Path(store), float(rate), float(seconds), time.time_ns())
    for name, value in found._asdict().items():
        print(f"{name:15} {value:,.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
