"""How the destinations stand, as Prometheus reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from penstock.collector.routing.standings import Standing

_BY = ["destination"]


def families(standings: Mapping[str, Standing], now: float) -> Iterator[Metric]:
    """
    The families that are about destinations; none without destinations.

    Args:
        standings: By destination name.
        now: Seconds since 1970.
    """
    if not standings:
        return
    yield from _accounts(standings)
    yield _dead(standings)
    yield _oldest(standings, now)
    yield _requests(standings)


def _accounts(standings: Mapping[str, Standing]) -> Iterator[Metric]:
    accepted = CounterMetricFamily(
        "penstock_destination_accepted",
        "Events the destination was to get, of all time: delivered, pending and dead ones",
        labels=_BY,
    )
    delivered = CounterMetricFamily(
        "penstock_destination_delivered",
        "Events the destination answered for, of all time",
        labels=_BY,
    )
    pending = GaugeMetricFamily(
        "penstock_destination_pending",
        "Events that wait in the outbox or are in flight, those of earlier runs included",
        labels=_BY,
    )
    for name, standing in standings.items():
        accepted.add_metric([name], standing.ledger.accepted)
        delivered.add_metric([name], standing.ledger.delivered)
        pending.add_metric([name], standing.ledger.pending)
    yield from (accepted, delivered, pending)


def _dead(standings: Mapping[str, Standing]) -> Metric:
    family = CounterMetricFamily(
        "penstock_destination_dead",
        "Events given up, of all time; one that is replayed is accepted once more",
        labels=[*_BY, "reason"],
    )
    for name, standing in standings.items():
        for reason, count in sorted(standing.ledger.dead.items()):
            family.add_metric([name, reason], count)
    return family


def _oldest(standings: Mapping[str, Standing], now: float) -> Metric:
    family = GaugeMetricFamily(
        "penstock_destination_oldest_pending_seconds",
        "How long the oldest pending event has been in the outbox; 0 when none is",
        labels=_BY,
    )
    for name, standing in standings.items():
        age = 0.0 if standing.oldest is None else max(0.0, now - standing.oldest)
        family.add_metric([name], age)
    return family


def _requests(standings: Mapping[str, Standing]) -> Metric:
    family = CounterMetricFamily(
        "penstock_destination_requests",
        "Requests to the destination in this run of the pipeline, by the worst that happened to"
        " an event in it and by the status of the answer",
        labels=[*_BY, "outcome", "status"],
    )
    for name, standing in standings.items():
        counts: dict[tuple[str, str], int] = {}
        for outcome, status, count in standing.requests:
            counts[outcome, status] = counts.get((outcome, status), 0) + count
        for (outcome, status), count in sorted(counts.items()):
            family.add_metric([name, outcome, status], count)
    return family
