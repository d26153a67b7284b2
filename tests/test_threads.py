"""Threads of delivery begin, or are given up in time."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from patience import wait_for
from penstock.delivery import _threads
from penstock.delivery._threads import DaemonThread


def test_a_thread_runs_and_ends() -> None:
    """It is an ordinary one: named, listed, and no reason to stay."""
    gate, ran = threading.Event(), threading.Event()

    def work() -> None:
        ran.set()
        gate.wait(10)

    thread = DaemonThread(work, "penstock-test")
    thread.start()
    assert ran.wait(10)
    assert thread in threading.enumerate()
    assert (thread.name, thread.daemon, thread.is_alive()) == ("penstock-test", True, True)
    gate.set()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("later", [True, False])
def test_a_thread_that_does_not_begin_is_given_up(monkeypatch: Any, later: bool) -> None:
    """As if it had found no memory for its first frame; it does nothing if it begins after all."""
    monkeypatch.setattr(_threads, "BEGIN_S", 0.05)
    gate, ran = threading.Event(), []
    bootstrap = threading.Thread._bootstrap

    def dead(thread: Any) -> None:
        if later:
            gate.wait(10)
            bootstrap(thread)

    monkeypatch.setattr(DaemonThread, "_bootstrap", dead, raising=False)
    thread = DaemonThread(lambda: ran.append(1), "penstock-test")
    with pytest.raises(RuntimeError, match="begin"):
        thread.start()
    gate.set()
    if later:
        wait_for(lambda: thread.ident is not None, "the thread to begin")
        thread.join(10)
    assert not ran
