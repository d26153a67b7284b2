"""
Group commit: one flush of the disk answers every request that queued during the last one.

There is no timer. While a flush runs on its own thread, requests are appended and wait; when it
ends, the next one takes all of them. Alone on the line, a request waits for one flush; among
forty, they share it, which is where the throughput comes from.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from penstock.collector.refusal import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.collector.log.lane import RequestLog

_log = logging.getLogger("penstock.collector")


class GroupCommit:
    """
    Appends requests and waits until the disk has them; lives on one event loop.

    Args:
        open_log: Opens a fresh log; called again after a log failed. May raise `OSError`.
        on_flush: Told how many seconds each flush took and how many requests it was for.
    """

    def __init__(
        self,
        open_log: Callable[[], RequestLog],
        on_flush: Callable[[float, int], None] = lambda _seconds, _requests: None,
    ) -> None:
        self._open_log = open_log
        self._on_flush = on_flush
        self._log: RequestLog | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="penstock-fsync")
        #: Whether the last attempt to write succeeded.
        self.healthy = True
        #: When the last attempt that did not failed, by the monotonic clock.
        self.failed_at = 0.0

    def open(self) -> None:
        """
        Open the log now rather than with the first request.

        Raises:
            OSError: It cannot be opened.
        """
        self._log = self._log or self._open_log()

    async def write(self, payload: bytes, received_at: int) -> None:
        """
        Append and wait for the flush that covers it.

        Args:
            payload: See `penstock.collector.log.entry`.
            received_at: Seconds since 1970.

        Raises:
            Refusal: The disk is full or failing; the request may be sent again.
        """
        try:
            log = self._log = self._log or self._open_log()
            log.append(payload, received_at)
        except OSError as error:
            self._failed(error)
            raise Refusal(Reason.OVERLOADED) from error
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush(log))
        await done

    async def _flush(self, log: RequestLog) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group, self._waiting = self._waiting, []
            began = time.perf_counter()
            try:
                await loop.run_in_executor(self._thread, log.sync)
            except OSError as error:
                self._failed(error)
                _refuse([*group, *self._waiting])
                self._waiting = []
                self._give_up(log)
            else:
                self._succeeded()
                _release(group)
                self._on_flush(time.perf_counter() - began, len(group))
        self._flushing = None

    def _succeeded(self) -> None:
        if not self.healthy:
            _log.warning("the request log can be written again")
        self.healthy = True

    def _failed(self, error: OSError) -> None:
        if self.healthy:  # once, not for each request
            _log.error("the request log cannot be written: %s", error.strerror or error)
        self.healthy, self.failed_at = False, time.monotonic()

    def _give_up(self, log: RequestLog) -> None:
        """After a failed flush the kernel no longer knows what is on disk: never ask again."""
        self._log = None
        with contextlib.suppress(OSError):
            log.close()

    async def close(self) -> None:
        """Answer everyone who waits, then let go of the log."""
        while self._flushing is not None:
            await asyncio.wait([self._flushing])
        self._thread.shutdown()
        if self._log is not None:
            self._log.close()
            self._log = None


def _release(group: list[asyncio.Future[None]]) -> None:
    for done in group:
        if not done.done():
            done.set_result(None)


def _refuse(group: list[asyncio.Future[None]]) -> None:
    for done in group:
        if not done.done():
            done.set_exception(Refusal(Reason.OVERLOADED))
