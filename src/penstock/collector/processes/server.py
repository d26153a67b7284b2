"""
`penstock serve`: an ingest worker in this process, or several in their own, and the pipeline.

Stopping is clean on SIGTERM and SIGINT: no new requests, those in flight are answered, the log is
closed, and the pipeline seals what there is. A second SIGINT does not wait for slow clients.
"""

from __future__ import annotations

import logging
import signal
import threading
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from penstock.collector.file import read
from penstock.collector.http.board import Board
from penstock.collector.http.meters import Meter
from penstock.collector.layout import Layout
from penstock.collector.log.lane import LaneLog
from penstock.collector.logs import FACTS
from penstock.collector.processes.listeners import listening, listening_beside
from penstock.collector.processes.pipeline import start_debugger, start_pipeline
from penstock.collector.processes.supervisor import Supervisor
from penstock.collector.processes.worker import Worker
from penstock.errors import ConfigError, MissingExtraError, PenstockError
from penstock.journal._locks import FileLock

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from penstock.collector.config import CollectorConfig

_log = logging.getLogger("penstock.collector")

#: Seconds the pipeline gets to seal what there is; what is left waits in the log.
_DRAIN_S = 60.0
#: Seconds the debugger gets to say goodbye to its viewers.
_LEAVE_S = 5.0
_NEEDED = ("httptools", "pyarrow", "duckdb", "prometheus_client", "starlette", "jinja2")


class StoreBusyError(PenstockError):
    """Another process serves this store."""

    def __init__(self, root: Path) -> None:
        super().__init__(f"another collector serves {root}")


class Address(NamedTuple):
    """Where a collector can be reached, told once it can."""

    url: str
    store: str
    #: Whether any key is good.
    open: bool
    #: Of the debugger; empty when there is none.
    debugger: str = ""


def serve(
    config: CollectorConfig, ready: Callable[[Address], None] = lambda _address: None
) -> None:
    """
    Run a collector until SIGTERM or SIGINT.

    It takes over the process's garbage collector and allocator.

    Args:
        config: See `CollectorConfig`.
        ready: Called once requests are answered.

    Raises:
        ConfigError: The configuration cannot be served, the port is taken, or the store cannot be
            written.
        StoreBusyError: Another process serves the store.
        MissingExtraError: A package of the extra ``collector`` is not installed.
    """
    config = _with_file(config).checked()
    _check_installed()
    if config.flags is not None:
        from penstock.flags.files import read_flag_file

        read_flag_file(config.flags)  # only to see that it can be served
    layout = Layout(config.store)
    lock = _locked(layout)
    try:
        with ExitStack() as stack:
            listeners = stack.enter_context(listening(config))
            if config.debugger is not None:
                beside = listeners[0].getsockname()[1] + 1
                pages = stack.enter_context(listening_beside(config.debugger, beside))
                child = start_debugger(config, pages)
                stack.callback(child.stop, _LEAVE_S)
                _run(config, listeners, ready, url_of(pages))
            else:
                _run(config, listeners, ready)
    finally:
        lock.release()


def _with_file(config: CollectorConfig) -> CollectorConfig:
    """
    The configuration with the sources of its file.

    Raises:
        BrokenFileError: The file cannot be used.
        ConfigError: The file cannot be read, or there are keys besides.
    """
    if config.file is None:
        return config
    if not config.sources.open:
        raise ConfigError("key", "…", "write keys into the configuration file, or use none")
    try:
        settings = read(config.file)
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        raise ConfigError("config", str(config.file), reason) from error
    return msgspec.structs.replace(config, file=config.file.absolute(), sources=settings.sources)


def _check_installed() -> None:
    for package in _NEEDED:
        if find_spec(package) is None:
            raise MissingExtraError(package.replace("_", "-"), "collector")


def _locked(layout: Layout) -> FileLock:
    try:
        layout.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock.acquire(layout.serve_lock)
        if lock is not None:
            LaneLog(layout.log, limit_bytes=0).close()  # only to see that it can be written
    except OSError as error:
        raise _unwritable(layout, error) from error
    if lock is None:
        raise StoreBusyError(layout.root)
    return lock


def _unwritable(layout: Layout, error: OSError) -> ConfigError:
    return ConfigError("store", str(layout.root), f"cannot be written: {error.strerror or error}")


def _run(
    config: CollectorConfig,
    listeners: list[socket.socket],
    ready: Callable[[Address], None],
    debugger: str = "",
) -> None:
    board = Board.create(config.workers + 1)
    address = Address(url_of(listeners[0]), str(config.store), config.sources.open, debugger)
    pipeline = start_pipeline(config, Meter(board.row(config.workers)))

    def started() -> None:
        facts = {
            "url": address.url,
            "workers": config.workers,
            "store": address.store,
            "debugger": address.debugger,
        }
        _log.info("collecting", extra={FACTS: facts})
        ready(address)

    try:
        if config.workers == 1:
            worker = Worker(config, board, 0)
            with _stopping(worker.stop):
                worker.run(listeners[0], started)
        else:
            supervisor = Supervisor(config, board, listeners)
            with _stopping(supervisor.stop):
                supervisor.run(started)
    finally:
        _log.info("stopping: sealing what there is")
        sealed = pipeline.stop(_DRAIN_S)
        _log.info("stopped", extra={FACTS: {"sealed": sealed}})


def url_of(listener: socket.socket) -> str:
    """Where a socket can be reached."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


@contextmanager
def _stopping(stop: Callable[[], None]) -> Iterator[None]:
    """
    Have signals call *stop*, and nothing else.

    uvicorn handles them while it runs, and raises them once more when it has stopped; without
    handlers of ours that would end the process before the pipeline has sealed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda _number, _frame: stop()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
