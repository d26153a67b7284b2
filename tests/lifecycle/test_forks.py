"""After a fork both sides track, and everything arrives once."""

from __future__ import annotations

from itertools import product

import pytest

from faults.host import Finished, Host
from penstock import _fork

#: Seconds after which a program hangs.
PATIENCE = 30.0
BEFORE = {"nothing": 0, "tracked": 1, "flushed": 1}


@pytest.mark.parametrize(
    ("before", "ending"),
    list(product(BEFORE, ["os_exit", "exit", "closed", "sigkill"])),
)
def test_parent_and_child_both_deliver(host: Host, before: str, ending: str) -> None:
    """Whatever the parent did before and however the child ends."""
    finished = host.run("fork_both.py", before, ending, 300, timeout=PATIENCE)
    assert finished.returncode == 0, finished.output
    host.assert_balanced(finished)
    host.restart()
    # A killed child, and one that calls os._exit, may leave requests unanswered.
    host.reconcile(300 * (2 + BEFORE[before]), duplicates=300 if ending != "closed" else 0)


def test_the_parents_events_stay_the_parents(host: Host) -> None:
    """What waited in the parent when it forked is sent once, not once per process."""
    host.run("fork_both.py", "tracked", "closed", 100, timeout=PATIENCE)
    host.restart()
    host.reconcile(300)


def test_a_child_that_closes_delivers_by_itself(host: Host) -> None:
    """A worker process has a worker thread of its own."""
    finished = host.run("fork_both.py", "flushed", "closed", 300, timeout=PATIENCE)
    host.reconcile(900)
    host.assert_balanced(finished)


def test_forks_of_forks_deliver(host: Host) -> None:
    """Master, worker, helper, helper's helper."""
    finished = host.run("fork_grandchildren.py", 100, timeout=PATIENCE)
    assert finished.returncode == 0, finished.output
    host.assert_balanced(finished)
    host.restart()
    host.reconcile(700)


def test_a_fork_while_the_sender_starts_neither_hangs_nor_loses(host: Host) -> None:
    """Thirty children from the first hundred milliseconds of a client's life."""
    finished = host.run("fork_early.py", 30, 20, timeout=PATIENCE)
    assert finished.returncode == 0, finished.output
    assert_all_delivered(finished, processes=31)
    host.reconcile(300 + 30 * 20)


def test_workers_that_come_and_go_deliver_once(host: Host) -> None:
    """Sixty workers close while others look for what dead ones left: no event is seen twice."""
    finished = host.run("churn.py", 60, 20, timeout=PATIENCE)
    assert finished.returncode == 0, finished.output
    assert_all_delivered(finished, processes=61)
    host.reconcile(61 * 20)


def assert_all_delivered(finished: Finished, processes: int) -> None:
    """Every process said at its end that nothing waits and nothing died."""
    Host.assert_balanced(finished)
    ledgers = finished.lines("ledger")
    assert len(ledgers) == processes
    assert [ledger for ledger in ledgers if ledger["pending"] or ledger["dead"]] == []


def test_a_fork_in_the_middle_of_track_neither_hangs_nor_loses(host: Host) -> None:
    """Twenty children, forked while three threads hold whatever ``track()`` holds."""
    finished = host.run("fork_while_tracking.py", 20, 50, timeout=PATIENCE)
    assert finished.returncode == 0, finished.output
    host.assert_balanced(finished)
    host.restart()
    host.reconcile(duplicates=20 * 50)
    assert len(host.noted) > 20 * 50


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_workers_deliver(host: Host, method: str) -> None:
    """Four workers and their parent, whatever the start method."""
    finished = host.run("multiprocess.py", method, 4, 200, timeout=PATIENCE)
    assert finished.returncode == 0, finished.output
    host.assert_balanced(finished)
    host.restart()
    host.reconcile(5 * 200, duplicates=4 * 200)


def test_a_fork_waits_for_a_thread_that_imports_and_unlocks_only_what_it_locked(
    host: Host,
) -> None:
    """`logging` has a lock for forks too; imported in the middle of one, it finds it unlocked."""
    finished = host.run("fork_while_loading.py", timeout=PATIENCE)
    assert finished.returncode == 0, finished.output
    assert sorted(spoken(finished)) == ["child", "parent"]


def test_a_fork_waits_for_a_thread_that_speaks_for_the_first_time(host: Host) -> None:
    """A full journal is told on the caller's thread, which imports `logging` for it."""
    finished = host.run("fork_while_speaking.py", timeout=PATIENCE)
    assert finished.returncode == 0, finished.output
    assert spoken(finished) == ["said", "said"]


def test_a_fork_lets_a_thread_that_imports_ask_for_a_logger(host: Host) -> None:
    """The two have the lock of `logging` and ours between them: neither waits for the other."""
    finished = host.run("fork_while_logging.py", timeout=PATIENCE)
    assert finished.returncode == 0, finished.output
    assert finished.told("waited") < _fork.LOADING_TIMEOUT_S


def spoken(finished: Finished) -> list[str]:
    """The words that stand on a line alone; Python 3.12 warns of forks beside threads."""
    return [line for line in finished.output.splitlines() if line.isalpha()]
