"""The transport that stays in memory."""

from __future__ import annotations

import threading

import pytest

from penstock.transport import Request, Response, Transport, TransportError
from penstock.transport.compression import compressed
from penstock.transport.memory import MemoryTransport

REQUEST = Request("POST", "https://h/v1/batch", {"Authorization": "Basic x"}, b'{"batch":[1]}')


def test_it_is_a_transport() -> None:
    """The protocol that delivery asks for."""
    assert isinstance(MemoryTransport(), Transport)


def test_it_says_yes_unless_told_otherwise() -> None:
    """200 for every request."""
    transport = MemoryTransport()
    assert [transport.send(REQUEST, 1).status for _ in range(3)] == [200] * 3


def test_a_script_is_gone_through_once() -> None:
    """Statuses, responses and errors, one per request, then 200."""
    busy = Response(429, {"retry-after": "2"}, b"")
    transport = MemoryTransport([500, busy, TransportError("reset")])
    assert transport.send(REQUEST, 1).status == 500
    assert transport.send(REQUEST, 1) is busy
    with pytest.raises(TransportError, match="reset"):
        transport.send(REQUEST, 1)
    assert transport.send(REQUEST, 1).status == 200


def test_a_function_answers_each_request() -> None:
    """By what is in it; None is 200."""
    transport = MemoryTransport(lambda request: 404 if request.method == "GET" else None)
    assert transport.send(REQUEST, 1).status == 200
    assert transport.send(REQUEST._replace(method="GET", body=b""), 1).status == 404


def test_what_was_sent_can_be_read() -> None:
    """Compressed bodies too, as bytes and as JSON; failures were sent as well."""
    transport = MemoryTransport([TransportError("timeout")])
    with pytest.raises(TransportError):
        transport.send(compressed(REQUEST, "gzip"), 1)
    transport.send(REQUEST._replace(method="GET", body=b""), 1)
    assert [request.method for request in transport.requests] == ["POST", "GET"]
    assert transport.sent[0].body == REQUEST.body
    assert transport.sent[0].json == {"batch": [1]}
    assert transport.bodies == [{"batch": [1]}]


def test_waiting_ends_with_the_request_or_the_time() -> None:
    """So that no test has to sleep."""
    transport = MemoryTransport()
    with pytest.raises(TimeoutError):
        transport.wait_for(1, timeout=0.01)
    thread = threading.Thread(target=transport.send, args=(REQUEST, 1))
    thread.start()
    assert len(transport.wait_for(1)) == 1
    thread.join()


def test_threads_lose_nothing() -> None:
    """Every request is recorded, every reply is used once."""
    transport = MemoryTransport([500] * 100)
    statuses: list[int] = []

    def work() -> None:
        statuses.extend(transport.send(REQUEST, 1).status for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(transport.sent) == 200
    assert sorted(statuses) == [200] * 100 + [500] * 100


def test_closing_is_remembered_and_nothing_is_shown() -> None:
    """Its repr has neither keys nor bodies."""
    transport = MemoryTransport()
    transport.send(REQUEST, 1)
    transport.close()
    assert transport.closed
    assert repr(transport) == "MemoryTransport(1 sent)"
