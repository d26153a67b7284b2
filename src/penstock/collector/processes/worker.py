"""
An ingest worker: the app, its lane of the log, and the server around them.

A collector with one worker runs it in its own process; of several, each is a process, with a
socket of its own on the same port, which the kernel shares connections among.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import socket
import sys
import threading
from typing import TYPE_CHECKING

import msgspec

from penstock.collector import logs
from penstock.collector.http.app import IngestApp
from penstock.collector.http.board import Board
from penstock.collector.http.meters import Meter
from penstock.collector.http.protocol import BoundedServer
from penstock.collector.layout import Layout
from penstock.collector.log.commit import GroupCommit
from penstock.collector.log.lane import LaneLog
from penstock.collector.processes.allocator import keep_memory
from penstock.collector.processes.children import greeted, say_ready

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.collector.config import CollectorConfig

_log = logging.getLogger("penstock.collector")

#: Seconds that requests in flight get when the server stops.
GRACE_S = 10
#: Seconds an idle connection is kept: SDKs send every few seconds.
_KEEP_ALIVE_S = 75
#: Collections of young objects per so many allocations: decoding makes many, none in cycles.
_GC_THRESHOLD = 50_000


class Place(msgspec.Struct, frozen=True):
    """Which of the workers a process is, as JSON on its command line."""

    number: int
    #: Inherited files: the listening socket, and the board with so many rows.
    listener: int
    board: int
    rows: int


class Worker:
    """
    One ingest worker.

    Args:
        config: The collector's.
        board: What all processes share.
        number: Its row of it.
    """

    def __init__(self, config: CollectorConfig, board: Board, number: int) -> None:
        log, limit = Layout(config.store).log, config.limits.log_bytes
        self.commit = GroupCommit(
            lambda: LaneLog(log, limit_bytes=limit), Meter(board.row(number)).flush
        )
        self._server = _Server(IngestApp(self.commit, config, board, number))

    def run(self, listener: socket.socket, on_started: Callable[[], None]) -> None:
        """
        Answer requests until `stop`; takes over the process's garbage collector and allocator.

        Args:
            listener: Bound to the address.
            on_started: Called once requests are answered.
        """
        self._server.on_started = on_started
        with contextlib.suppress(OSError):  # a full disk: 503 until there is room
            self.commit.open()
        keep_memory()
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD, 20, 100)
        _allow_many_files()
        self._server.run([listener])

    def stop(self) -> None:
        """Take nothing new and answer what is in flight."""
        self._server.should_exit = True


def run_worker(place_json: str) -> None:
    """
    Be a worker process.

    Args:
        place_json: `Place`.
    """
    config, leave = greeted()
    place = msgspec.json.decode(place_json, type=Place)
    logs.set_up(config.log_format, f"worker {place.number}")
    worker = Worker(config, Board(place.board, place.rows), place.number)
    threading.Thread(target=_stop_after, args=(leave, worker), daemon=True).start()
    worker.run(socket.socket(fileno=place.listener), say_ready)


def _stop_after(leave: threading.Event, worker: Worker) -> None:
    leave.wait()
    worker.stop()


class _Server(BoundedServer):
    """Says when it is reachable, and looks after what no request does."""

    on_started: Callable[[], None]

    def __init__(self, app: IngestApp) -> None:
        super().__init__(
            app,
            loop="auto" if sys.platform == "win32" else "uvloop",
            lifespan="on",
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
        )
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_started()

    def look_after(self) -> None:
        self._app.tick()
        super().look_after()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.stopping = True
        await super().shutdown(sockets)


def _allow_many_files() -> None:
    """Connections are files; the usual bound of 1024 is for programs of another kind."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
