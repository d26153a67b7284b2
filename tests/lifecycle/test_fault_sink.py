"""The sink itself, spoken to over plain sockets: a harness that lies proves nothing."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from faults import rules

if TYPE_CHECKING:
    from faults.sink import FaultSink


def segment(*ids: str, **extra: Any) -> dict[str, Any]:
    """A Segment body."""
    return {"batch": [{"type": "track", "messageId": i, "event": i, **extra} for i in ids]}


def post(
    sink: FaultSink, body: Any, path: str = "/v1/batch", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=5)
    try:
        connection.request("POST", path, data, named)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_every_wire_format_is_reconciled_by_its_own_id(sink: FaultSink) -> None:
    """Segment, RudderStack, single calls, PostHog legacy and V1 all count by id."""
    post(sink, segment("s1", "s2"))
    post(sink, gzip.compress(json.dumps(segment("r1")).encode()), Content_Encoding="gzip")
    post(sink, {"type": "track", "messageId": "single"}, "/v1/track")
    post(sink, {"api_key": "k", "batch": [{"uuid": "p1", "event": "e"}]}, "/batch/")
    post(sink, {"batch": [{"uuid": "v1", "event": "e"}]}, "/i/v1/analytics/events")
    assert sink.accepted == {"s1", "s2", "r1", "single", "p1", "v1"}
    assert sink.duplicates == {}


def test_a_second_arrival_is_a_duplicate(sink: FaultSink) -> None:
    """The excess is counted, not the total."""
    for _ in range(3):
        post(sink, segment("a"))
    assert sink.duplicates == {"a": 2}


def test_chunked_bodies_are_read(sink: FaultSink) -> None:
    """Transfer-Encoding: chunked is what a streaming client sends."""
    connection = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=5)
    data = json.dumps(segment("chunky")).encode()
    connection.request("POST", "/v1/batch", iter([data[:10], data[10:]]), encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    assert sink.accepted == {"chunky"}


@pytest.mark.parametrize("body", [b'{"batch": [{"messageId": "n", "x": NaN}]}', b"{"])
def test_what_is_not_json_is_refused_whole(sink: FaultSink, body: bytes) -> None:
    """As a strict server does: a bare NaN costs the batch."""
    status, _, _ = post(sink, body)
    assert (status, sink.accepted) == (400, set())


def test_a_run_of_answers_ends_in_acceptance(sink: FaultSink) -> None:
    """Three 500s, then 200."""
    sink.plan(rules.Run(*[rules.status(500)] * 3))
    assert [post(sink, segment("a"))[0] for _ in range(4)] == [500, 500, 500, 200]
    assert sink.accepted == {"a"}
    assert sink.duplicates == {}


def test_retry_after_comes_in_both_forms(sink: FaultSink) -> None:
    """Seconds and an HTTP date."""
    sink.plan(
        rules.Run(
            rules.status(429, retry_after="2"),
            rules.status(429, retry_after=rules.http_date(2)),
        )
    )
    assert post(sink, segment("a"))[1]["Retry-After"] == "2"
    assert post(sink, segment("a"))[1]["Retry-After"].endswith("GMT")


def test_a_reset_mid_body_stores_nothing(sink: FaultSink) -> None:
    """The client sees a reset while it still has half of the body to send."""
    sink.plan(rules.Run(rules.RESET_MID_BODY))
    with pytest.raises(ConnectionError):
        post(sink, segment(*(f"id-{i}" for i in range(5000))))
    assert sink.accepted == set()


def test_a_lost_answer_stores_the_batch(sink: FaultSink) -> None:
    """Accepted, and the client cannot know: the case that makes duplicates."""
    sink.plan(rules.Run(rules.LOST_ANSWER))
    with pytest.raises(ConnectionError):
        post(sink, segment("a"))
    sink.wait_for_events(1)
    post(sink, segment("a"))
    assert sink.duplicates == {"a": 1}


def test_a_black_hole_takes_and_never_answers(sink: FaultSink) -> None:
    """Until the sink stops: then the connection ends."""
    sink.plan(rules.Always(rules.BLACK_HOLE))
    with socket.create_connection(("127.0.0.1", sink.port)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        sink.wait_for_requests(1)
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        sink.stop()
        client.settimeout(5)
        assert client.recv(1) == b""
    assert sink.accepted == set()


@pytest.mark.parametrize("ending", ["cut", "reset_mid_answer"])
def test_half_an_answer_stores_the_batch(sink: FaultSink, ending: rules.Ending) -> None:
    """The client reads some of it, then an end or a reset."""
    sink.plan(rules.Run(rules.Answer(body=b"x" * 500, ending=ending)))
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        post(sink, segment("a"))
    assert sink.accepted == {"a"}
    assert sink.exchanges[0].doubtful


def test_an_answer_may_come_a_byte_at_a_time(sink: FaultSink) -> None:
    """Slowly, and whole."""
    sink.plan(rules.Run(rules.Answer(pace_s=0.002)))
    began = time.monotonic()
    assert post(sink, segment("a"))[0] == 200
    assert time.monotonic() - began >= 0.1


def test_a_length_may_be_a_lie(sink: FaultSink) -> None:
    """More is announced than comes."""
    sink.plan(rules.Run(rules.Answer(length=1000, ending="close")))
    with pytest.raises(http.client.IncompleteRead):
        post(sink, segment("a"))


def test_headers_may_have_no_end(sink: FaultSink) -> None:
    """Until the client has had enough."""
    sink.plan(rules.Run(rules.Answer(body=b"", ending="endless")))
    with pytest.raises(http.client.HTTPException):
        post(sink, segment("a"))


def test_a_connection_may_be_met_with_a_reset_or_with_silence(sink: FaultSink) -> None:
    """Before a byte was read; afterwards as usual."""
    sink.welcome = "reset"
    with pytest.raises(ConnectionError):
        post(sink, segment("a"))
    sink.welcome = "hang"
    with socket.create_connection(("127.0.0.1", sink.port), timeout=0.2) as client:
        client.sendall(b"POST / HTTP/1.1\r\n")
        with pytest.raises(TimeoutError):
            client.recv(1)
    sink.welcome = "serve"
    post(sink, segment("b"))
    assert sink.accepted == {"b"}


def test_a_slow_answer_is_slow(sink: FaultSink) -> None:
    """The wait is between the request and its answer."""
    sink.plan(rules.Run(rules.Answer(wait_s=0.3)))
    began = time.monotonic()
    post(sink, segment("a"))
    assert time.monotonic() - began >= 0.3


def test_size_and_poison_decide_by_content(sink: FaultSink) -> None:
    """413 above a size, 400 for any batch that holds the poison event."""
    sink.plan(rules.too_large(200), rules.poison({"bad"}))
    assert post(sink, segment(*"abcdefgh"))[0] == 413
    assert post(sink, segment("good", "bad"))[0] == 400
    assert post(sink, segment("good"))[0] == 200
    assert sink.accepted == {"good"}


def test_verdicts_store_what_they_accept(sink: FaultSink) -> None:
    """PostHog V1: per event, and a retry becomes an ok in its own time."""
    sink.plan(rules.Verdicts({"later": ["retry", "ok"], "never": ["drop"]}))
    batch = [{"uuid": name, "event": name} for name in ("fine", "later", "never")]
    _, _, first = post(sink, {"batch": batch}, "/i/v1/analytics/events")
    assert [r["result"] for r in json.loads(first)["results"].values()] == ["ok", "retry", "drop"]
    assert sink.accepted == {"fine"}
    post(sink, {"batch": batch[1:2]}, "/i/v1/analytics/events")
    assert sink.accepted == {"fine", "later"}


def test_nodes_answer_451_to_a_stale_count(sink: FaultSink) -> None:
    """RudderStack's proxy, which tells the count to whoever asks."""
    sink.plan(rules.Nodes(3))
    assert post(sink, segment("a"), RS_nodeCount="1")[0] == 451
    with urllib.request.urlopen(f"{sink.url}/cluster-info") as answer:
        assert json.load(answer) == {"nodeCount": 3}
    assert post(sink, segment("a"), RS_nodeCount="3")[0] == 200
    assert sink.accepted == {"a"}


def test_it_stops_and_comes_back_on_the_same_port(sink: FaultSink) -> None:
    """An outage refuses connections; afterwards the address is the old one."""
    post(sink, segment("before"))
    port = sink.port
    sink.stop()
    with pytest.raises(ConnectionRefusedError):
        post(sink, segment("during"))
    sink.start()
    assert sink.port == port
    post(sink, segment("after"))
    assert sink.accepted == {"before", "after"}


def test_hooks_run_on_both_sides_of_the_answer(sink: FaultSink) -> None:
    """What a test needs to kill a client in the window between the two."""
    seen: list[tuple[str, bool]] = []
    answer = rules.Answer(
        before=lambda exchange: seen.append(("before", exchange.answered)),
        after=lambda exchange: seen.append(("after", exchange.answered)),
    )
    sink.plan(rules.Run(answer))
    post(sink, segment("a"))
    sink.wait(lambda: len(seen) == 2)
    assert seen == [("before", False), ("after", True)]
