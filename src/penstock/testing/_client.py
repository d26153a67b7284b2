"""The client of the ``penstock`` fixture: everything a client does, without threads and files."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from penstock.client import Client
from penstock.config import Config
from penstock.delivery._sender import Sender
from penstock.delivery._worker import Worker
from penstock.destinations import Segment
from penstock.journal._cursor import Position
from penstock.testing._assertions import Assertions
from penstock.testing._clock import CountingIds, FakeClock
from penstock.testing._events import captured
from penstock.transport.memory import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.destinations import Destination
    from penstock.journal.ledger import Ledger
    from penstock.testing._events import CapturedEvent


class _StillWorker(Worker):
    """Delivery without a thread and without waiting: a flush sends what is there and returns."""

    def _start(self) -> bool:
        return False

    def flush(self, timeout: float) -> bool:
        goals = self.begin_flush()
        self._deliver_here(self._clock.monotonic() + timeout)
        return self.is_flushed(goals)


class MemoryClient(Assertions, Client):
    """
    A client that keeps what it is given, to be asked about it.

    Takes every call a real client takes and treats it as a real client does, hooks and size
    limits included. Starts no thread and writes no file. `flush` and `close` deliver to
    `transport`, which is in memory too, and return at once.

    Args:
        destinations: As for `penstock.Client`; they set size limits, names and the wire format.
            One for Segment unless given.
        clock: Stands still unless moved.
        settings: Fields of `penstock.Config`; the journal is always in memory.

    Attributes:
        clock: The clock its timestamps come from.
        transport: Where `flush` delivers: `penstock.transport.memory.MemoryTransport` unless
            given.
    """

    def __init__(
        self, *destinations: Destination, clock: FakeClock | None = None, **settings: Any
    ) -> None:
        self.clock = clock or FakeClock()
        self.transport = settings.setdefault("transport", MemoryTransport())
        settings.setdefault("new_id", CountingIds())
        self._read_up_to = Position(1, 0, 0)
        self._events: list[CapturedEvent] = []
        config = Config(**{**settings, "journal": None, "clock": self.clock})
        super().__init__(*(destinations or (Segment("in-memory"),)), config=config)

    def _usable(self, destinations: tuple[Destination, ...]) -> tuple[Destination, ...]:
        """All of them, also where ``PENSTOCK_DISABLED`` keeps real clients quiet."""
        return () if self.config.disabled else destinations

    def _start(self) -> None:
        super()._start()
        self._finalizer.detach()
        engine = self._open_engine()
        sender = Sender(engine.transport, self.clock, self._log, self.config.callback)
        engine.worker = _StillWorker(
            engine.journal,
            engine.pumps,
            sender,
            self.clock,
            self._log,
            interval=0.0,
            exit_timeout=0.0,
            fsync_interval=None,
        )

    @property
    def events(self) -> Sequence[CapturedEvent]:
        """
        Every event that was captured since the start or `clear`, oldest first.

        What a hook dropped and what was too large is not among them: it would not be sent.
        """
        while self._engine is not None:
            chunk = self._engine.lane.read(self._read_up_to, 1000, 1 << 24)
            self._read_up_to = chunk.after
            self._events += (captured(record.payload) for record in chunk.records)
            if not chunk.records:
                break
        return tuple(self._events)

    def clear(self) -> None:
        """Forget every event captured until now."""
        _ = self.events
        self._events.clear()

    def flush(self, timeout: float | None = None) -> Ledger:
        """Deliver to `transport` on this thread, and return at once."""
        _ = self.events  # delivery may free the memory they lie in
        return super().flush(timeout)

    def close(self, timeout: float | None = None) -> Ledger:
        """Deliver to `transport` and take no more events; `events` can still be read."""
        _ = self.events
        return super().close(timeout)

    async def aflush(self, timeout: float | None = None) -> Ledger:  # noqa: ASYNC109 - flush's twin
        """`flush`; there is nothing to wait for."""
        return self.flush(timeout)

    async def aclose(self, timeout: float | None = None) -> Ledger:  # noqa: ASYNC109 - close's twin
        """`close`; there is nothing to wait for."""
        return self.close(timeout)


@contextmanager
def captured_client(*destinations: Destination, **settings: Any) -> Iterator[MemoryClient]:
    """A `MemoryClient` for a ``with`` statement; the arguments are the same."""
    with MemoryClient(*destinations, **settings) as client:
        yield client
