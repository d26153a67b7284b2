"""uvicorn alone: one process, and several that its supervisor spawns."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from runtime import Server, Settled, command, launch

if TYPE_CHECKING:
    from faults.host import Host
    from proving import Proof


@pytest.mark.proves("forks and runtimes", "uvicorn")
@pytest.mark.parametrize("workers", [1, 2])
def test_what_uvicorn_leaves_is_delivered_once(host: Host, proof: Proof, workers: int) -> None:
    """Uvicorn ends by the signal that stopped it, so the next start delivers the last seconds."""
    words = ["--host", "127.0.0.1", "--port", "0", "--workers", workers, "asgi_shop:application"]
    server = Server(launch(host, command("uvicorn"), *words, AT_IMPORT="5"))
    server.workers(workers)
    server.serve(20, 3)
    server.end(signal.SIGTERM)
    settled = Settled(host, proof)
    assert len(settled.noted) == 5 * workers + 60
    settled.assert_once(left=len(settled.noted))
