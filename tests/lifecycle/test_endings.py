"""However a process ends, what it tracked arrives: from itself, or from the next one."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from faults.host import Host

EVENTS = 1000

#: ``{ending: exit code}``
ENDINGS = {
    "sigkill": -signal.SIGKILL,
    "sigterm": -signal.SIGTERM,
    "sigterm_handled": 0,
    "os_exit": 0,
    "plain": 0,
    "exception": 1,
    "sys_exit": 3,
    "interrupted": -signal.SIGINT,
    "thread": 0,
    "atexit_handler": 0,
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_lost_when_the_process_ends(host: Host, ending: str) -> None:
    """1,000 calls, the end, a restart: every id arrives, and the host's exit code is its own."""
    finished = host.run("end_with.py", ending, EVENTS)
    assert finished.returncode == ENDINGS[ending], finished.output
    host.restart()
    host.reconcile(EVENTS, duplicates=in_flight(host))


@pytest.mark.parametrize("ending", ["plain", "exception", "sys_exit", "thread"])
def test_an_orderly_exit_delivers_without_a_restart(host: Host, ending: str) -> None:
    """With a server that answers, the exit timeout is time enough."""
    host.run("end_with.py", ending, EVENTS)
    host.reconcile(EVENTS)


@pytest.mark.parametrize("ending", ["sigkill", "sigterm", "os_exit", "plain"])
def test_nothing_is_lost_when_the_server_is_down_as_well(host: Host, ending: str) -> None:
    """Neither the process nor the server is there; both come back."""
    host.sink.stop()
    host.run("end_with.py", ending, EVENTS)
    host.sink.start()
    host.restart()
    host.reconcile(EVENTS)


def test_the_backlog_of_many_dead_processes_is_delivered(host: Host) -> None:
    """Crash after crash with the server down; one start delivers it all."""
    host.sink.stop()
    for _ in range(5):
        host.run("end_with.py", "sigkill", EVENTS)
    host.sink.start()
    host.restart()
    host.reconcile(5 * EVENTS)


def test_processes_at_once_share_a_journal(host: Host) -> None:
    """Several workers of one application, same directory, ending in different ways."""
    endings = ["sigkill", "os_exit", "plain", "exception"]
    running = [host.start("end_with.py", ending, EVENTS) for ending in endings]
    for process in running:
        process.wait()
    host.restart()
    host.reconcile(len(endings) * EVENTS, duplicates=in_flight(host))


def test_a_restart_finds_nothing_after_a_clean_end(host: Host) -> None:
    """What was delivered is not delivered again, by this start or the next."""
    host.run("track_and_flush.py", EVENTS, 20)
    host.restart()
    host.restart()
    host.reconcile(EVENTS)


def in_flight(host: Host) -> int:
    """Events of requests the dead process may not have seen the answer of: four at a time."""
    sizes = [len(exchange.ids) for exchange in host.sink.exchanges]
    return sum(sorted(sizes)[-4:])
