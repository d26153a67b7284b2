"""Fixtures every test may use."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import hypothesis
import pytest

import proving
from faults.host import Host
from faults.sink import FaultSink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faults.desk import Desk
    from penstock.collector.layout import Layout
    from penstock.collector.log.lane import LaneLog

# A shell that runs the tests in the background has them ignore Ctrl-C, and with them every program
# that they start: the tests that send it would wait for ever.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow machine is not a failing test.
hypothesis.settings.register_profile("penstock", deadline=None)
hypothesis.settings.load_profile("penstock")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--proves "power loss"``: only what tries this promise; docs/delivery.md names them."""
    parser.addoption(
        "--proves", metavar="PROMISE[: CASE]", help="run the proofs of one promise, or one case"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what ``--proves`` does not ask for."""
    wanted = config.getoption("--proves")
    if wanted is None:
        return
    kept = [item for item in items if proving.is_wanted(wanted, item.iter_markers("proves"))]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


@pytest.fixture
def proof(request: pytest.FixtureRequest) -> proving.Proof:
    """What this test tried, for the matrix; the test is marked ``proves(promise, case)``."""
    properties: list[tuple[str, object]] = request.node.user_properties
    place = len(properties)

    def keep(trial: proving.Trial) -> None:
        properties[place:] = [(proving.PROPERTY, tuple(trial))]

    (marker,) = request.node.iter_markers("proves")
    made = proving.Proof(*marker.args, keep)
    made.record(trials=0)
    return made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the matrix at the end of `make proof`."""
    ended = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    if proving.FULL and ended:
        terminalreporter.section("what was proven")
        for line in proving.matrix(ended):
            terminalreporter.write_line(line)


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


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Where a collector's store has its files."""
    from penstock.collector.layout import Layout

    return Layout(tmp_path / "store")


@pytest.fixture
def log(layout: Layout) -> Iterator[LaneLog]:
    """The log of `layout`, as one worker writes it."""
    from store_kit import lane

    made = lane(layout)
    yield made
    made.close()
