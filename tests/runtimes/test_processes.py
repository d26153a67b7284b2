"""Processes of the standard library, and forks in the worst moments."""

from __future__ import annotations

import sys
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


@pytest.mark.proves("forks and runtimes", "fork while threads hold every lock")
def test_forks_in_a_storm_neither_hang_nor_lose(host: Host, proof: Proof) -> None:
    """Threads track and flush; children exit, call ``os._exit`` or are killed."""
    children, events = scale(40, 600), 10
    finished = host.run("fork_storm.py", children, events, timeout=scale(60.0, 240.0))
    assert finished.returncode == 0, finished.output
    host.assert_balanced(finished)
    settled = Settled(host, proof)
    proof.record(trials=children - 1)
    assert len(settled.noted) >= children * events
    # Two thirds of the children ended with requests in flight.
    settled.assert_once(repeated=children * events)


@pytest.mark.proves("forks and runtimes", "fork that Python is not told of")
def test_threads_of_a_child_forked_in_c_begin_at_once(host: Host, proof: Proof) -> None:
    """Whichever thread notices first: one new client, and ids that no sibling has."""
    children = scale(10, 100)
    finished = host.run("fork_unseen.py", children, 20)
    assert finished.returncode == 0, finished.output
    settled = Settled(host, proof)
    assert len(settled.noted) == children * 5 * 20
    settled.assert_once()


@pytest.mark.proves("forks and runtimes", "daemon")
def test_a_daemon_and_those_it_came_from_deliver(host: Host, proof: Proof) -> None:
    """Double fork: who started it, the session leader that calls ``os._exit``, the daemon."""
    running = host.start("daemonize.py", 20)
    finished = running.wait()
    assert finished.returncode == 0, finished.output
    wait_until(lambda: len(host.noted) == 60, running)
    wait_until(lambda: not lives(running), running)
    settled = Settled(host, proof)
    # The session leader's events may have been under way when it called os._exit.
    settled.assert_once(left=20, repeated=20)


@pytest.mark.proves("forks and runtimes", "sub-interpreter")
def test_a_second_interpreter_works_or_is_refused_by_name(host: Host, proof: Proof) -> None:
    """From 3.12 on it has its own lock, which msgspec's and orjson's native code does not allow."""
    finished = host.run("subinterpreter.py", 20)
    assert finished.returncode == 0, finished.output
    settled = Settled(host, proof)
    if sys.version_info < (3, 12):
        assert len(settled.noted) == 20
        settled.assert_once()
    else:
        assert "does not support loading in subinterpreters" in finished.told("refused")
        assert not settled.noted
