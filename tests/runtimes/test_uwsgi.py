"""uWSGI, which forks in C: with and without telling Python, before and after loading the app."""

from __future__ import annotations

import os
import signal
from itertools import product
from typing import TYPE_CHECKING

import pytest
from runtime import Server, Settled, command, launch, wait_for_all

from proving import scale

if TYPE_CHECKING:
    from faults.host import Host
    from proving import Proof

AT_IMPORT, REQUESTS, EVENTS = 5, 30, 3
MASTER = ("--master", "--processes", "2")
HOOKS = "--py-call-uwsgi-fork-hooks"
#: As uWSGI's manual has it for a SIGTERM that lets requests end.
GRACEFUL = ("--hook-master-start", "unix_signal:15 gracefully_kill_them_all")
FORKS = ((), (HOOKS,), ("--py-call-osafterfork",))
LOADING = ((), ("--lazy-apps",))
#: Always on in the releases of today, where ``--enable-threads`` is a stub.
THREADS = ((), ("--enable-threads",), ("--threads", "4"))
#: gevent patches after the fork, or before the application is loaded.
LATE = ("--gevent", "10", "--gevent-monkey-patch")
EARLY = ("--gevent", "10", "--gevent-early-monkey-patch")
QUICK = [(), ("--threads", "4"), (HOOKS,), ("--lazy-apps",), LATE]
ALL = [
    (*threads, *hooks, *loading)
    for threads, hooks, loading in product((*THREADS, LATE, EARLY), FORKS, LOADING)
    if (threads, hooks) != (EARLY, (HOOKS,))  # uWSGI 2.0.30 crashes before it loads anything
]


def start(host: Host, *options: str, at_import: int = AT_IMPORT) -> Server:
    """The shop, loaded by the master unless it is lazy."""
    words = ["--http-socket", "127.0.0.1:0", "--need-app", "--wsgi", "wsgi_shop", *options]
    return Server(launch(host, command("uwsgi"), *words, AT_IMPORT=str(at_import)))


@pytest.mark.proves("forks and runtimes", "uWSGI")
@pytest.mark.parametrize("options", scale(QUICK, ALL), ids=" ".join)
def test_every_worker_delivers(host: Host, proof: Proof, options: tuple[str, ...]) -> None:
    """The master's events and the workers' arrive once, and no worker freezes."""
    server = start(host, *MASTER, *GRACEFUL, *options)
    server.workers(2)
    server.serve(REQUESTS, EVENTS)
    assert server.end(signal.SIGTERM).returncode == 0
    settled = Settled(host, proof)
    loads = 2 if "--lazy-apps" in options else 1
    assert len(settled.noted) == loads * AT_IMPORT + REQUESTS * EVENTS
    left = without_exit_handler(options, len(settled.noted))
    settled.assert_once(left=left, repeated=left)  # who ends without one may be sending


def without_exit_handler(options: tuple[str, ...], events: int) -> int:
    """How many of the events are in processes that deliver, but not as they end."""
    if "--gevent" in options:  # uWSGI runs no exit handler in a worker of this kind
        return events
    # With fork hooks the master delivers by itself.
    return AT_IMPORT if HOOKS in options and "--lazy-apps" not in options else 0


@pytest.mark.proves("forks and runtimes", "uWSGI")
def test_siblings_never_make_the_same_id(host: Host, proof: Proof) -> None:
    """Forked from one loaded process without a word, two workers begin at the same moment."""
    server = start(host, *MASTER, *GRACEFUL)
    server.workers(2)
    for _ in range(scale(3, 20)):
        server.serve(20, 20)
    server.end(signal.SIGTERM)
    Settled(host, proof).assert_once()


@pytest.mark.proves("forks and runtimes", "uWSGI")
def test_workers_that_track_nothing_deliver_what_the_master_tracked(
    host: Host, proof: Proof
) -> None:
    """The copies of the master's client that they hold are not theirs to send from."""
    server = start(host, *MASTER, *GRACEFUL)
    server.workers(2)
    server.end(signal.SIGTERM)
    settled = Settled(host, proof)
    assert len(settled.noted) == AT_IMPORT
    settled.assert_once()


@pytest.mark.proves("forks and runtimes", "uWSGI")
@pytest.mark.parametrize("processes", ["1", "2"])
def test_without_a_master_the_first_process_becomes_a_worker(
    host: Host, proof: Proof, processes: str
) -> None:
    """It loads the application, forks the others, and goes on in the lane it began."""
    server = start(host, "--processes", processes, "--die-on-term")
    server.workers(int(processes))
    server.serve(REQUESTS, EVENTS)
    os.killpg(server.running.pid, signal.SIGTERM)  # there is no master to pass it on
    wait_for_all(server.running)
    settled = Settled(host, proof)
    assert len(settled.noted) == AT_IMPORT + REQUESTS * EVENTS
    settled.assert_once(left=len(settled.noted))


@pytest.mark.proves("forks and runtimes", "uWSGI")
@pytest.mark.parametrize("how", scale(["reloaded"], ["reloaded", "recycled", "killed"]))
def test_workers_that_are_replaced_deliver(host: Host, proof: Proof, how: str) -> None:
    """A reload, a request limit, and a SIGTERM that kills in the middle of things."""
    limit = ["--max-requests", "10"] if how == "recycled" else []
    end = ["--die-on-term"] if how == "killed" else GRACEFUL
    reload = host.journal.with_name("reload")
    reload.touch()
    options = [*limit, *end, "--touch-workers-reload", str(reload)]
    server = start(host, *MASTER, *options, "--lazy-apps")
    seen = server.workers(2)
    server.serve(REQUESTS, EVENTS)
    if how == "reloaded":
        os.utime(reload, (2**31 - 1, 2**31 - 1))
        server.wait_for_others(seen)
        server.workers(2)
        server.serve(REQUESTS, EVENTS)
    if how == "recycled":
        server.wait_until(lambda: set(host.noted) <= host.sink.accepted)
    server.end(signal.SIGTERM)
    settled = Settled(host, proof)
    assert len(settled.noted) >= 2 * AT_IMPORT + sum(server.sold) >= REQUESTS * EVENTS // 2
    # One that is just starting again misses the signal, or dies by it.
    settled.assert_once(left={"killed": len(settled.noted), "recycled": 2 * AT_IMPORT}.get(how, 0))
