"""
The engine: journal, pumps and worker of one client in one process.

A client keeps the same settings for life but gets a new engine in every forked child, and when
an event comes after the interpreter began to exit.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

from penstock._log import ERROR, Log
from penstock.config import debug_by_environment
from penstock.delivery._pump import Pump
from penstock.delivery._sender import Sender
from penstock.delivery._settings import pump_settings
from penstock.delivery._worker import Worker
from penstock.journal.disk import DiskJournal
from penstock.journal.memory import MemoryJournal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.config import Clock, Config
    from penstock.destinations import Destination
    from penstock.journal.lane import Lane
    from penstock.journal.ledger import Ledger
    from penstock.transport import Request, Response, Transport


class SystemClock:
    """The host's clocks."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)


class Engine:
    """
    What moves one client's events in one process.

    Args:
        destinations: Where they go.
        config: The settings.
        log: Where it speaks.
    """

    def __init__(self, destinations: Sequence[Destination], config: Config, log: Log) -> None:
        clock: Clock = config.clock or SystemClock()
        self._log = log
        self._own_transport = config.transport is None
        self.transport = config.transport or LazyTransport(config)
        self.journal = self._make_journal(destinations, config)
        settings = [pump_settings(config, destination) for destination in destinations]
        self.pumps = [
            Pump(destination, setting, self.journal, clock, log)
            for destination, setting in zip(destinations, settings, strict=True)
        ]
        self.sender = Sender(self.transport, clock, log, config.callback)
        self.worker = Worker(
            self.journal,
            self.pumps,
            self.sender,
            clock,
            log,
            interval=min((setting.interval for setting in settings), default=1.0),
            exit_timeout=config.exit_timeout,
            fsync_interval=config.fsync_interval if config.fsync == "interval" else None,
        )

    @property
    def lane(self) -> Lane:
        """Where this process appends."""
        return self.journal.lane

    def _make_journal(
        self, destinations: Sequence[Destination], config: Config
    ) -> DiskJournal | MemoryJournal:
        named = {destination.id: destination.name for destination in destinations}
        root = config.journal_root()
        if root is None:
            return MemoryJournal(named, max_bytes=config.journal_max_bytes, on_wake=self._wake)
        return DiskJournal(
            journal_directory(root, named),
            named,
            max_bytes=config.journal_max_bytes,
            max_age=config.max_age,
            on_wake=self._wake,
            on_degraded=self._degraded,
            on_refused=self._refused,
            synced=config.fsync != "off",
        )

    def _wake(self) -> None:
        self.worker.wake()

    def _degraded(self, error: OSError) -> None:
        self._log.say(
            ERROR,
            "degraded",
            "no journal on disk (%s): events are kept in memory and die with this process;"
            " set PENSTOCK_JOURNAL to a writable directory",
            error.strerror or "the directory cannot be used",
        )

    def _refused(self, lane: str, error: Exception) -> None:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        self._log.say(ERROR, f"refused {lane}", "%s cannot be read: %s", lane, reason)

    def ledger(self) -> Ledger:
        """The accounts of this process's lane and of the lanes it adopted."""
        return self.journal.ledger()

    def close(self, timeout: float) -> bool:
        """Deliver for *timeout* seconds, then let go of everything."""
        done = self.worker.close(timeout)
        if self._own_transport:
            self.transport.close()
        return done

    def abandon(self) -> None:
        """In a forked child: drop this process's copies of the parent's things."""
        self.worker.abandon()
        self.journal.abandon(hand_over=self.worker.held_back)


class LazyTransport:
    """
    The HTTP transport, made by the first request: urllib3 is no part of capturing.

    Args:
        config: Its proxy and TLS settings.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._transport: Transport | None = None

    def send(self, request: Request, timeout: float) -> Response:
        """Carry *request*; see `Transport.send`."""
        return (self._transport or self.prepare()).send(request, timeout)

    def prepare(self) -> Transport:
        """Import and make the transport now."""
        from penstock.transport.http import HttpTransport

        self._transport = HttpTransport(proxy=self._config.proxy, tls=self._config.tls)
        return self._transport

    def close(self) -> None:
        """Release connections."""
        if self._transport is not None:
            self._transport.close()


def journal_directory(root: Path, destinations: dict[str, str]) -> Path:
    """Where under *root* the events for these destinations lie: ``{identity: name}``."""
    digest = hashlib.sha256("\n".join(sorted(destinations)).encode()).hexdigest()
    return root / digest[:16]


def make_log(config: Config) -> Log:
    """The client's log by its settings and the environment."""
    return Log(config.logger, verbose=config.verbose or debug_by_environment())
