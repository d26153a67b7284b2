"""
``/metrics``: the board's numbers, summed over all processes, as Prometheus reads them.

Any worker can answer for all, and a worker that died still counts.
"""

from __future__ import annotations

import time
from itertools import accumulate
from typing import TYPE_CHECKING

from penstock.collector.http import meters
from penstock.collector.http.destination_metrics import families
from penstock.collector.log.lane import used_bytes
from penstock.collector.routing.standings import by_name, told_in
from penstock.collector.store import ledger
from penstock.errors import MissingExtraError

try:
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
    from prometheus_client.registry import Collector
except ImportError as error:  # pragma: no cover - needs an installation without the extra
    raise MissingExtraError("prometheus-client", "collector") from error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from penstock.collector.http.board import Board
    from penstock.collector.layout import Layout

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: ``(place, name, what it is)``
_GAUGES = (
    (meters.IN_FLIGHT, "requests_in_flight", "Requests being read or waiting for the disk"),
    (meters.HELD_BYTES, "held_bytes", "Bytes of bodies held by requests in flight"),
    (meters.HEALTHY, "workers_healthy", "Workers that can write their log"),
    (meters.PIPELINE_UP, "pipeline_up", "Whether the pipeline runs"),
)
_COUNTERS = (
    (meters.FLUSHED, "flushed_requests", "Requests that were flushed to the disk"),
    (meters.WORKER_RESTARTS, "worker_restarts", "Workers that died and were started again"),
    (meters.PIPELINE_RESTARTS, "pipeline_restarts", "Times the pipeline was started again"),
)
_STORED = ("stored", "duplicates", "quarantined", "lost")


class _Numbers(Collector):
    """
    Everything there is to say at this moment.

    Args:
        board: What the processes count.
        layout: The store.
    """

    def __init__(self, board: Board, layout: Layout) -> None:
        rows = [board.row(number) for number in range(board.rows)]
        self._sums = [sum(row[place] for row in rows) for place in range(meters.PLACES)]
        self._layout = layout

    def collect(self) -> Iterable[Metric]:
        yield from self._requests()
        yield self._flushes()
        for place, name, text in _GAUGES:
            yield GaugeMetricFamily(f"penstock_{name}", text, self._sums[place])
        for place, name, text in _COUNTERS:
            yield CounterMetricFamily(f"penstock_{name}", text, self._sums[place])
        yield from self._store()
        yield from families(by_name(told_in(self._layout.standings)), time.time())

    def _requests(self) -> Iterator[Metric]:
        by = ["dialect", "outcome"]
        requests = CounterMetricFamily("penstock_requests", "Requests answered", labels=by)
        for labels, place in meters.REQUESTS.items():
            if self._sums[place] or labels[1] == meters.ACCEPTED:
                requests.add_metric(labels, self._sums[place])
        yield requests
        for name, text, places in (
            ("events", "Events accepted, bad ones included", meters.EVENTS),
            ("received_bytes", "Bytes of accepted bodies, as they came", meters.BYTES),
        ):
            family = CounterMetricFamily(f"penstock_{name}", text, labels=["dialect"])
            for dialect, place in places.items():
                family.add_metric([dialect], self._sums[place])
            yield family

    def _flushes(self) -> Metric:
        bounds = [*map(str, meters.FLUSH_BOUNDS), "+Inf"]
        counts: Sequence[float] = list(accumulate(self._sums[p] for p in meters.FLUSHES))
        return HistogramMetricFamily(
            "penstock_flush_seconds",
            "How long the disk took to hold a group of requests",
            list(zip(bounds, counts, strict=True)),
            self._sums[meters.FLUSH_SECONDS],
        )

    def _store(self) -> Iterator[Metric]:
        sealed = ledger.load(self._layout.sealed)
        items = CounterMetricFamily(
            "penstock_items", "What became of items since the store was made", labels=["fate"]
        )
        for fate in _STORED:
            items.add_metric([fate], getattr(sealed.counts, fate))
        yield items
        text = "Bytes of the request log, sealed segments that are still there included"
        yield GaugeMetricFamily("penstock_log_bytes", text, used_bytes(self._layout.log))


def exposition(board: Board, layout: Layout) -> bytes:
    """The body of ``/metrics``."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Numbers(board, layout))
    return generate_latest(registry)
