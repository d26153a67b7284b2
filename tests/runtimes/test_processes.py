"""Processes of the standard library, and forks in the worst moments."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest
from runtime import Settled, lives, wait_until

from proving import scale

if TYPE_CHECKING:
    from faults.host import Host
    from proving import Proof

METHODS = ("fork", "spawn", "forkserver")
WAYS = ("process", "pool", "pool_terminated", "executor")
QUICK = [("process", "fork"), ("pool", "forkserver"), ("executor", "spawn")]


@pytest.mark.proves("forks and runtimes", "multiprocessing")
@pytest.mark.parametrize(("way", "method"), scale(QUICK, list(product(WAYS, METHODS))))
def test_worker_processes_deliver_before_their_parent_ends(
    host: Host, proof: Proof, way: str, method: str
) -> None:
    """``multiprocessing`` ends its children with ``os._exit``, a pool's even with SIGTERM."""
    finished = host.run("process_pools.py", way, method, 2, 8, 20)
    assert finished.returncode == 0, finished.output
    settled = Settled(host, proof)
    assert len(settled.noted) == 8 * 20
    # A terminated worker may have had a request under way, and a parent that did not fork does
    # not know that there are workers.
    killed = way == "pool_terminated"
    settled.assert_once(
        left=8 * 20 if killed and method != "fork" else 0, repeated=8 * 20 if killed else 0
    )


@pytest.mark.proves("forks and runtimes", "fork that Python is not told of")
def test_threads_of_a_child_forked_in_c_begin_at_once(host: Host, proof: Proof) -> None:
    """Whichever thread notices first: one new client, and ids that no sibling has."""
    children = scale(10, 100)
    finished = host.run("fork_unseen.py", children, 20)
    assert finished.returncode == 0, finished.output
    settled = Settled(host, proof)
    assert len(settled.noted) == children * 5 * 20
    settled.assert_once()
