"""Fixtures of the tests of flags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flag_server import FlagServer

if TYPE_CHECKING:
    from faults.sink import FaultSink


@pytest.fixture
def provider(sink: FaultSink, monkeypatch: pytest.MonkeyPatch) -> FlagServer:
    """A provider of flags on loopback; clients of this process may talk to nobody else."""
    monkeypatch.setenv("PENSTOCK_NETWORK", "loopback")
    for name in ("PENSTOCK_DISABLED", "PENSTOCK_FLAGS_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    return FlagServer(sink)
