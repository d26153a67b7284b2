"""Fixtures every test may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis
import pytest

from faults.host import Host
from faults.sink import FaultSink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faults.desk import Desk

# A slow machine is not a failing test.
hypothesis.settings.register_profile("penstock", deadline=None)
hypothesis.settings.load_profile("penstock")


@pytest.fixture
def sink() -> Iterator[FaultSink]:
    """A running loopback server that accepts everything until told otherwise."""
    server = FaultSink().start()
    yield server
    server.close()


@pytest.fixture
def host(sink: FaultSink, tmp_path: Path) -> Iterator[Host]:
    """A journal directory and real programs, aimed at `sink`."""
    machine = Host(sink, tmp_path)
    yield machine
    machine.close()


@pytest.fixture
def desk(sink: FaultSink, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Clients in this process that may talk to `sink`, and only to it."""
    monkeypatch.setenv("PENSTOCK_NETWORK", "loopback")
    monkeypatch.delenv("PENSTOCK_DISABLED", raising=False)
    from faults.desk import Desk

    made = Desk(sink)
    yield made
    made.close()
