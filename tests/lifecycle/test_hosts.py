"""Inside asyncio, gevent, threads and next to another client, the promises are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faults import rules

if TYPE_CHECKING:
    from faults.host import Host


def test_asyncio_hosts_are_never_blocked(host: Host) -> None:
    """``track`` in a coroutine costs the loop nothing; ``aflush`` and ``aclose`` let it run."""
    host.sink.plan(rules.Always(rules.Answer(wait_s=0.2)))
    finished = host.run("asyncio_host.py")
    assert finished.returncode == 0, finished.output
    median_ms, near_worst_ms = finished.told("calls_ms")
    assert median_ms < 0.5
    assert near_worst_ms < 5.0
    assert finished.told("worst_lag_while_flushing_ms") < 100.0
    host.assert_balanced(finished)
    host.reconcile(3 * 700)


def test_gevent_patched_before_import_delivers_also_after_a_fork(host: Host) -> None:
    """Greenlets track, a forked worker tracks, nobody hangs."""
    finished = host.run("gevent_host.py", 300)
    assert finished.returncode == 0, finished.output
    host.assert_balanced(finished)
    host.reconcile(5 * 300)


def test_two_clients_of_one_destination_share_the_journal_directory(host: Host) -> None:
    """Two lanes, four threads: every event once, each ledger adds up."""
    finished = host.run("two_clients.py", 500)
    assert finished.returncode == 0, finished.output
    host.assert_balanced(finished)
    host.reconcile(2000)


def test_close_is_final_and_may_be_repeated(host: Host) -> None:
    """The second close answers like the first; a later call is refused by name."""
    finished = host.run("after_close.py")
    assert finished.returncode == 0, finished.output
    assert finished.told("same") is True
    assert "closed" in finished.told("refused")
    host.assert_balanced(finished)
    host.reconcile(10)
