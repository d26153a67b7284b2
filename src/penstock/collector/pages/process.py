"""The debugger as a process of its own."""

from __future__ import annotations

import os
import socket
import threading

from penstock.collector import logs
from penstock.collector.http.protocol import BoundedServer
from penstock.collector.layout import Layout
from penstock.collector.pages.app import Pages
from penstock.collector.pages.follower import Follower
from penstock.collector.pages.guard import Guard, Keeper
from penstock.collector.processes.children import greeted
from penstock.errors import ConfigError

#: Whoever takes and stores events goes first.
_NICENESS = 5
#: Seconds that answers under way get when the collector stops.
_GRACE_S = 2
#: Connections at a time; each viewer holds one.
_MOST_CONNECTIONS = 500


def run_debugger(listener: int) -> None:
    """
    Be the debugger process.

    Args:
        listener: An inherited socket.
    """
    config, leave = greeted()
    logs.set_up(config.log_format, "debugger")
    if config.debugger is None:  # pragma: no cover - who starts us says where
        raise ConfigError("debugger", None, "there is none to be served")
    os.nice(_NICENESS)
    follower = Follower(Layout(config.store), config.debugger.kept_bytes)
    keeper = Keeper(config.debugger.token)
    pages = Pages(config, follower, keeper)
    server = BoundedServer(
        Guard(pages.app, keeper, config.debugger.names),
        lifespan="off",
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_S,
    )

    def end() -> None:
        leave.wait()
        follower.ring.close()
        server.should_exit = True

    for target in (end, lambda: follower.run(leave)):
        threading.Thread(target=target, daemon=True).start()
    server.run([socket.socket(fileno=listener)])
