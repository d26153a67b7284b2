"""
`penstock serve`: the ingest worker in this process, the pipeline in another.

Stopping is clean on SIGTERM and SIGINT: no new requests, those in flight are answered, the log is
closed, and the pipeline seals what there is. A second SIGINT does not wait for slow clients.
"""

from __future__ import annotations

import gc
import signal
import socket
import sys
import threading
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from penstock.collector.app import IngestApp
from penstock.collector.commit import GroupCommit
from penstock.collector.layout import Layout
from penstock.collector.log import LaneLog
from penstock.collector.process import PipelineProcess
from penstock.errors import ConfigError, MissingExtraError, PenstockError
from penstock.journal._locks import FileLock

try:
    import uvicorn
except ImportError as error:  # pragma: no cover - needs an installation without the extra
    raise MissingExtraError("uvicorn", "collector") from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from penstock.collector.config import CollectorConfig

#: Seconds that requests in flight get when the server stops.
_GRACE_S = 10
#: Seconds the pipeline gets to seal what there is; what is left waits in the log.
_DRAIN_S = 60.0
#: Seconds an idle connection is kept: SDKs send every few seconds.
_KEEP_ALIVE_S = 75
#: Collections of young objects per so many allocations: decoding makes many, none in cycles.
_GC_THRESHOLD = 50_000
_NEEDED = ("httptools", "pyarrow", "duckdb")


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


def serve(
    config: CollectorConfig, ready: Callable[[Address], None] = lambda _address: None
) -> None:
    """
    Run a collector until SIGTERM or SIGINT; takes over the process's garbage collector settings.

    Args:
        config: See `CollectorConfig`.
        ready: Called once requests are answered.

    Raises:
        ConfigError: The configuration cannot be served, the port is taken, or the store cannot be
            written.
        StoreBusyError: Another process serves the store.
        MissingExtraError: A package of the extra ``collector`` is not installed.
    """
    config.checked()
    _check_installed()
    layout = Layout(config.store)
    lock = _locked(layout)
    try:
        with _listening(config) as listener:
            _run(config, layout, listener, ready)
    finally:
        lock.release()


def _check_installed() -> None:
    for package in _NEEDED:
        if find_spec(package) is None:
            raise MissingExtraError(package, "collector")


def _locked(layout: Layout) -> FileLock:
    try:
        layout.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock.acquire(layout.serve_lock)
    except OSError as error:
        raise _unwritable(layout, error) from error
    if lock is None:
        raise StoreBusyError(layout.root)
    return lock


def _unwritable(layout: Layout, error: OSError) -> ConfigError:
    return ConfigError("store", str(layout.root), f"cannot be written: {error.strerror or error}")


@contextmanager
def _listening(config: CollectorConfig) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((config.host, config.port))
        except OSError as error:
            reason = f"cannot listen there: {error.strerror or error}"
            raise ConfigError("port", f"{config.host}:{config.port}", reason) from error
        yield listener


def _run(
    config: CollectorConfig,
    layout: Layout,
    listener: socket.socket,
    ready: Callable[[Address], None],
) -> None:
    limit = config.limits.log_bytes
    commit = GroupCommit(lambda: LaneLog(layout.log, limit_bytes=limit))
    try:
        commit.open()
    except OSError as error:
        raise _unwritable(layout, error) from error
    pipeline = PipelineProcess(config)
    try:
        server = _Server(_settings(IngestApp(commit, config)))
        server.on_started = lambda: ready(_address(config, listener))
        with _stopping(server):
            _calm_collector()
            server.run([listener])
    finally:
        pipeline.stop(_DRAIN_S)


def _settings(app: IngestApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        interface="asgi3",
        http="httptools",
        loop="auto" if sys.platform == "win32" else "uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )


class _Server(uvicorn.Server):
    """Says when it is reachable."""

    on_started: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_started()


def _address(config: CollectorConfig, listener: socket.socket) -> Address:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return Address(f"http://{shown}:{port}", str(config.store), config.sources.open)


@contextmanager
def _stopping(server: uvicorn.Server) -> Iterator[None]:
    """
    Have signals stop the server, and nothing else.

    The server handles them while it runs, and raises them once more when it has stopped; without
    handlers of ours that would end the process before the pipeline has sealed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: object) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _calm_collector() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD, 20, 100)
