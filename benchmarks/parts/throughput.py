"""
Events per second from the first call to the last answer, and the processor time of it all.

No event may be dropped: the caller waits while an SDK's bounded queue is four fifths full. User
and system time of the whole client process and its children, the building of the events included
(see null). 50 ms RTT: the sink waits that long before each answer. The last row is the instrument's
own limit: bodies of 250 events made beforehand, sent over one raw socket.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import events
from sdks import COMPRESSING, PEERS, UNBOUNDED, load

from parts import Bar, Cell, Results, Scale, Table, at_least, at_most, processor_s, shown
from parts.capture import HIGH_WATER
from parts.premade import request

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "2. Delivered events per second, and processor seconds per million delivered events"
WIRES = ("plain", "gzip")
#: Design, section 10; the issue before it asked for 12.
FACTOR, FIRST_FACTOR = 15, 12


def cells(sdk: str, scale: Scale) -> Iterator[Cell]:
    """Both wire settings whatever the SDK's default, a small event, a slow network, a flood."""
    fast = sdk in UNBOUNDED
    count = scale.of(300_000 if fast else 20_000, 500)
    yield Cell("throughput", sdk, "plain", {"count": count, "gzip": False})
    yield Cell("throughput", sdk, "small", {"count": count, "gzip": False, "kind": "small"})
    if sdk == "null":
        yield Cell("throughput", sdk, "premade", {"count": count, "premade": True})
        return
    yield Cell("throughput", sdk, "gzip", {"count": count, "gzip": True})
    if sdk == "pure":
        return  # the rest of it waits for the network, not for the processor
    slow = scale.of(60_000 if fast else 4000, 500)
    yield Cell("throughput", sdk, "far", {"count": slow, "gzip": False}, sink={"delay_s": 0.05})
    flood = {"count": scale.of(100_000 if fast else 15_000, 500), "waiting": False}
    yield Cell("throughput", sdk, "flood", flood)


def measure(
    name: str,
    url: str,
    count: int,
    *,
    gzip: bool | None = None,
    kind: str = "full",
    waiting: bool = True,
    premade: bool = False,
) -> dict[str, Any]:
    """Deliver *count* events after a warm-up that loads the sender."""
    if premade:
        return _premade(url, count)
    sdk, build = load(name, url, gzip=gzip), events.KINDS[kind]
    for number in range(500):
        sdk.track(*sdk.shape(build(events.WARM_UP + number)))
    sdk.drain(60)
    user, system = processor_s()
    began = time.monotonic()
    for number in range(count):
        sdk.track(*sdk.shape(build(number)))
        if waiting and not number % 100:
            while sdk.backlog() > HIGH_WATER:
                time.sleep(0.001)
    called = time.monotonic() - began
    sdk.drain(120)
    took = time.monotonic() - began
    user, system = processor_s()[0] - user, processor_s()[1] - system
    return {
        "began_at": began,
        "took_s": took,
        "per_second": count / took,
        "offered_per_second": count / called,
        "cpu_s_per_million": (user + system) / count * 1e6,
        "system_s_per_million": system / count * 1e6,
        "sent": count,
    }


def _premade(url: str, count: int) -> dict[str, Any]:
    """What sink and loopback take from a client that only sends."""
    address = urlsplit(url)
    requests = [request(first, min(250, count - first)) for first in range(0, count, 250)]
    with socket.create_connection((address.hostname, address.port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        user, system = processor_s()
        began = time.monotonic()
        for body in requests:
            sock.sendall(body)
            sock.recv(4096)
        took = time.monotonic() - began
        user, system = processor_s()[0] - user, processor_s()[1] - system
    return {
        "began_at": began,
        "per_second": count / took,
        "cpu_s_per_million": (user + system) / count * 1e6,
        "system_s_per_million": system / count * 1e6,
        "sent": count,
    }


def tables(results: Results) -> Iterator[Table]:
    """Delivered without loss, then what happens without waiting."""
    header = ["SDK", "plain events/s", "CPU s/1M", "of it system", "bytes/event"]
    header += ["gzip events/s", "CPU s/1M", "bytes/event", "small events/s", "CPU s/1M"]
    header += ["50 ms RTT events/s", "lost", "sink busy", "spread", "noise"]
    rows = [_row(results, sdk) for sdk in results.sdks()]
    if results.runs.get(("null", "premade")):
        rows.append(_ceiling(results))
    yield Table(header, rows)
    yield _flood(results)


def _row(results: Results, sdk: str) -> list[str]:
    def of(variant: str, key: str) -> str:
        return shown(results.median(sdk, variant, key))

    silent = sdk == "null"
    row = [sdk, of("plain", "per_second"), of("plain", "cpu_s_per_million")]
    row += [of("plain", "system_s_per_million"), "-" if silent else of("plain", "wire_bytes")]
    row += [of("gzip", key) for key in ("per_second", "cpu_s_per_million", "wire_bytes")]
    row += [of("small", key) for key in ("per_second", "cpu_s_per_million")]
    row.append(of("far", "per_second"))
    lost = [results.worst(sdk, variant, "lost") for variant in (*WIRES, "small", "far")]
    known = [found for found in lost if found is not None]
    row.append("-" if silent or not known else f"{max(known):,.0f}")
    busy = results.worst(sdk, "plain", "sink_busy") or 0.0
    spread = results.spread(sdk, "plain", "per_second")
    return [*row, f"{busy:.0f} %", spread, results.noise(sdk)]


def _ceiling(results: Results) -> list[str]:
    """The row of the instrument itself."""
    keys = ("per_second", "cpu_s_per_million", "system_s_per_million", "wire_bytes")
    row = ["(premade bodies)", *(shown(results.median("null", "premade", key)) for key in keys)]
    lost = shown(results.worst("null", "premade", "lost"))
    busy = f"{results.worst('null', 'premade', 'sink_busy') or 0.0:.0f} %"
    return [*row, *["-"] * 6, lost, busy, results.spread("null", "premade", "per_second"), "-"]


def _flood(results: Results) -> Table:
    header = ["SDK", "wire", "offered/s", "sent", "delivered", "lost", "lost %", "delivered/s"]
    rows = []
    for sdk in results.sdks():
        runs = results.runs.get((sdk, "flood"), [])
        if not runs:
            continue
        worst = max(runs, key=lambda run: run["lost"])
        row = [sdk, "gzip" if sdk in COMPRESSING else "plain", shown(worst["offered_per_second"])]
        row += [f"{worst[key]:,}" for key in ("sent", "delivered", "lost")]
        row.append(f"{100 * worst['lost'] / worst['sent']:.0f} %")
        rows.append([*row, shown(worst["delivered"] / worst["took_s"])])
    about = "Flat out with the SDK's default queue, no waiting; the repetition that lost most:"
    return Table(header, rows, about)


def bars(results: Results) -> list[Bar]:
    """Design, section 10."""
    found: list[Bar] = []
    for wire in WIRES:
        ours = results.median("penstock", wire, "cpu_s_per_million")
        found += at_most(f"CPU per million delivered, {wire}", 7, ours, "s")
        found += _factor(wire, ours, results)
        rate = results.median("penstock", wire, "per_second")
        found += at_least(f"delivered per second, {wire}", 150_000, rate, "events/s")
        found += at_most(f"lost, {wire}", 0, results.worst("penstock", wire, "lost"), "events")
    flood = results.worst("penstock", "flood", "lost")
    return found + at_most("lost flat out, default settings", 0, flood, "events")


def _factor(wire: str, ours: float | None, results: Results) -> list[Bar]:
    """One bar that states both factors that were ever asked for."""
    cpu = (results.median(sdk, wire, "cpu_s_per_million") for sdk in PEERS)
    theirs = [seconds for seconds in cpu if seconds]
    if not ours or not theirs:
        return []
    times = min(theirs) / ours
    first = "met" if times >= FIRST_FACTOR else "missed"
    what = f"CPU against the cheapest official SDK, {wire}"
    wanted = f">= {FACTOR} times (first asked for: {FIRST_FACTOR})"
    measured = f"{shown(times)} times ({FIRST_FACTOR}: {first})"
    return [Bar(what, wanted, measured, times >= FACTOR)]
