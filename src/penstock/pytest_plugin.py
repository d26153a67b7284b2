"""
The pytest plugin: no client reaches the network from a test by accident.

It is loaded in every pytest run of an environment that has Penstock, also in suites that never
use it, so it imports nothing of Penstock before a test asks for the ``penstock`` fixture. All it
does on its own is to set two environment variables, which child processes inherit:

``PENSTOCK_NETWORK``
    ``deny``, unless a marker, the variable as pytest found it, or the ini option says otherwise.
``PENSTOCK_JOURNAL``
    A directory of this run, removed at its end. Without it an event of a test would wait in the
    user's own journal, and the next real program would deliver it.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from penstock.testing import MemoryClient

NETWORK = "PENSTOCK_NETWORK"
JOURNAL = "PENSTOCK_JOURNAL"
MODES = ("allow", "loopback", "deny")
_before = pytest.StashKey[dict[str, str | None]]()
_journal = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini option."""
    parser.addini(
        "penstock_network",
        "What Penstock clients may reach from tests: deny (default), loopback, or allow.",
        default="deny",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Close the network and move the default journal, for this process and its children."""
    config.addinivalue_line(
        "markers",
        'penstock_network(mode="allow"): what Penstock clients may reach from this test:'
        " allow, loopback, or deny",
    )
    config.stash[_before] = {name: os.environ.get(name) for name in (NETWORK, JOURNAL)}
    mode = os.environ.get(NETWORK) or str(config.getini("penstock_network"))
    os.environ[NETWORK] = _known(mode, "penstock_network")
    if JOURNAL not in os.environ:
        unique = f"penstock-pytest-{os.getpid()}-{os.urandom(4).hex()}"
        config.stash[_journal] = Path(tempfile.gettempdir(), unique)
        os.environ[JOURNAL] = str(config.stash[_journal])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Put the environment back and remove what the tests left in the journal."""
    for name, value in config.stash.get(_before, {}).items():
        _restore(name, value)
    if _journal in config.stash:
        shutil.rmtree(config.stash[_journal], ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let a marked test, its fixtures included, reach what its marker says."""
    marker = item.get_closest_marker("penstock_network")
    if marker is None:
        return (yield)
    mode = marker.args[0] if marker.args else marker.kwargs.get("mode", "allow")
    before = os.environ.get(NETWORK)
    os.environ[NETWORK] = _known(mode, item.nodeid)
    try:
        return (yield)
    finally:
        _restore(NETWORK, before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the hosts that clients were kept from, so that a missing event is no riddle."""
    gate = sys.modules.get("penstock.transport.gate")
    for host, count in Counter(gate.refused if gate else ()).items():
        terminalreporter.write_line(
            f"penstock: {count} request(s) to {host} refused, see docs/testing.md", yellow=True
        )


@pytest.fixture
def penstock() -> Iterator[MemoryClient]:
    """A client that keeps its events in memory, to be asked about them: `MemoryClient`."""
    from penstock.testing import MemoryClient

    with MemoryClient() as client:
        yield client


def _known(mode: str, where: str) -> str:
    if mode not in MODES:
        raise pytest.UsageError(f"{where}: {mode!r} is none of {', '.join(MODES)}")
    return mode


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
