"""
Killed at any moment: while tracking, while sending, between an answer and its note.

Whole programs, from the start of their interpreter on; `test_real_deaths` has the thousands.
"""

from __future__ import annotations

import os
import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from faults import rules
from proving import scale

if TYPE_CHECKING:
    from faults.host import Host, Running
    from faults.sink import Exchange
    from proving import Proof

#: Four requests of 250 events may be under way.
IN_FLIGHT = 1000


def tell(proof: Proof, host: Host, trials: int = 1) -> None:
    """What came of it, for the matrix; asserted by `Host.reconcile`."""
    noted, duplicates = set(host.noted), sum(host.sink.duplicates.values())
    lost = len(noted - host.sink.accepted)
    proof.record(trials=trials, events=len(noted), lost=lost, repeated=duplicates)


@pytest.mark.proves("process death", "a whole program")
@pytest.mark.parametrize("seed", range(scale(12, 40)))
def test_nothing_is_lost_at_any_kill_point(host: Host, proof: Proof, seed: int) -> None:
    """SIGKILL at a random moment of tracking and sending: what ``track()`` returned arrives."""
    running = host.start("track_forever.py")
    running.wait_for("tracking")
    time.sleep(random.Random(seed).uniform(0.0, 0.5))  # the kill point under test
    running.signal(signal.SIGKILL)
    running.wait()
    host.restart()
    tell(proof, host)
    host.reconcile(duplicates=IN_FLIGHT)
    # The kill may fall between the append and the note: one event nobody was told of.
    assert len(host.sink.accepted - set(host.noted)) <= 1


@pytest.mark.proves("process death", "a whole program that recovers")
def test_nothing_is_lost_when_restarts_are_killed_too(host: Host, proof: Proof) -> None:
    """A process that adopts a dead one's lane dies while it delivers; the next takes both."""
    host.sink.stop()
    host.run("end_with.py", "sigkill", 3000)
    host.sink.plan(rules.Always(rules.Answer(wait_s=0.05))).start()
    for round_ in range(6):
        running = host.start("track_forever.py")
        running.wait_for("tracking")
        time.sleep(0.02 * round_)  # the kill point under test
        running.signal(signal.SIGKILL)
        running.wait()
    host.restart()
    tell(proof, host, 7)
    host.reconcile(duplicates=7 * IN_FLIGHT)


@pytest.mark.proves("process death", "stored, not answered")
def test_stored_but_unanswered_is_sent_again_with_the_same_ids(host: Host, proof: Proof) -> None:
    """The sink stores the first request and kills the client before it answers."""
    host.sink.plan(rules.Run(rules.Answer(before=Kill(host, signal.SIGKILL))))
    host.run("track_and_wait.py", 1000)
    first = host.sink.exchanges[0].ids
    host.restart()
    tell(proof, host)
    host.reconcile(1000, duplicates=IN_FLIGHT)
    assert set(first) <= set(host.sink.duplicates)


@pytest.mark.proves("process death", "answered, not read")
def test_answered_but_not_yet_noted_is_sent_again_with_the_same_ids(
    host: Host, proof: Proof
) -> None:
    """
    200, then a crash before the cursor moves.

    The client is stopped while its request is stored, the answer is put on the wire, and it is
    killed without ever running again: the answer is in its socket, unread.
    """
    kill = Kill(host, signal.SIGKILL)
    answer = rules.Answer(before=Kill(host, signal.SIGSTOP), after=kill)
    host.sink.plan(rules.Run(answer))
    finished = host.run("track_and_wait.py", 200)
    assert finished.returncode == -signal.SIGKILL
    (only,) = host.sink.exchanges
    assert only.answered
    host.restart()
    tell(proof, host)
    host.reconcile(200, duplicates=200)
    assert set(only.ids) == set(host.sink.duplicates)


@pytest.mark.proves("process death", "just answered")
def test_a_kill_right_after_an_answer_repeats_at_most_what_was_in_flight(
    host: Host, proof: Proof
) -> None:
    """The race itself: the cursor may or may not have moved."""
    for _ in range(5):
        host.sink.plan(rules.Run(rules.Answer(), rules.Answer(after=Kill(host, signal.SIGKILL))))
        host.run("track_and_wait.py", 1000)
    host.sink.plan()
    host.restart()
    tell(proof, host, 5)
    host.reconcile(5000, duplicates=5 * IN_FLIGHT)


class Kill:
    """Send a signal to the program that talks to the sink right now, once it noted its ids."""

    def __init__(self, host: Host, number: int) -> None:
        self._host = host
        self._number = number

    def __call__(self, _exchange: Exchange) -> None:
        """Only one program runs at a time: the last one started."""
        self._current().wait_for("ready")  # it may be sending while it still tracks
        os.kill(self._current().pid, self._number)

    def _current(self) -> Running:
        return self._host.started[-1]
