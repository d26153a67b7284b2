"""An error captured right before a crash is delivered, and the crash is what it was."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from faults import rules

if TYPE_CHECKING:
    from faults.host import Host
    from faults.sink import Exchange
    from proving import Proof

#: ``{way: (exit code, messages of the errors that arrive, whether a traceback is printed)}``
WAYS: dict[str, tuple[int, list[str], bool]] = {
    "uncaught": (1, ["uncaught"], True),
    "captured_and_killed": (-signal.SIGKILL, ["uncaught"], False),
    "captured_and_gone": (5, ["captured"], False),
    "interrupted": (-signal.SIGINT, [], True),
    "sys_exit": (3, [], False),
    "in_thread": (0, ["uncaught"], True),
    "recursion": (1, ["maximum recursion depth exceeded"], True),
    "hook_that_exits": (7, ["uncaught"], False),
    "after_close": (1, [], True),
    "after_fork": (1, ["in the child", "in the parent", "uncaught"], True),
    "finaliser": (0, ["in a finaliser"], True),
}


def no_errors(exchange: Exchange) -> rules.Answer | None:
    """A server that is down from the first error on."""
    if any(event["event"] == "$exception" for event in exchange.events):
        return rules.Answer(503, stored=False)
    return None


def errors_at(host: Host) -> list[dict[str, Any]]:
    """The properties of every stored error."""
    accepted = host.sink.accepted
    stored = {event["uuid"]: event for event in host.sink.events if event["uuid"] in accepted}
    return [e["properties"] for e in stored.values() if e["event"] == "$exception"]


def messages_at(host: Host) -> list[str]:
    """What they say."""
    values = [str(error["$exception_list"][0]["value"]) for error in errors_at(host)]
    return sorted(value.partition(" while")[0] for value in values)


@pytest.mark.proves("process death", "an error right before it")
@pytest.mark.parametrize("way", WAYS)
def test_an_error_right_before_the_end_is_delivered_after_the_restart(
    host: Host, proof: Proof, way: str
) -> None:
    """Nobody is there to take it; the process ends as it would without us; the next delivers."""
    code, messages, traceback = WAYS[way]
    finished = host.run("end_with_error.py", way, DIALECT="posthog", timeout=40)
    host.restart(DIALECT="posthog")
    missing = len(set(messages) - set(messages_at(host)))
    proof.record(trials=1, events=len(messages), lost=missing, repeated=0)
    assert finished.returncode == code, finished.output
    assert ("Traceback (most recent call last)" in finished.output) is traceback
    assert messages_at(host) == messages
    assert set(host.noted) <= host.sink.accepted


@pytest.mark.proves("process death", "an error right before it, server down")
@pytest.mark.parametrize("way", ["uncaught", "captured_and_killed", "after_fork"])
def test_nor_is_it_lost_when_the_server_is_down(host: Host, proof: Proof, way: str) -> None:
    """Acceptance 23: it lies in the journal of the process, or of its child, until it is back."""
    messages = WAYS[way][1]
    host.sink.plan(no_errors)
    finished = host.run("end_with_error.py", way, DIALECT="posthog", timeout=40)
    assert messages_at(host) == []
    host.sink.plan()
    host.restart(DIALECT="posthog")
    missing = len(set(messages) - set(messages_at(host)))
    proof.record(trials=1, events=len(messages), lost=missing, repeated=0)
    assert finished.returncode == WAYS[way][0], finished.output
    assert messages_at(host) == messages


def test_a_crash_is_told_with_its_stack(host: Host) -> None:
    """As the one who has to repair it needs it."""
    host.run("end_with_error.py", "uncaught", DIALECT="posthog")
    (error,) = errors_at(host)
    entry = error["$exception_list"][0]
    assert (entry["type"], entry["module"]) == ("CartError", "__main__")
    assert entry["mechanism"] == {
        "type": "onuncaughtexception",
        "handled": False,
        "synthetic": False,
        "exception_id": 0,
    }
    assert error["$exception_level"] == "fatal"
    frame = entry["stacktrace"]["frames"][-1]
    assert frame["filename"] == "end_with_error.py"
    assert frame["context_line"] == '    raise CartError("uncaught")'
    assert frame["in_app"] is True
