"""Bursts, exits and deadlines stay inside their bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faults import rules

if TYPE_CHECKING:
    from faults.host import Host

#: Seconds: `Config.exit_timeout`'s default, and what may come on top of it.
EXIT_TIMEOUT, GRACE = 2.0, 0.05
#: Seconds a loaded machine may take to run a thread that is ready.
SCHEDULING = 0.1


def test_a_burst_on_defaults_arrives_whole_in_bounded_memory(host: Host) -> None:
    """50,000 events as fast as the caller can; the process grows by 64 MiB at most."""
    finished = host.run("burst.py", 50_000, timeout=90)
    assert finished.returncode == 0, finished.output
    host.assert_balanced(finished)
    host.reconcile(50_000)
    assert finished.told("growth_mib") <= 64.0


def test_a_burst_while_the_server_is_down_waits_in_bounded_memory(host: Host) -> None:
    """The same with nobody there: it lies in the journal and arrives after the restart."""
    host.sink.plan(rules.Always(rules.status(503)))
    finished = host.run("burst_and_leave.py", 50_000, timeout=90)
    assert finished.told("growth_mib") <= 64.0
    host.sink.plan()
    host.restart(timeout=60)
    host.reconcile(50_000)


def test_a_black_holed_endpoint_holds_no_exit(host: Host) -> None:
    """The exit takes the exit timeout, and nothing is lost: the next start delivers."""
    idle = host.run("leave.py", "idle")
    interpreter = idle.at - idle.told("ended_at")
    host.sink.plan(rules.Always(rules.BLACK_HOLE))
    finished = host.run("leave.py", "tracking")
    took = finished.at - finished.told("ended_at")
    assert finished.returncode == 0, finished.output
    assert took <= EXIT_TIMEOUT + GRACE + interpreter + SCHEDULING
    host.sink.plan()
    host.restart()
    host.reconcile(1000)


def test_an_exit_with_nothing_left_takes_no_time(host: Host) -> None:
    """The exit timeout is a limit, not a wait."""
    finished = host.run("leave.py", "tracking")
    assert finished.at - finished.told("ended_at") < EXIT_TIMEOUT / 2
    host.reconcile(1000)


def test_flush_and_close_return_by_their_deadline(host: Host) -> None:
    """Also when the destination never answers; and they say what is still pending."""
    host.sink.plan(rules.Always(rules.BLACK_HOLE))
    finished = host.run("deadlines.py")
    assert finished.returncode == 0, finished.output
    for timeout, took, pending in finished.lines("flush"):
        assert took <= timeout + GRACE + SCHEDULING
        assert pending == 1000
    timeout, took = finished.told("close")
    assert took <= timeout + GRACE + SCHEDULING
    host.assert_balanced(finished)
    host.sink.plan()
    host.restart()
    host.reconcile(1000)


@pytest.mark.parametrize("umask", ["000", "022"])
def test_the_journal_is_readable_by_its_owner_only(host: Host, umask: str) -> None:
    """Directories 0700, files 0600, whatever the umask: personal data rests there."""
    host.sink.stop()
    host.run("under_umask.py", umask, 1000)
    files = host.journal_files()
    assert any(path.is_file() for path in files)
    for path in files:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
