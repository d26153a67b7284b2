"""
Requests to the provider that keep their deadline whatever happens.

A socket's deadline does not cover the lookup of a name, which the resolver can drag out for
seconds, nor a transport of the host's. So the exchange happens on a thread of its own, and the
caller waits for it no longer than agreed.
"""

from __future__ import annotations

import threading
import time
from importlib import import_module
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from penstock import _fork
from penstock.transport import TransportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.config import Config
    from penstock.transport import Request, Response, Transport

Result = TypeVar("Result")

#: Definitions of a thousand flags take one to two million bytes; no project has a hundred.
MAX_RESPONSE_BYTES = 64 * 1024 * 1024
#: Imported late by the code below a request, see `penstock._fork.loading`.
_MODULES = ("email.utils", "encodings.idna", "logging")
#: An exchange ends so many seconds before its caller stops waiting, a tenth of the time at most:
#: so it is the exchange that says what was wrong, and the caller is on time all the same.
MARGIN_S = 0.02


class Carrier:
    """
    The transport of flag requests, made by the first of them: reading flags needs none.

    Args:
        config: Its transport, or its proxy and TLS settings.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._transport: Transport | None = config.transport

    def send(self, request: Request, timeout: float) -> Response:
        """
        Carry *request*; on a thread of ours, see the module.

        Raises:
            TransportError: No complete answer came.
        """
        transport = self._transport or self.prepare()
        try:
            return transport.send(request, timeout)
        except TransportError:
            raise
        except Exception as error:  # noqa: BLE001 - a host's transport may raise anything
            raise TransportError("reset", type(error).__name__) from None

    def prepare(self) -> Transport:
        """Import and make the transport now; a fork waits until that is done."""
        with _fork.loading():
            if self._transport is None:
                for module in _MODULES:
                    import_module(module)
                from penstock.transport.http import HttpTransport

                self._transport = HttpTransport(
                    proxy=self._config.proxy,
                    tls=self._config.tls,
                    max_response_bytes=MAX_RESPONSE_BYTES,
                )
        return self._transport

    def close(self) -> None:
        """Release connections, unless they are the host's."""
        if self._transport is not None and self._config.transport is None:
            self._transport.close()


def deadline_of(timeout: float) -> float:
    """When an exchange must end whose caller waits *timeout* seconds, by the monotonic clock."""
    return time.monotonic() + timeout - min(MARGIN_S, timeout / 10)


def within(timeout: float, work: Callable[[], Result]) -> Result | None:
    """
    What *work* returns, or None when it took longer than *timeout* seconds.

    It must not raise. Where no thread can be started any more (the interpreter is ending, the
    machine has none) it is done here, and only its own deadline holds.
    """
    done: SimpleQueue[Result] = SimpleQueue()
    thread = threading.Thread(
        target=lambda: done.put(work()), name="penstock-flags-request", daemon=True
    )
    try:
        thread.start()
    except RuntimeError:
        return work()
    try:
        return done.get(timeout=timeout)
    except Empty:
        return None
