"""
One worker of `penstock serve`, on all cores of this machine together with the load.

A closed loop: 16 connections send gzip batches of 250 events of the Segment family, or 64 send
``/v1/track`` with one event each, and every one sends its next request when the last is answered.
An answer comes after the sync of the journal that holds the events.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import closedloop
import openloop

from parts import Bar, Cell, Results, Scale, Table, at_least, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "The collector's intake"
_KINDS = {"batches": "gzip batches of 250", "singles": "one event a request"}


def cells(sdk: str, scale: Scale) -> Iterator[Cell]:
    """Ours only: nobody else's SDK brings a server."""
    if sdk == "penstock":
        counts = {"batches": scale.of(4_000, 40), "singles": scale.of(30_000, 100)}
        for kind, count in counts.items():
            yield Cell("collector_intake", sdk, kind, {"kind": kind, "count": count}, limit_s=120)


def measure(_name: str, _url: str, kind: str = "", count: int = 0) -> dict[str, Any]:
    """*count* requests of one *kind*."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    directory = Path(tempfile.mkdtemp(prefix="penstock-intake-"))
    try:
        with openloop.collector(directory) as address:
            return closedloop.pushed(address, kind, count)._asdict()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def tables(results: Results) -> Iterator[Table]:
    """A row for each kind of request."""
    keys = ("per_second", "answer_p50", "answer_p99", "intake_us", "refused")
    rows = [
        [words, *(shown(results.median("penstock", kind, key)) for key in keys)]
        for kind, words in _KINDS.items()
    ]
    header = ["requests", "events/s", "answer p50 ms", "answer p99 ms", "CPU µs/event", "refused"]
    yield Table(header, rows)


def bars(results: Results) -> list[Bar]:
    """What the collector promises."""
    batches, singles = (results.median("penstock", kind, "per_second") for kind in _KINDS)
    return [
        *at_least("collector, one worker, batches", 200_000, batches, "events/s"),
        *at_least("collector, one worker, single events", 8_000, singles, "events/s"),
    ]
