"""
What official SDKs get wrong between a call and its outcome, promised right; spec, section 8.

Each test talks to a real server on loopback and reads what arrived; what is on the wire is in
test_defects_wire.py.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from faults import rules
from faults.desk import KEY, Desk, Told
from penstock import Segment
from penstock.config import Retry
from penstock.errors import (
    QueueFullError,
    ShutdownError,
)

if TYPE_CHECKING:
    from faults.host import Host


# -- retries -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [400, 401, 403, 404, 413, 422, 501, 505])
def test_a_final_refusal_is_not_repeated(desk: Desk, code: int) -> None:
    """One request, then the event is dead, with a reason, and told."""
    told = Told()
    desk.sink.plan(rules.Always(rules.status(code)))
    client = desk.segment(callback=told)
    id_ = client.track("u", "E")
    ledger = client.flush(timeout=5)
    assert len(desk.sink.exchanges) == 1
    assert sum(ledger.dead.values()) == 1
    assert [failed for failed, _ in told.failed] == [id_]


def test_there_is_one_retry_layer(desk: Desk) -> None:
    """Three attempts are three requests, whatever the HTTP library offers."""
    desk.sink.plan(rules.Always(rules.status(500)))
    client = desk.segment(retry=Retry(attempts=3, base=0.01, cap=0.02))
    client.track("u", "E")
    ledger = client.flush(timeout=5)
    assert len(desk.sink.exchanges) == 3
    assert ledger.dead == {"retries_exhausted": 1}


def test_a_servers_wish_to_wait_is_bounded(desk: Desk) -> None:
    """``Retry-After: 86400`` cannot stall a client for a day."""
    desk.sink.plan(rules.Run(rules.status(503, retry_after="86400")))
    client = desk.posthog(retry=Retry(base=0.01, after_cap=0.5))
    client.capture("E", "u")
    client.flush(timeout=10)
    first, second = desk.sink.exchanges
    assert 0.5 <= second.at - first.at < 3


def test_rate_limited_v1_events_are_not_lost(desk: Desk) -> None:
    """429 with ``Retry-After`` means later, not never."""
    desk.sink.plan(rules.Run(rules.status(429, retry_after="1")))
    client = desk.posthog(v1=True)
    id_ = client.capture("E", "u")
    client.flush(timeout=10)
    assert desk.sink.accepted == {id_}


def test_an_odd_error_body_is_no_error_of_ours(desk: Desk) -> None:
    """HTML, an empty object, nothing: the status alone decides."""
    bodies = [b"<html>busy</html>", b"{}", b"", b"[1]", b'"x"', b"\xff"]
    odd = [rules.Answer(503, body=body) for body in bodies]
    desk.sink.plan(rules.Run(*odd))
    client = desk.segment()
    id_ = client.track("u", "E")
    client.flush(timeout=20)
    assert desk.sink.accepted == {id_}
    assert len(desk.sink.exchanges) == len(bodies) + 1


@pytest.mark.parametrize("code", [200, 201, 202, 204])
def test_every_2xx_is_success(desk: Desk, code: int) -> None:
    """Delivered once, not sent again."""
    desk.sink.plan(rules.Always(rules.Answer(code, body=b"")))
    client = desk.segment()
    client.track("u", "E")
    ledger = client.flush(timeout=5)
    assert (ledger.delivered, len(desk.sink.exchanges)) == (1, 1)


def test_timeouts_are_seconds(desk: Desk) -> None:
    """``timeout=0.4`` gives up after four tenths of a second."""
    desk.sink.plan(rules.Run(rules.BLACK_HOLE))
    client = desk.segment(timeout=0.4)
    id_ = client.track("u", "E")
    client.flush(timeout=10)
    first, second = desk.sink.exchanges
    assert 0.3 <= second.at - first.at < 3
    assert desk.sink.accepted == {id_}


# -- one outcome each --------------------------------------------------------------------------


def test_closing_tells_what_was_waiting_to_be_retried(desk: Desk) -> None:
    """A memory journal ends with the client: each event fails by name, none silently."""
    told = Told()
    desk.sink.plan(rules.Always(rules.status(503)))
    client = desk.segment(callback=told)
    ids = [client.track(f"u{n}", "E") for n in range(600)]
    ledger = client.close(timeout=0.3)
    assert told.outcomes == Counter(ids)
    assert all(isinstance(error, ShutdownError) for _, error in told.failed)
    assert ledger.balanced
    assert sum(ledger.dead.values()) == 600


def test_closing_tells_of_every_rudderstack_node(desk: Desk) -> None:
    """Also of the buckets after the one that failed."""
    told = Told()
    desk.sink.plan(rules.Nodes(3), rules.Always(rules.status(503)))
    client = desk.rudder(callback=told)
    ids = [client.track(f"u{n}", "E") for n in range(100)]
    client.flush(timeout=0.5)
    client.close(timeout=0.3)
    assert told.outcomes == Counter(ids)


def test_closing_tells_of_what_is_under_way(desk: Desk) -> None:
    """A request that gets no answer before a memory journal ends: its events are told as dead."""
    told = Told()
    desk.sink.plan(rules.Always(rules.Answer(wait_s=5)))
    client = desk.segment(journal=None, callback=told)
    ids = [client.track(f"u{n}", "E") for n in range(3)]
    client.flush(timeout=0.2)
    ledger = client.close(timeout=0.1)
    assert told.outcomes == Counter(ids)
    assert ledger.dead == {"closed": 3}
    assert ledger.balanced


def test_a_change_of_nodes_neither_loses_nor_repeats(desk: Desk) -> None:
    """451 re-buckets exactly what was not delivered; each request holds one bucket."""
    nodes = rules.Nodes(3)
    desk.sink.plan(nodes)
    client = desk.rudder()
    ids = {client.track(f"u{n}", "E") for n in range(200)}
    client.flush(timeout=10)
    nodes.count = 5
    ids |= {client.track(f"u{n}", "E") for n in range(200)}
    client.flush(timeout=10)
    assert desk.sink.accepted == ids
    assert desk.sink.duplicates == {}
    targets = {e.request.headers["rs-targetnode"] for e in desk.sink.exchanges if e.stored}
    assert targets == {"0", "1", "2", "3", "4"}


def test_endless_rerouting_holds_no_close(desk: Desk) -> None:
    """A proxy that always answers 451 costs a close its deadline, no more."""
    stubborn = rules.Nodes(3)
    desk.sink.plan(lambda e: stubborn(e) if e.request.method == "GET" else rules.status(451))
    client = desk.rudder()
    client.track("u", "E")
    began = time.monotonic()
    client.close(timeout=0.5)
    assert time.monotonic() - began < 1.0


def test_every_message_has_exactly_one_outcome(desk: Desk) -> None:
    """Delivered, rejected, too large, refused by a hook: said once each."""

    def hook(message: dict[str, Any]) -> dict[str, Any]:
        if message["event"] == "Hooked":
            raise ValueError
        return message

    told = Told()
    desk.sink.plan(rules.Run(rules.status(500), rules.LOST_ANSWER), rules.poison({"Poison"}))
    client = desk.segment(callback=told, before_send=hook)
    names = ["Fine"] * 40 + ["Poison"] + ["Fine"] * 40 + ["Hooked", "Huge", "Poison"]
    blob = {"blob": "x" * 40_000}
    ids = [client.track("u", name, blob if name == "Huge" else {}) for name in names]
    ledger = client.close(timeout=10)
    assert told.outcomes == Counter(ids)
    assert ledger.dead == {"rejected": 2, "hook_failed": 1, "too_large": 1}
    assert (ledger.delivered, ledger.balanced) == (80, True)


def test_a_rejected_event_costs_only_itself(desk: Desk) -> None:
    """A 400 is bisected down to the poison event; the other 249 are delivered."""
    desk.sink.plan(rules.poison({"Poison"}))
    client = desk.segment()
    ids = {client.track("u", "Fine") for _ in range(249)}
    client.track("u", "Poison")
    ledger = client.flush(timeout=10)
    assert desk.sink.accepted == ids
    assert ledger.dead == {"rejected": 1}


def test_an_oversize_event_does_not_hold_a_flush(desk: Desk) -> None:
    """It is counted and told at once; the flush has nothing to wait for."""
    told = Told()
    client = desk.segment(callback=told)
    client.track("u", "Huge", {"blob": "x" * 40_000})
    fine = client.track("u", "Fine")
    began = time.monotonic()
    ledger = client.flush(timeout=10)
    assert time.monotonic() - began < 5
    assert ledger.dead == {"too_large": 1}
    assert desk.sink.accepted == {fine}
    ((_, error),) = told.failed
    assert getattr(error, "reason", None) == "too_large"


# -- threads and ends --------------------------------------------------------------------------


def test_closing_ends_every_sender(desk: Desk) -> None:
    """All threads a client started, however many there are."""
    before = set(threading.enumerate())
    desk.sink.plan(rules.Always(rules.Answer(wait_s=0.05)))
    client = desk.segment(concurrency=8, batch_size=20)
    ids = {client.track("u", "E") for _ in range(800)}
    client.close(timeout=20)
    assert desk.sink.accepted == ids
    deadline = time.monotonic() + 5
    while left := [t for t in threading.enumerate() if t not in before and "penstock" in t.name]:
        assert time.monotonic() < deadline, left
        left[0].join(0.1)


def test_leaving_the_program_delivers(host: Host) -> None:
    """No flush, no close: a short script's events arrive."""
    host.run("end_with.py", "plain", 10)
    host.reconcile(10)


def test_a_forked_child_neither_hangs_nor_repeats(host: Host) -> None:
    """The child's own events arrive, the parent's arrive once."""
    host.run("fork_both.py", "tracked", "closed", 20)
    host.reconcile(60)


def test_a_full_journal_is_told(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Counted, told to the callback, and warned about once, not once per event."""
    told = Told()
    desk.sink.plan(rules.Always(rules.BLACK_HOLE))
    client = desk.segment(callback=told, journal_max_bytes=256 * 1024)
    with caplog.at_level(logging.WARNING, "penstock"):
        for _ in range(2000):
            client.track("u", "E", {"text": "x" * 400})
    dead = client.ledger().dead["queue_full"]
    assert 0 < dead < 2000
    assert sum(getattr(e, "reason", "") == "queue_full" for _, e in told.failed) == dead
    warnings = [r for r in caplog.records if "full" in r.getMessage() or "dead" in r.getMessage()]
    assert len(warnings) == 1
    assert client.ledger().balanced


def test_a_full_journal_raises_in_the_call_when_asked_to(desk: Desk) -> None:
    """``strict``: the caller knows at once."""
    desk.sink.plan(rules.Always(rules.BLACK_HOLE))
    client = desk.segment(strict=True, journal_max_bytes=256 * 1024)

    def fill() -> None:
        for _ in range(2000):
            client.track("u", "E", {"text": "x" * 400})

    with pytest.raises(QueueFullError):
        fill()


# -- privacy and precedence --------------------------------------------------------------------


def test_a_hook_that_fails_drops_the_event(desk: Desk) -> None:
    """Fail closed: what was to be redacted does not leave."""
    told = Told()

    def redact(message: dict[str, Any]) -> dict[str, Any]:
        raise KeyError(message["event"])

    client = desk.segment(before_send=redact, callback=told)
    client.track("u", "Secret")
    ledger = client.flush(timeout=5)
    assert desk.sink.exchanges == []
    assert ledger.dead == {"hook_failed": 1}
    assert len(told.failed) == 1


def test_a_configured_proxy_is_used(desk: Desk) -> None:
    """The request goes to the proxy, with the full address in its first line."""
    destination = Segment(KEY, endpoint="http://127.0.0.1:9")
    client = desk.client(destination, proxy=desk.sink.url)
    id_ = client.track("u", "E")
    client.flush(timeout=10)
    assert desk.sink.accepted == {id_}
    assert desk.sink.exchanges[0].request.path == "http://127.0.0.1:9/v1/batch"
