"""The pipeline as a process of its own."""

from __future__ import annotations

import contextlib
import gc
import logging
from typing import TYPE_CHECKING

from penstock.collector import logs
from penstock.collector.http.meters import PIPELINE_RESTARTS, PIPELINE_UP
from penstock.collector.layout import Layout
from penstock.collector.processes.children import Child, greeted
from penstock.journal._locks import FileLock

if TYPE_CHECKING:
    import socket
    import threading
    from contextlib import AbstractContextManager

    from penstock.collector.config import CollectorConfig
    from penstock.collector.http.meters import Meter
    from penstock.collector.routing.configured import Routing
    from penstock.collector.store.pipeline import Pipeline

_log = logging.getLogger("penstock.collector")

#: Seconds between two attempts to write when the disk is full.
_DISK_S = 1.0
#: Allocations between two looks of the garbage collector: rows are many, and in no cycles.
_GC_THRESHOLD = 100_000


def start_pipeline(config: CollectorConfig, meter: Meter) -> Child:
    """Start the pipeline; *meter* counts how often it had to be."""

    def died() -> None:
        meter.set(PIPELINE_UP, 0)
        meter.add(PIPELINE_RESTARTS)

    return Child("pipeline", config, on_start=lambda: meter.set(PIPELINE_UP, 1), on_death=died)


def start_debugger(config: CollectorConfig, listener: socket.socket) -> Child:
    """Start the debugger, which answers on *listener*."""
    return Child("debugger", config, str(listener.fileno()), fds=(listener.fileno(),))


def run_pipeline() -> None:
    """Be the pipeline process."""
    config, leave = greeted()
    logs.set_up(config.log_format, "pipeline")
    layout = Layout(config.store)
    layout.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _locked(layout, leave)
    if lock is not None:
        _follow(layout, config, leave)
        lock.release()


def _locked(layout: Layout, leave: threading.Event) -> FileLock | None:
    """The lock, once a predecessor that is still sealing has ended; None when we are to leave."""
    while True:
        lock = FileLock.acquire(layout.pipeline_lock)
        if lock is not None or leave.wait(0.1):
            return lock


def _follow(layout: Layout, settings: CollectorConfig, leave: threading.Event) -> None:
    from penstock.collector.routing.configured import Routing
    from penstock.collector.store.pipeline import Pipeline

    routing = Routing(layout, settings.file) if settings.file else None
    pipeline = Pipeline(layout, settings.keeping, sinks=[routing.router] if routing else [])
    if routing is not None:
        pipeline.housekeeper.lend = routing.router.lend
    pipeline.start()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)
    with pipeline.housekeeper.working(), _telling(layout, routing):
        while True:
            leaving = leave.is_set()
            if routing is not None:
                routing.look()
            pause = _step(pipeline, settings.sealing.poll, drain=leaving)
            if leaving:
                break
            leave.wait(pause)
    with contextlib.suppress(OSError):  # the next start will find what is left
        pipeline.housekeeper.settle()
    pipeline.close()
    if routing is not None:
        routing.router.close()


def _telling(layout: Layout, routing: Routing | None) -> AbstractContextManager[None]:
    """Tell how the destinations stand meanwhile, if there are any or ever were."""
    if routing is None and not layout.outbox.is_dir():
        return contextlib.nullcontext()
    from penstock.collector.routing.telling import Teller

    return Teller(layout, routing.router.live if routing else dict).working()


def _step(pipeline: Pipeline, poll_s: float, *, drain: bool) -> float:
    """One look at the log; how many seconds to wait before the next."""
    try:
        pipeline.step(drain=drain)
    except OSError as error:
        _log.error("cannot seal, trying again: %s", error.strerror or error)
        return _DISK_S
    return poll_s
