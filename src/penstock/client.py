"""
The front door: the client and its life.

What it can be asked is in `penstock._calls` (events and flags), `_ambient` (scopes) and
`_capturing` (errors); the engine (`penstock.delivery`) does the rest.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

import msgspec

from penstock import _fork
from penstock._ambient import Ambient
from penstock._calls import Calls
from penstock._capturing import Capturing
from penstock._waiting import in_thread
from penstock.config import ENV_URL, Config
from penstock.journal.ledger import Ledger

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from penstock.destinations import Destination

#: `Client.flush` and `Client.close` without a timeout wait this long, in seconds: some batches
#: and some retries.
FLUSH_TIMEOUT_S = 10.0


class Client(Calls, Ambient, Capturing):
    """
    Sends events to one or more destinations; an accepted event survives this process.

    Args:
        destinations: Where every event goes; their names must differ.
        config: The settings; see `Config`.

    Raises:
        ConfigError: There is no destination, or two have one name.

    A client is safe to use from any thread, before and after a fork, and in asyncio or gevent
    programs. It starts no thread before the first event. With an empty key, ``disabled`` or
    ``PENSTOCK_DISABLED=1`` it does nothing and says so once.

    .. versionadded:: 0.1
    """

    def __init__(self, *destinations: Destination, config: Config | None = None) -> None:
        super().__init__(destinations, config or Config())
        if self.config.flags is not None:
            _ = self.flags  # definitions begin to load, and a mistake in the settings shows here

    @classmethod
    def from_env(cls, config: Config | None = None) -> Self:
        """
        A client for the destinations in ``PENSTOCK_URL``, as in ``segment://KEY@``.

        Without the variable the client is disabled.

        Raises:
            ConfigError: A URL names no known dialect, or is not one.

        .. versionadded:: 0.1
        """
        from penstock.destinations import destinations_from_urls

        found = destinations_from_urls(os.environ.get(ENV_URL, ""))
        return cls(*found, config=config if found else _disabled(config))

    # -- delivery --------------------------------------------------------------------------

    @property
    def durable(self) -> bool:
        """
        Whether what is captured outlives this process.

        False for a journal in memory, also where no directory could be written; True for one on
        disk from its first event on.

        .. versionadded:: 0.1
        """
        return self._engine is not None and self._engine.lane.durable

    def ledger(self) -> Ledger:
        """
        Where every event is that this process holds: its own and those it adopted.

        .. versionadded:: 0.1
        """
        if self._engine is None:
            return Ledger()
        coerced, exceptions = self._coercions.counts(), self._error_counts()
        return msgspec.structs.replace(
            self._engine.ledger(), coerced=coerced, exceptions=exceptions
        )

    def flush(self, timeout: float | None = None) -> Ledger:
        """
        Deliver what was captured until now, and what dead processes left.

        Args:
            timeout: Seconds to wait at most; 10 by default.

        Returns:
            The ledger afterwards: ``pending`` is what did not make it in time.

        .. versionadded:: 0.1
        """
        if not _fork.PAGE[0]:
            _fork.forked()
        if self._engine is not None and not self._closed:
            self._engine.worker.flush(FLUSH_TIMEOUT_S if timeout is None else timeout)
        return self.ledger()

    def close(self, timeout: float | None = None) -> Ledger:
        """
        Take no more events, deliver, stop. A second call changes nothing.

        Args:
            timeout: Seconds to wait at most; 10 by default. What is left stays in the journal
                for the next process, or is ``dead(closed)`` in a journal in memory.

        Returns:
            The ledger afterwards.

        .. versionadded:: 0.1
        """
        if "flags" in self.__dict__:
            self.flags.close()
        self._close_error_tracking()
        self.shut(FLUSH_TIMEOUT_S if timeout is None else timeout)
        return self.ledger()

    async def aflush(self, timeout: float | None = None) -> Ledger:  # noqa: ASYNC109 - flush's twin
        """
        `flush` for asyncio and trio: waits without blocking the event loop.

        .. versionadded:: 0.1
        """
        await in_thread(self.flush, timeout)
        return self.ledger()

    async def aclose(self, timeout: float | None = None) -> Ledger:  # noqa: ASYNC109 - close's twin
        """
        `close` for asyncio and trio.

        .. versionadded:: 0.1
        """
        await in_thread(self.close, timeout)
        return self.ledger()

    def __enter__(self) -> Self:
        """Use the client in a ``with`` statement; it is closed at the end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        """Use the client in an ``async with`` statement; it is closed at the end."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        """Destinations by name; no key."""
        names = ", ".join(destination.name for destination in self.destinations)
        state = "closed" if self._closed else "open" if self._engine else "disabled"
        return f"<Client {names or 'without destinations'}, {state}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickled client (``multiprocessing`` with spawn) is a new one with the same settings."""
        return (_rebuild, (self.destinations, self.config))


def _rebuild(destinations: tuple[Destination, ...], config: Config) -> Client:
    return Client(*destinations, config=config if destinations else _disabled(config))


def _disabled(config: Config | None) -> Config:
    return dataclasses.replace(config or Config(), disabled=True)
