"""Bursts, exits and deadlines stay inside their bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faults import rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.host import Host
    from proving import Proof

#: Seconds: `Config.exit_timeout`'s default, and what may come on top of it.
EXIT_TIMEOUT, GRACE = 2.0, 0.05
#: Seconds a loaded machine may take to run a thread that is ready.
SCHEDULING = 0.1


@pytest.mark.proves("faults of the machine", "burst")
def test_a_burst_on_defaults_arrives_whole_in_bounded_memory(host: Host) -> None:
    """50,000 events as fast as the caller can; the process grows by 64 MiB at most."""
    finished = host.run("burst.py", 50_000, timeout=90)
    assert finished.returncode == 0, finished.output
    host.assert_balanced(finished)
    host.reconcile(50_000)
    assert finished.told("growth_mib") <= 64.0


@pytest.mark.proves("faults of the server", "burst and outage")
def test_a_burst_while_the_server_is_down_waits_in_bounded_memory(host: Host) -> None:
    """The same with nobody there: it lies in the journal and arrives after the restart."""
    host.sink.plan(rules.Always(rules.status(503)))
    finished = host.run("burst_and_leave.py", 50_000, timeout=90)
    assert finished.told("growth_mib") <= 64.0
    host.sink.plan()
    host.restart(timeout=60)
    host.reconcile(50_000)


@pytest.mark.proves("faults of the server", "accepts and hangs")
def test_a_black_holed_endpoint_holds_no_exit(host: Host) -> None:
    """The exit takes the exit timeout, and nothing is lost: the next start delivers."""
    idle = host.run("leave.py", "idle")
    interpreter = idle.at - idle.told("ended_at")
    host.sink.plan(rules.Always(rules.BLACK_HOLE))

    def leaves_in_time() -> bool:
        finished = host.run("leave.py", "tracking")
        assert finished.returncode == 0, finished.output
        took = finished.at - finished.told("ended_at")
        return took <= EXIT_TIMEOUT + GRACE + interpreter + SCHEDULING

    assert once_undisturbed(leaves_in_time)
    host.sink.plan()
    host.restart()
    host.reconcile()


def test_an_exit_with_nothing_left_takes_no_time(host: Host) -> None:
    """The exit timeout is a limit, not a wait."""
    finished = host.run("leave.py", "tracking")
    assert finished.at - finished.told("ended_at") < EXIT_TIMEOUT / 2
    host.reconcile(1000)


@pytest.mark.proves("faults of the server", "accepts and hangs")
def test_flush_and_close_return_by_their_deadline(host: Host, proof: Proof) -> None:
    """Also when the destination never answers; and they say what is still pending."""
    host.sink.plan(rules.Always(rules.BLACK_HOLE))

    def returns_in_time() -> bool:
        finished = host.run("deadlines.py")
        proof.record(events=1000)
        assert finished.returncode == 0, finished.output
        host.assert_balanced(finished)
        flushes = finished.lines("flush")
        assert len(flushes) == 3
        assert all(pending >= 1000 for _, _, pending in flushes)
        calls = [(timeout, took) for timeout, took, _ in flushes]
        calls.append(finished.told("close"))
        return all(took <= timeout + GRACE + SCHEDULING for timeout, took in calls)

    assert once_undisturbed(returns_in_time)


def once_undisturbed(attempt: Callable[[], bool]) -> bool:
    """
    Whether one of three attempts holds its time.

    A neighbour can take the processor away for a second and more; a client that breaks its
    promise breaks it every time.
    """
    return any(attempt() for _ in range(3))
