"""RQ: each job has a process of its own, which ends by ``os._exit``."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
import rq
from runtime import Settled, command, launch, wait_until

from proving import scale

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis

    from faults.host import Host
    from proving import Proof

JOBS, EVENTS = 6, 3
CASES = {
    "work horse": ("jobs.sale", ()),
    "failing job": ("jobs.failed_sale", ()),
    "one process": ("jobs.sale", ("--worker-class", "rq.worker.SimpleWorker")),
}


@pytest.mark.proves("forks and runtimes", "RQ")
@pytest.mark.parametrize("case", scale(["work horse"], list(CASES)))
def test_every_job_delivers(
    host: Host, proof: Proof, broker: Redis, redis_socket: Path, case: str
) -> None:
    """Jobs that track as the last thing they do; nothing waits for the next one."""
    job, options = CASES[case]
    queue = rq.Queue(connection=broker)
    for _ in range(JOBS):
        queue.enqueue(job, EVENTS)
    address = f"unix://{redis_socket}"
    worker = launch(host, command("rq"), "worker", "--url", address, "--quiet", *options)
    wait_until(lambda: len(host.noted) == JOBS * EVENTS, worker)
    worker.signal(signal.SIGTERM)
    worker.wait()
    Settled(host, proof).assert_once()
