"""The debugger as a process of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import threading

import uvicorn

from penstock.collector import logs
from penstock.collector.http.protocol import BoundedProtocol, close_late
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
#: Ticks of the server, a tenth of a second each, between two looks after connections.
_TICKS = 10
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
    server = _Server(_settings(Guard(pages.app, keeper, config.debugger.names)))

    def end() -> None:
        leave.wait()
        follower.ring.close()
        server.should_exit = True

    for target in (end, lambda: follower.run(leave)):
        threading.Thread(target=target, daemon=True).start()
    server.run([socket.socket(fileno=listener)])


class _Server(uvicorn.Server):
    """Closes connections whose head does not come."""

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS == 0:
            close_late(self.server_state.connections, asyncio.get_running_loop().time())
        return await super().on_tick(counter)


def _settings(app: Guard) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        interface="asgi3",
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_S,
    )
