"""
Several workers: a process that starts them, looks after them, and stops them in order.

It takes no requests itself. A worker that dies is started again with a growing delay; its lane
of the log stays behind with everything it has answered, and the pipeline seals it. When the
supervisor dies, its children notice and finish by themselves.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import msgspec

from penstock.collector.http.meters import HEALTHY, HELD_BYTES, IN_FLIGHT, WORKER_RESTARTS, Meter
from penstock.collector.processes.children import Child
from penstock.collector.processes.worker import GRACE_S, Place

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from penstock.collector.config import CollectorConfig
    from penstock.collector.http.board import Board

_log = logging.getLogger("penstock.collector")


class Supervisor:
    """
    The workers of a collector.

    Args:
        config: The collector's.
        board: What all processes share; its last row is ours.
        listeners: One per worker.
    """

    def __init__(
        self, config: CollectorConfig, board: Board, listeners: Sequence[socket.socket]
    ) -> None:
        self._config = config
        self._board = board
        self._listeners = listeners
        self._meter = Meter(board.row(board.rows - 1))
        self._asked = threading.Event()
        self._workers: list[Child] = []

    def run(self, on_started: Callable[[], None]) -> None:
        """
        Have requests taken until `stop`.

        Args:
            on_started: Called once all workers answer.

        Raises:
            RuntimeError: A worker did not start; what it met is in its log lines.
        """
        try:
            for number, listener in enumerate(self._listeners):
                self._workers.append(self._start(number, listener))
            if not all(worker.wait_ready() for worker in self._workers):
                raise RuntimeError("a worker did not start")
            on_started()
            self._asked.wait()
        finally:
            self._end()

    def _start(self, number: int, listener: socket.socket) -> Child:
        row = Meter(self._board.row(number))
        place = Place(number, listener.fileno(), self._board.fd, self._board.rows)

        def died() -> None:
            self._meter.add(WORKER_RESTARTS)
            for gauge in (IN_FLIGHT, HELD_BYTES, HEALTHY):
                row.set(gauge, 0)

        arguments = msgspec.json.encode(place).decode()
        fds = (listener.fileno(), self._board.fd)
        return Child("worker", self._config, arguments, fds=fds, on_death=died)

    def stop(self) -> None:
        """
        Have `run` return: nothing new is taken, what is in flight is answered.

        Asked a second time, it does not wait for slow clients.
        """
        if self._asked.is_set():
            for worker in self._workers:
                worker.kill()
        self._asked.set()

    def _end(self) -> None:
        # Our copies first: nobody should wait on a socket that no worker will ever look at.
        for listener in self._listeners:
            listener.close()
        for worker in self._workers:
            worker.begin_stop()
        for worker in self._workers:
            if not worker.stop(GRACE_S + 5):
                _log.error("a worker did not stop in time")
