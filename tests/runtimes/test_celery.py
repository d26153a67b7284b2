"""Celery's pools with a real broker: every task's events arrive, also when the worker stops."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from celery import Celery
from runtime import Settled, command, launch, wait_until

from proving import scale

if TYPE_CHECKING:
    from pathlib import Path

    from faults.host import Host
    from proving import Proof

AT_IMPORT, TASKS, EVENTS = 5, 20, 3
POOLS = {
    "prefork": ("--pool", "prefork", "-c", "2"),
    "prefork, recycled": ("--pool", "prefork", "-c", "2", "--max-tasks-per-child", "5"),
    "threads": ("--pool", "threads", "-c", "3"),
    "solo": ("--pool", "solo"),
    "gevent": ("--pool", "gevent", "-c", "10"),
}
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING")


@pytest.mark.usefixtures("broker")
@pytest.mark.proves("forks and runtimes", "Celery")
@pytest.mark.parametrize("pool", scale(["prefork", "threads"], list(POOLS)))
@pytest.mark.parametrize("at_import", scale([0], [0, AT_IMPORT]))
def test_every_task_delivers(
    host: Host, proof: Proof, redis_socket: Path, pool: str, at_import: int
) -> None:
    """A warm shutdown leaves nothing behind, whether or not the main process tracked as well."""
    address = f"redis+socket://{redis_socket}"
    words = [command("celery"), "-A", "tasks", "worker", *QUIET, *POOLS[pool]]
    worker = launch(host, *words, BROKER=address, AT_IMPORT=str(at_import))
    expected = at_import + TASKS * EVENTS
    with Celery(broker=address) as tasks:
        for _ in range(TASKS):
            tasks.send_task("tasks.sale", [EVENTS])
        wait_until(lambda: len(host.noted) == expected, worker)
    worker.signal(signal.SIGTERM)
    assert worker.wait().returncode == 0
    Settled(host, proof).assert_once()
