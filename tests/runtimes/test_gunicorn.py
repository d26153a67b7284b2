"""gunicorn: every worker class, with and without ``--preload``, however its workers end."""

from __future__ import annotations

import signal
from itertools import product
from typing import TYPE_CHECKING

import pytest
from runtime import Server, Settled, command, launch

from proving import scale

if TYPE_CHECKING:
    from faults.host import Host
    from proving import Proof

AT_IMPORT, REQUESTS, EVENTS = 5, 30, 3
UVICORN = "uvicorn_worker.UvicornWorker"
#: uvicorn's own, deprecated but still shipped.
UVICORN_OLD = "uvicorn.workers.UvicornWorker"
#: gunicorn's own.
ASGI = "asgi"
CLASSES = ("sync", "gthread", "gevent", ASGI, UVICORN, UVICORN_OLD)
ENDS = ("stopped", "reloaded", "recycled")
QUICK = [
    ("sync", "preload", "stopped"),
    ("gthread", "no preload", "reloaded"),
    ("gevent", "preload", "stopped"),
    (UVICORN, "preload", "recycled"),
]
ALL = list(product(CLASSES, ("preload", "no preload"), ENDS))


def start(host: Host, kind: str, *options: str, at_import: int = AT_IMPORT) -> Server:
    """Two workers of a class with the shop in them."""
    asynchronous = kind in {ASGI, UVICORN, UVICORN_OLD}
    application = "asgi_shop:application" if asynchronous else "wsgi_shop:application"
    words = ["--bind", "127.0.0.1:0", "--workers", "2", "--worker-class", kind, *options]
    words += ["--no-control-socket", *(["--threads", "3"] if kind == "gthread" else [])]
    running = launch(host, command("gunicorn"), *words, application, AT_IMPORT=str(at_import))
    return Server(running)


@pytest.mark.proves("forks and runtimes", "gunicorn")
@pytest.mark.parametrize(("kind", "preload", "how"), scale(QUICK, ALL))
def test_every_worker_delivers(host: Host, proof: Proof, kind: str, preload: str, how: str) -> None:
    """The master's events and the workers' arrive once, and nothing waits for a new start."""
    recycling = ["--max-requests", "8", "--max-requests-jitter", "4"] if how == "recycled" else []
    server = start(host, kind, *(["--preload"] if preload == "preload" else []), *recycling)
    seen = server.workers(2)
    server.serve(REQUESTS, EVENTS)
    if how == "reloaded":
        server.running.signal(signal.SIGHUP)
        server.wait_for_others(seen)
        server.workers(2)
        server.serve(REQUESTS, EVENTS)
    assert server.end(signal.SIGTERM).returncode == 0
    settled = Settled(host, proof)
    # A worker that is being recycled may leave a request without an answer.
    assert len(settled.noted) >= AT_IMPORT + sum(server.sold) >= REQUESTS * EVENTS // 2
    # One that is just starting again may die by the signal.
    starting = 2 * AT_IMPORT if how == "recycled" else 0
    settled.assert_once(left=len(settled.noted) if dies(kind, preload) else starting)


def dies(kind: str, preload: str) -> bool:
    """
    Whether workers are killed by the signal that stops them, and nobody is there to inherit.

    uvicorn shuts down gracefully and then sends itself the signal again. With ``--preload``
    gunicorn's master has a client too, which delivers what dead workers left.
    """
    return kind in {UVICORN, UVICORN_OLD} and preload == "no preload"


@pytest.mark.proves("forks and runtimes", "gunicorn")
def test_a_master_that_tracked_nothing_delivers_what_its_workers_left(
    host: Host, proof: Proof
) -> None:
    """Uvicorn's workers die by SIGTERM; the master has imported the client and never used it."""
    server = start(host, UVICORN, "--preload", at_import=0)
    server.workers(2)
    server.serve(REQUESTS, EVENTS)
    server.end(signal.SIGTERM)
    settled = Settled(host, proof)
    assert len(settled.noted) == REQUESTS * EVENTS
    settled.assert_once()
