"""
`penstock serve` with its store, on all cores of this machine together with the load.

*Sustained* is an open loop: gzip batches of 250 events of the Segment family, all ids different,
sent when they are due whether or not earlier ones were answered; every second another process asks
the store for all events by name and minute. An event is queryable when the first answer that counts
it is there. *Stored* asks a store of ten million events at rest. *Idle* is the memory of the
collector's processes after one event: resident, added up, and with each page that several of them
share counted once (PSS). Bytes per event are those of the store's files.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openloop

from parts import Bar, Cell, Results, Scale, Table, at_least, at_most, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TITLE = "The collector's store"
_WARM = 3


def cells(sdk: str, scale: Scale) -> Iterator[Cell]:
    """Ours only: nobody else's SDK brings a server."""
    if sdk == "penstock":
        rates = {"rate": scale.of(100_000, 1_000), "seconds": scale.of(20, 2)}
        yield Cell("collector_store", sdk, "sustained", rates, limit_s=400)
        stored = {"stored": scale.of(10_000_000, 2_000)}
        yield Cell("collector_store", sdk, "stored", stored, limit_s=400)
        yield Cell("collector_store", sdk, "idle", {}, limit_s=60)


def measure(
    _name: str, _url: str, rate: int = 0, seconds: int = 0, stored: int = 0
) -> dict[str, Any]:
    """One of the three."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    directory = Path(tempfile.mkdtemp(prefix="penstock-store-"))
    try:
        if rate:
            return _sustained(directory, rate, seconds)
        return _at_rest(directory, stored) if stored else _idle(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _sustained(directory: Path, rate: int, seconds: int) -> dict[str, Any]:
    with openloop.collector(directory) as address:
        load = openloop.pushed(address, directory, rate, seconds, seed=1)
    from penstock.collector import open_store

    files = open_store(directory).files()
    size = sum(path.stat().st_size for path in files)
    return {
        **load._asdict(),
        "per_second": load.accepted / load.seconds,
        "bytes_per_event": size / load.accepted,
    }


def _idle(directory: Path) -> dict[str, Any]:
    import urllib.request

    with openloop.collector(directory) as (port, pid):
        body = b'{"type":"track","userId":"u","event":"e","messageId":"m"}'
        headers = {"Authorization": f"Basic {openloop.KEY}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/track", body, headers)
        urllib.request.urlopen(request, timeout=10).close()
        pipeline, others = openloop.family(pid)
        time.sleep(3)  # until it is sealed, and everybody idles
        return {
            "idle_mb": sum(openloop.resident_mib(one) for one in (pipeline, *others)) * 2**20 / 1e6,
            "once_mib": sum(openloop.shared_once_mib(one) for one in (pipeline, *others)),
            "intake_mib": sum(openloop.resident_mib(one) for one in others),
            "pipeline_mib": openloop.resident_mib(pipeline),
        }


def _at_rest(directory: Path, count: int) -> dict[str, Any]:
    from penstock.collector import open_store

    _fill(directory, count)
    store = open_store(directory)
    return {
        "newest_ms": _best(lambda: store.events(limit=100)),
        "of_user_ms": _best(lambda: store.arrow("SELECT * FROM events WHERE user_id = 'u-77'")),
        "by_minute_ms": _best(lambda: store.arrow(openloop.QUERY)),
    }


def _best(ask: Callable[[], object]) -> float:
    found = []
    for _ in range(_WARM):
        begin = time.perf_counter()
        ask()
        found.append((time.perf_counter() - begin) * 1000)
    return min(found)


def _fill(directory: Path, count: int) -> None:
    """A day of real rows, again and again with other ids and times, in files as big as merged."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from penstock.collector.layout import EVENTS, Layout
    from penstock.collector.store.catalog import Catalog
    from penstock.collector.store.tables import EVENT_SCHEMA, TIME, Writer

    rows = _decoded(min(count, 100_000)).select(EVENT_SCHEMA.names)
    layout = Layout(directory)
    catalog = Catalog(layout)
    midnight = int(datetime.now(UTC).replace(hour=0, minute=0, second=0).timestamp()) * 1_000_000
    step = 86_000_000_000 // count
    for start in range(0, count, 1_000_000):
        day = datetime.fromtimestamp(midnight / 1e6, UTC).strftime("%Y-%m-%d")
        writer = Writer(layout.partition(EVENTS, day, "web"), EVENT_SCHEMA)
        for first in range(start, min(start + 1_000_000, count), len(rows)):
            times = [midnight + (first + n) * step for n in range(len(rows))]
            columns = {
                "message_id": pa.array([str(openloop.UUID(bytes=os.urandom(16))) for _ in times]),
                "received_at": pa.array(times, pa.int64()).cast(TIME),
            }
            changed = rows
            for name, column in columns.items():
                changed = changed.set_column(EVENT_SCHEMA.names.index(name), name, column)
            writer.write(changed.take(pc.sort_indices(columns["received_at"])))
        catalog.commit([writer.close()])


def _decoded(count: int) -> Any:
    from penstock.collector.config import Window
    from penstock.collector.log.entry import Head, packed
    from penstock.collector.log.reading import Entry
    from penstock.collector.store.columns import RunBuilder
    from penstock.collector.store.dedupe import Seen

    builder = RunBuilder(Seen(Window()).admit)
    bodies = openloop.raw_bodies(max(1, count // openloop.BATCH), seed=1)
    for place, body in enumerate(bodies, 1):
        head = Head(int(time.time() * 1000), "web", "segment", "batch", "gzip", openloop.BATCH)
        builder.add("lane-bench", [Entry(place, packed(head, body))])
    return builder.events()


def tables(results: Results) -> Iterator[Table]:
    """A row per figure."""
    rows = [
        [what, shown(results.median("penstock", variant, key)), unit]
        for what, variant, key, unit in _FIGURES
    ]
    yield Table(["what", "measured", "unit"], rows)


_FIGURES = (
    ("events per second, accepted and stored", "sustained", "per_second", "events/s"),
    ("requests refused", "sustained", "refused", ""),
    ("due to durable answer, p50", "sustained", "ack_p50", "ms"),
    ("due to durable answer, p99", "sustained", "ack_p99", "ms"),
    ("due to queryable, p50", "sustained", "queryable_p50", "ms"),
    ("due to queryable, p99", "sustained", "queryable_p99", "ms"),
    ("one query meanwhile, p50", "sustained", "query_p50", "ms"),
    ("processor time per event, taking", "sustained", "intake_us", "µs"),
    ("processor time per event, sealing and merging", "sustained", "pipeline_us", "µs"),
    ("peak memory, taking", "sustained", "intake_mib", "MiB"),
    ("peak memory, sealing and merging", "sustained", "pipeline_mib", "MiB"),
    ("the store's files", "sustained", "bytes_per_event", "bytes/event"),
    ("the newest 100 of 10 million events", "stored", "newest_ms", "ms"),
    ("all events of one user, of 10 million", "stored", "of_user_ms", "ms"),
    ("count by event and minute, of 10 million", "stored", "by_minute_ms", "ms"),
    ("resident memory of all processes, idle", "idle", "idle_mb", "MB"),
    ("the same, shared pages once", "idle", "once_mib", "MiB"),
    ("resident memory, taking, idle", "idle", "intake_mib", "MiB"),
    ("resident memory, sealing and merging, idle", "idle", "pipeline_mib", "MiB"),
)


def bars(results: Results) -> list[Bar]:
    """What the collector promises."""

    def median(variant: str, key: str) -> float | None:
        return results.median("penstock", variant, key)

    return [
        *at_least("collector, sustained", 99_000, median("sustained", "per_second"), "events/s"),
        *at_most("collector, p99 to the answer", 50, median("sustained", "ack_p99"), "ms"),
        *at_most("collector, p99 to queryable", 3000, median("sustained", "queryable_p99"), "ms"),
        *at_most("collector, newest 100 of 10 M", 50, median("stored", "newest_ms"), "ms"),
        *at_most("collector, count of 10 M", 2000, median("stored", "by_minute_ms"), "ms"),
        *at_most("collector, idle memory", 120, median("idle", "idle_mb"), "MB"),
    ]
