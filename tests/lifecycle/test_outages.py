"""A server that fails costs time, never events."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from faults import rules

if TYPE_CHECKING:
    from faults.host import Finished, Host
    from proving import Proof


def deliver(host: Host, count: int, patience: int = 30) -> Finished:
    """Track, flush, close: everything is delivered by that one process."""
    finished = host.run("track_and_flush.py", count, patience, timeout=patience + 15)
    assert finished.returncode == 0, finished.output
    host.assert_balanced(finished)
    return finished


@pytest.mark.proves("faults of the server", "a run of 5xx")
@pytest.mark.parametrize("code", [500, 502, 503, 504, 408])
def test_three_failures_then_success(host: Host, code: int) -> None:
    """The batch is tried again, with the same ids, and stored once."""
    host.sink.plan(rules.Run(*[rules.status(code)] * 3))
    deliver(host, 200)
    host.reconcile(200)
    batches = [exchange.ids for exchange in host.sink.exchanges]
    assert batches == [batches[0]] * 4


@pytest.mark.proves("faults of the server", "429 and Retry-After")
def test_retry_after_seconds_are_waited_for(host: Host) -> None:
    """429 with ``Retry-After: 2``: the next request comes two seconds later, not before."""
    host.sink.plan(rules.Run(rules.status(429, retry_after="2")))
    deliver(host, 200)
    first, second = host.sink.exchanges
    assert 2.0 <= second.at - first.at < 4.0
    host.reconcile(200)


@pytest.mark.proves("faults of the server", "429 and Retry-After")
def test_retry_after_as_a_date_is_waited_for(host: Host) -> None:
    """The same in its other form, which has whole seconds only."""
    host.sink.plan(rules.Run(rules.status(503, retry_after=rules.http_date(3))))
    deliver(host, 200)
    first, second = host.sink.exchanges
    assert 1.9 <= second.at - first.at < 5.0
    host.reconcile(200)


@pytest.mark.proves("faults of the server", "429 and Retry-After")
def test_retry_after_holds_for_the_destination_not_for_one_batch(host: Host) -> None:
    """A server that asks for a pause is not sent the other batches meanwhile."""
    host.sink.plan(rules.Run(rules.status(429, retry_after="2")))
    deliver(host, 3000)
    first = host.sink.exchanges[0].at
    early = [exchange for exchange in host.sink.exchanges if 0.5 < exchange.at - first < 2.0]
    assert early == []
    host.reconcile(3000)


@pytest.mark.proves("faults of the server", "resets")
def test_a_reset_in_the_middle_of_a_body_is_tried_again(host: Host) -> None:
    """Nothing was stored, so nothing may be counted as delivered."""
    host.sink.plan(rules.Run(*[rules.RESET_MID_BODY] * 2))
    deliver(host, 1000)
    host.reconcile(1000)


@pytest.mark.proves("faults of the server", "answer lost")
def test_a_lost_answer_repeats_that_request_only(host: Host) -> None:
    """Stored, but the client cannot know: the same ids come again, no others."""
    host.sink.plan(rules.Run(rules.LOST_ANSWER))
    deliver(host, 1000)
    host.reconcile(1000, duplicates=250)
    lost = next(e for e in host.sink.exchanges if not e.answered)
    assert set(host.sink.duplicates) == set(lost.ids)


@pytest.mark.proves("faults of the server", "connections")
def test_a_connection_that_closes_after_every_answer_is_no_problem(host: Host) -> None:
    """A server without keep-alive."""
    host.sink.plan(rules.Always(rules.Answer(ending="close")))
    deliver(host, 2000)
    host.reconcile(2000)


@pytest.mark.proves("faults of the server", "too large")
def test_a_body_too_large_is_halved_until_it_fits(host: Host) -> None:
    """413 above 20 kB: smaller batches, every event once."""
    host.sink.plan(rules.too_large(20_000))
    deliver(host, 500)
    host.reconcile(500)


@pytest.mark.proves("faults of the server", "outage")
def test_a_short_outage_is_bridged_by_the_same_process(host: Host) -> None:
    """Refused connections for two seconds, then delivery."""
    _outage(host, seconds=2.0, events=500)


@pytest.mark.proves("faults of the server", "outage")
@pytest.mark.slow
def test_an_outage_of_fifteen_seconds_is_bridged_by_the_same_process(host: Host) -> None:
    """As long as a deploy of the server takes."""
    _outage(host, seconds=15.0, events=500)


def _outage(host: Host, seconds: float, events: int) -> None:
    host.sink.stop()
    comeback = threading.Timer(seconds, host.sink.start)
    comeback.start()
    finished = deliver(host, events, patience=45)
    comeback.join()
    assert finished.told("flush_s") >= seconds - 1.0
    host.reconcile(events)


@pytest.mark.proves("faults of the server", "outage")
@pytest.mark.slow
def test_tracking_goes_on_through_an_outage(host: Host) -> None:
    """Fifteen seconds down in the middle of a steady stream of events."""
    running = host.start("track_steadily.py", 20, 50, 40)
    host.sink.wait_for_events(50)
    host.sink.stop()
    threading.Event().wait(15.0)  # the outage under test
    host.sink.start()
    finished = running.wait(90)
    host.assert_balanced(finished)
    host.reconcile(1000, duplicates=1000 if _cut_off(host) else 0)


def _cut_off(host: Host) -> bool:
    """Whether a request was stored but cut off from its answer when the sink stopped."""
    return any(not exchange.answered for exchange in host.sink.exchanges)


@pytest.mark.proves("faults of the server", "accepts and hangs")
@pytest.mark.slow
def test_a_server_that_accepts_and_never_answers_is_outlived(host: Host) -> None:
    """Black holes end by timeout; once the server answers again, everything arrives."""
    hole = rules.Always(rules.BLACK_HOLE)
    host.sink.plan(hole)
    threading.Timer(3.0, hole.lift).start()
    deliver(host, 1000, patience=45)
    host.reconcile(1000)


@pytest.mark.proves("faults of the server", "a last word")
def test_a_bad_key_kills_no_event_silently(host: Host, proof: Proof) -> None:
    """401 is the server's last word: each event ends as dead, with the reason, and is counted."""
    host.sink.plan(rules.Always(rules.status(401)))
    finished = deliver(host, 300, patience=10)
    (part,) = finished.lines("ledger")[-1]["destinations"].values()
    proof.record(events=300, lost=300 - part["dead"]["rejected"])
    assert part["dead"] == {"rejected": 300}
    assert host.sink.accepted == set()
