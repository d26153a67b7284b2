"""
The sockets a collector listens on.

Of several workers each has its own socket on the same port (``SO_REUSEPORT``), and the kernel
spreads connections over them. The parent keeps all of them open: connections to a worker that
just died wait for the next one instead of being refused.
"""

from __future__ import annotations

import errno
import socket
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.collector.config import CollectorConfig, Debugger

#: Connections that may wait for a worker.
BACKLOG = 2048
#: Seconds in which a port may become free: the workers of a collector that was killed close
#: theirs as soon as they notice.
_PATIENCE_S = 2.0


@contextmanager
def listening(config: CollectorConfig) -> Iterator[list[socket.socket]]:
    """
    One socket per worker, all on the same port.

    Raises:
        ConfigError: The port is taken, or several workers cannot share one here.
    """
    if config.workers > 1 and not hasattr(socket, "SO_REUSEPORT"):
        raise ConfigError("workers", config.workers, "this system cannot share a port: use 1")
    with ExitStack() as stack:
        try:
            yield _bound(config, stack)
        except _TakenError as error:
            where = f"{config.host}:{config.port}"
            raise ConfigError("port", where, f"cannot listen there: {error}") from error


@contextmanager
def listening_beside(debugger: Debugger, port: int) -> Iterator[socket.socket]:
    """
    The debugger's socket.

    Args:
        debugger: Where it wants to listen.
        port: To be tried first if it has no wish.

    Raises:
        ConfigError: The port it wants is taken.
    """
    last: OSError | None = None
    for wanted in (port, 0) if debugger.port is None else (debugger.port,):
        try:
            made = _socket(debugger.host, wanted, shared=False)
        except (OSError, OverflowError) as error:
            last = error if isinstance(error, OSError) else OSError(str(error))
            continue
        with made:
            made.listen(BACKLOG)
            yield made
            return
    where = f"{debugger.host}:{debugger.port or port}"
    reason = f"cannot listen there: {last and (last.strerror or last)}"
    raise ConfigError("debugger.port", where, reason)


class _TakenError(Exception):
    """An address cannot be had, as the system says it."""


def _bound(config: CollectorConfig, stack: ExitStack) -> list[socket.socket]:
    first = stack.enter_context(_patiently(config))
    if config.workers == 1:
        return [first]
    # The first is bound alone, to be sure that the port is nobody else's; then it is shared.
    port = first.getsockname()[1]
    first.close()
    sockets = [stack.enter_context(_shared(config, port)) for _ in range(config.workers)]
    for each in sockets:
        each.listen(BACKLOG)
    return sockets


def _patiently(config: CollectorConfig) -> socket.socket:
    deadline = time.monotonic() + (_PATIENCE_S if config.workers > 1 else 0)
    while True:
        try:
            return _socket(config.host, config.port, shared=False)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise _TakenError(error.strerror or str(error)) from error
        time.sleep(0.05)


def _shared(config: CollectorConfig, port: int) -> socket.socket:
    try:
        return _socket(config.host, port, shared=True)
    except OSError as error:
        raise _TakenError(error.strerror or str(error)) from error


def _socket(host: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made
