"""Event loops: the same promises, and nobody waits for us."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from runtime import Settled

from proving import scale

if TYPE_CHECKING:
    from faults.host import Host
    from proving import Proof


@pytest.mark.proves("forks and runtimes", "event loops")
@pytest.mark.parametrize("library", scale(["uvloop", "trio"], ["asyncio", "uvloop", "trio"]))
def test_tasks_deliver(host: Host, proof: Proof, library: str) -> None:
    """``aflush`` and ``aclose`` in each of them."""
    finished = host.run("loop_host.py", library, 100)
    assert finished.returncode == 0, finished.output
    host.assert_balanced(finished)
    settled = Settled(host, proof)
    assert len(settled.noted) == 500
    settled.assert_once()
