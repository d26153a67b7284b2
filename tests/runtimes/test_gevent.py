"""gevent: greenlets instead of threads, from the beginning or at some time later."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
import trustme
from runtime import Settled

from faults import rules
from proving import scale

if TYPE_CHECKING:
    from pathlib import Path

    from faults.host import Host
    from proving import Proof


@pytest.mark.proves("forks and runtimes", "gevent patched after the client was made")
@pytest.mark.parametrize("before", ["made", "tracked", "flushed", "forked"])
def test_gevent_may_patch_late(host: Host, proof: Proof, before: str) -> None:
    """Threads, queues and locks from before the patching never stop a greenlet from running."""
    finished = host.run("gevent_late.py", before, 100)
    assert finished.returncode == 0, finished.output
    host.assert_balanced(finished)
    assert "Exception" not in finished.output
    # Importing the HTTP client and making a segment take the interpreter, and a slow disk its time.
    assert finished.told("longest_pause_s") < 10.0
    settled = Settled(host, proof)
    assert len(settled.noted) == (400 if before == "made" else 500)
    settled.assert_once()
    (retired,) = host.journal.glob("*/retired.jsonl")
    lanes = len(retired.read_text().splitlines())
    assert lanes == (2 if before == "forked" else 1), "a greenlet broke into an append"


@pytest.mark.proves("forks and runtimes", "gevent patched before the import")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_fork_leaves_the_requests_under_way_to_the_parent(
    host: Host, proof: Proof, scheme: str, request: pytest.FixtureRequest
) -> None:
    """Greenlets that send live on in a child; they send nothing there, and take no answer."""
    environment = request.getfixturevalue("certified") if scheme == "https" else {}
    host.sink.plan(rules.Always(rules.Answer(wait_s=0.05)))
    children = scale(20, 150)
    finished = host.run("gevent_forks.py", children, 50, 0.004, timeout=100.0, **environment)
    assert finished.returncode == 0, finished.output
    host.assert_balanced(finished)
    host.sink.plan()
    settled = Settled(host, proof, **environment)
    assert len(settled.noted) == children * 3 * 50
    proof.record(trials=children - 1)
    settled.assert_once()
    assert "does not take events now" not in finished.output


@pytest.fixture
def certified(host: Host, tmp_path: Path) -> dict[str, str]:
    """The sink speaks TLS; what a program's environment needs to trust it."""
    authority = trustme.CA()
    host.sink.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(host.sink.tls)
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(trusted)
    return {"SSL_CERT_FILE": str(trusted)}


@pytest.mark.proves("forks and runtimes", "gevent patched before the import")
def test_gevent_patched_first(host: Host, proof: Proof) -> None:
    """As gevent wants it."""
    finished = host.run("gevent_host.py", 100)
    assert finished.returncode == 0, finished.output
    host.assert_balanced(finished)
    Settled(host, proof).assert_once()
