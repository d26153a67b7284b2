"""Delivery as a client's events see it: retries, splitting, verdicts, fan-out, order, ledgers."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from penstock import (
    Client,
    Config,
    DeliveryError,
    Dreamdata,
    PostHog,
    Retry,
    RudderStack,
    Segment,
    ShutdownError,
    TransportError,
)
from penstock.transport import Request, Response
from penstock.transport.memory import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Iterator

FAST = Retry(base=0.001, cap=0.01)


class Told:
    """A callback that remembers."""

    def __init__(self) -> None:
        self.delivered: list[str] = []
        self.dead: list[tuple[str, DeliveryError]] = []

    def success(self, message: dict[str, Any]) -> None:
        self.delivered.append(message["messageId"])

    def failure(self, message: dict[str, Any], error: DeliveryError) -> None:
        self.dead.append((message["messageId"], error))


Open = "Callable[..., Client]"


@pytest.fixture(params=["disk", "memory"])
def open_client(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Any]:
    """A client on either journal; closed at the end."""
    clients = []

    def build(*destinations: Any, **settings: Any) -> Client:
        settings = {"retry": FAST, "interval": 60.0} | settings
        settings["journal"] = tmp_path if request.param == "disk" else None
        clients.append(Client(*(destinations or [Segment("k")]), config=Config(**settings)))
        return clients[-1]

    yield build
    for client in clients:
        client.close(0.0)


def ids(request: Request) -> list[str]:
    return [m.get("messageId") or m["uuid"] for m in msgspec.json.decode(request.body)["batch"]]


def names(body: Any) -> list[str]:
    return [message["event"] for message in body["batch"]]


def test_events_arrive_in_batches_in_order(open_client: Any) -> None:
    """Batches of the size asked for, every event once, in the order captured."""
    transport = MemoryTransport()
    client = open_client(transport=transport, batch_size=10, concurrency=1)
    for number in range(95):
        client.track("u1", f"e{number}")
    ledger = client.flush()
    assert [name for body in transport.bodies for name in names(body)] == [
        f"e{number}" for number in range(95)
    ]
    assert max(len(body["batch"]) for body in transport.bodies) == 10
    assert ledger.delivered == ledger.accepted == 95
    assert ledger.balanced


def test_a_full_batch_is_sent_without_waiting_for_the_interval(open_client: Any) -> None:
    """Count triggers; the interval here is a minute."""
    transport = MemoryTransport()
    client = open_client(transport=transport, batch_size=5)
    for _ in range(5):
        client.track("u1", "e")
    (sent,) = transport.wait_for(1)
    assert len(sent.json["batch"]) == 5


def test_bytes_trigger_a_batch_too(open_client: Any) -> None:
    """What fills the request's bytes is sent, long before the count is reached."""
    transport = MemoryTransport()
    client = open_client(transport=transport, max_batch_bytes=40_000)
    for _ in range(6):
        client.track("u1", "e", {"x": "y" * 9_000})
    first = transport.wait_for(1)[0]
    assert len(first.body) <= 40_000
    assert 3 <= len(first.json["batch"]) <= 4


def test_the_interval_sends_what_there_is(open_client: Any) -> None:
    """One event waits for company no longer than the interval."""
    transport = MemoryTransport()
    client = open_client(transport=transport, interval=0.05)
    client.track("u1", "e")
    transport.wait_for(1)
    client.track("u1", "f")
    assert names(transport.wait_for(2)[1].json) == ["f"]


def test_transient_failures_are_retried_with_the_same_ids(open_client: Any) -> None:
    """Three 500s, a timeout and a 429, then success: delivered once, ids and times unchanged."""
    script = [500, 503, TransportError("timeout"), 429, 500, 200]
    transport = MemoryTransport(script)
    client = open_client(transport=transport)
    message_id = client.track("u1", "e")
    ledger = client.flush(20)
    bodies = transport.bodies
    assert len(bodies) == len(script)
    assert {message["messageId"] for body in bodies for message in body["batch"]} == {message_id}
    assert len({body["batch"][0]["timestamp"] for body in bodies}) == 1
    assert ledger.delivered == 1
    assert ledger.balanced


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (503, "HTTP 503"),
        (TransportError("tls", "certificate has expired"), "tls: certificate has expired"),
        (TransportError("dns"), "dns"),
    ],
)
def test_the_log_says_why_nothing_is_delivered(
    open_client: Any, caplog: Any, reply: Any, words: str
) -> None:
    """Once, with what whoever reads it needs to mend it."""
    client = open_client(transport=MemoryTransport([reply, 200]))
    client.track("u1", "e")
    assert client.flush(10).delivered == 1
    (said,) = (record.getMessage() for record in caplog.records if "take events" in record.msg)
    assert f"({words});" in said


def test_retry_after_holds_the_next_request_back(open_client: Any) -> None:
    """Nothing is sent before the time the server named, not even for a flush."""
    moments: list[float] = []
    import time

    def answer(_request: Request) -> Response:
        moments.append(time.monotonic())
        limited = len(moments) == 1
        headers = {"retry-after": "1"} if limited else {}
        return Response(429 if limited else 200, headers, b"")

    client = open_client(transport=MemoryTransport(answer))
    client.track("u1", "e")
    assert client.flush().delivered == 1
    assert moments[1] - moments[0] >= 1.0


@pytest.mark.parametrize("status", [401, 403, 404, 410, 451, 501])
def test_final_answers_are_asked_once_and_dead(open_client: Any, status: int) -> None:
    """No useless uploads; the callback and the ledger say why."""
    told, transport = Told(), MemoryTransport([status])
    client = open_client(transport=transport, callback=told)
    message_id = client.track("u1", "e")
    ledger = client.flush()
    assert len(transport.sent) == 1
    assert ledger.dead == {"rejected": 1}
    assert ledger.balanced
    ((dead_id, error),) = told.dead
    assert dead_id == message_id
    assert (error.reason, error.destination, error.status) == ("rejected", "Segment", status)


def test_a_poison_event_dies_alone(open_client: Any) -> None:
    """A 400 is bisected: 249 of 250 are delivered, the one is dead."""
    told = Told()

    def answer(request: Request) -> int:
        return 400 if b"poison" in request.body else 200

    client = open_client(transport=MemoryTransport(answer), callback=told)
    for number in range(250):
        client.track("u1", "poison" if number == 77 else "e")
    ledger = client.flush()
    assert (ledger.delivered, ledger.dead) == (249, {"rejected": 1})
    assert ledger.balanced
    assert len(set(told.delivered)) == len(told.delivered) == 249


def test_a_batch_that_is_too_large_for_the_server_is_halved(open_client: Any) -> None:
    """413 halves until it fits; a single message that does not fit is dead."""

    def answer(request: Request) -> int:
        return 413 if len(request.body) > 3_000 else 200

    client = open_client(transport=MemoryTransport(answer))
    for _ in range(40):
        client.track("u1", "e", {"x": "y" * 200})
    client.track("u1", "e", {"x": "y" * 5_000})
    ledger = client.flush()
    assert (ledger.delivered, ledger.dead) == (40, {"too_large": 1})
    assert ledger.balanced


def test_verdicts_are_honoured_event_by_event(open_client: Any) -> None:
    """PostHog V1: only what asked for it is sent again; same batch id, next attempt number."""
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        seen.append(request)
        results = {}
        for message in msgspec.json.decode(request.body)["batch"]:
            name = message["event"]
            again = name == "later" and len(seen) == 1
            word = "retry" if again else "drop" if name == "bad" else "ok"
            results[message["uuid"]] = {"result": word, "details": "because"}
        return Response(200, {}, msgspec.json.encode({"results": results}))

    told = Told()
    client = open_client(
        PostHog("phc_k", capture_mode="v1"), transport=MemoryTransport(answer), callback=told
    )
    for name in ("good", "bad", "later"):
        client.capture(name, "u1")
    ledger = client.flush()
    assert (ledger.delivered, ledger.dead) == (2, {"rejected": 1})
    second = msgspec.json.decode(seen[1].body)
    assert [message["event"] for message in second["batch"]] == ["later"]
    assert [r.headers["PostHog-Attempt"] for r in seen] == ["1", "2"]
    assert len({r.headers["PostHog-Request-Id"] for r in seen}) == 1
    assert "because" in str(told.dead[0][1])


def test_rerouting_sends_exactly_what_was_not_delivered(open_client: Any) -> None:
    """RudderStack's 451: the node count is learnt, messages are bucketed again, none is lost."""
    taken: Counter[str] = Counter()
    first: list[int] = []

    def answer(request: Request) -> Response:
        if request.url.endswith("/cluster-info"):
            return Response(200, {}, b'{"nodeCount":3}')
        if not first:
            first.append(1)
            return Response(451, {}, b"")
        taken.update(ids(request._replace(body=inflate(request))))
        nodes.add((request.headers["RS-targetNode"], request.headers["RS-nodeCount"]))
        return Response(200, {}, b"ok")

    nodes: set[tuple[str, str]] = set()
    destination = RudderStack("k", "https://rs.example")
    client = open_client(destination, transport=MemoryTransport(answer))
    sent = [client.track(f"u{number}", "e") for number in range(50)]
    assert client.flush().delivered == 50
    assert taken == Counter(sent)
    assert nodes == {("0", "3"), ("1", "3"), ("2", "3")}


def inflate(request: Request) -> bytes:
    from penstock.transport.compression import decompress

    codec = request.headers.get("Content-Encoding")
    return decompress(request.body, codec, 1 << 24) if codec else request.body


def test_destinations_do_not_wait_for_each_other(open_client: Any) -> None:
    """One hangs: the other has everything, and each has its own account."""
    gate = threading.Event()

    def answer(request: Request) -> int:
        if "dreamdata" in request.url:
            gate.wait(20)
        return 200

    client = open_client(Segment("k"), Dreamdata("k"), transport=MemoryTransport(answer))
    for _ in range(10):
        client.track("u1", "e")
    ledger = client.flush(0.5)
    gate.set()
    assert ledger.destinations["Segment"].delivered == 10
    assert ledger.destinations["Dreamdata"].pending == 10
    assert ledger.balanced
    assert client.flush().destinations["Dreamdata"].delivered == 10


def test_integrations_choose_among_destinations(open_client: Any) -> None:
    """A tool that is switched off does not get the event; a platform does, with the flags."""
    transport = MemoryTransport()
    client = open_client(Segment("k"), PostHog("phc_k"), transport=transport)
    client.track("u1", "both")
    client.track("u1", "segment only", integrations={"All": False})
    client.track("u1", "posthog only", integrations={"Segment": False})
    ledger = client.flush()
    accepted = {name: account.accepted for name, account in ledger.destinations.items()}
    assert accepted == {"Segment": 2, "PostHog": 2}
    assert ledger.balanced
    by_host: dict[str, list[str]] = {"segment": [], "posthog": []}
    for sent in transport.sent:
        host = "segment" if "segment" in sent.request.url else "posthog"
        by_host[host] += names(sent.json)
    assert by_host == {"segment": ["both", "segment only"], "posthog": ["both", "posthog only"]}


def test_one_users_events_keep_their_order_under_failures(open_client: Any) -> None:
    """``ordering="user"``: retries of a batch hold that user's later ones back."""
    order: dict[str, list[int]] = {}
    lock = threading.Lock()
    failures = Counter[str]()

    def answer(request: Request) -> int:
        batch = msgspec.json.decode(request.body)["batch"]
        first = batch[0]["messageId"]
        with lock:
            failures[first] += 1
            if failures[first] < 3:
                return 500
            for message in batch:
                order.setdefault(message["userId"], []).append(message["properties"]["n"])
        return 200

    client = open_client(
        transport=MemoryTransport(answer), batch_size=7, concurrency=4, ordering="user"
    )
    for number in range(200):
        client.track(f"u{number % 5}", "e", {"n": number})
    assert client.flush(30).delivered == 200
    for user, numbers in order.items():
        assert numbers == sorted(numbers), user
        assert len(numbers) == 40


def test_memory_gives_up_after_all_attempts_and_says_so(tmp_path: Any) -> None:
    """Without a disk an outage ends in ``dead(retries_exhausted)`` after exactly the attempts."""
    del tmp_path
    told, transport = Told(), MemoryTransport(lambda _request: 500)
    config = Config(
        journal=None, transport=transport, callback=told,
        retry=Retry(attempts=3, base=0.001, cap=0.002),
    )  # fmt: skip
    client = Client(Segment("k"), config=config)
    client.track("u1", "e")
    ledger = client.flush(5)
    assert ledger.dead == {"retries_exhausted": 1}
    assert len(transport.sent) == 3
    assert told.dead[0][1].reason == "retries_exhausted"
    client.close()


def test_memory_ends_with_the_client_and_says_so() -> None:
    """What a memory journal still holds at close is dead, counted and told; nothing is silent."""
    told = Told()

    def answer(_request: Request) -> Response:
        raise TransportError("connect")

    config = Config(journal=None, transport=MemoryTransport(answer), callback=told)
    client = Client(Segment("k"), config=config)
    for _ in range(300):
        client.track("u1", "e")
    ledger = client.close(0.2)
    assert ledger.dead == {"closed": 300}
    assert ledger.balanced
    assert len(told.dead) == 300
    assert all(isinstance(error, ShutdownError) for _, error in told.dead)


def test_disk_keeps_what_an_outage_leaves(tmp_path: Any) -> None:
    """Server away for the whole life of one client: the next one delivers, ids unchanged."""
    down = MemoryTransport(lambda _request: TransportError("connect"))
    first = Client(Segment("k"), config=Config(journal=tmp_path, transport=down, retry=FAST))
    sent = [first.track("u1", "e") for _ in range(600)]
    ledger = first.close(0.3)
    assert (ledger.pending, ledger.balanced) == (600, True)
    up = MemoryTransport()
    second = Client(Segment("k"), config=Config(journal=tmp_path, transport=up))
    ledger = second.close(10)
    assert [m["messageId"] for body in up.bodies for m in body["batch"]] == sent
    assert (ledger.accepted, ledger.delivered) == (600, 600)


def test_a_stopped_worker_leaves_its_lanes_to_the_close(tmp_path: Any) -> None:
    """Worker and close would both remove a lane that is done; the second would find it gone."""
    down = MemoryTransport(lambda _request: TransportError("connect"))
    dead = Client(Segment("k"), config=Config(journal=tmp_path, transport=down))
    dead.track("u1", "e")
    dead.close(0.0)
    transport = MemoryTransport()
    client = Client(Segment("k"), config=Config(journal=tmp_path, transport=transport))
    assert client._engine is not None
    journal, worker = client._engine.journal, client._engine.worker
    (lane,) = journal.adopt()
    worker._attach(lane, adopted=True)
    worker._next_adoption = float("inf")
    while worker._crews[0].send_one():
        pass
    worker._stop()
    worker._look()
    assert [path.name for path in tmp_path.glob("*/lane-*")] != []
    assert client.close().balanced
    assert [path.name for path in tmp_path.glob("*/lane-*")] == []


def test_old_events_expire_by_capture_not_by_timestamp(open_client: Any) -> None:
    """Age counts from the call; a back-fill of old events is not old."""
    transport = MemoryTransport([TransportError("connect")] * 3)
    clock = _Clock()
    client = open_client(transport=transport, clock=clock, max_age=100.0)
    client.track("u1", "old news", timestamp="1997-01-01T00:00:00Z")
    assert client.flush().delivered == 1
    client = open_client(
        transport=MemoryTransport(lambda _request: TransportError("connect")),
        clock=clock,
        max_age=100.0,
        retry=Retry(base=0.02, cap=0.05, attempts=1000),
    )
    client.track("u1", "e")
    client.flush(0.1)
    clock.ahead = 60.0
    client.track("u1", "e")
    client.flush(0.1)
    assert client.ledger().pending == 2
    clock.ahead = 120.0
    ledger = client.flush(0.5)
    assert (ledger.dead, ledger.pending) == ({"expired": 1}, 1)
    clock.ahead = 200.0
    assert client.flush(2).dead == {"expired": 2}


class _Clock:
    """The real clock, ahead by some seconds of wall time."""

    ahead = 0.0

    def time(self) -> float:
        import time

        return time.time() + self.ahead

    def monotonic(self) -> float:
        import time

        return time.monotonic()


def test_a_raising_callback_is_contained(open_client: Any, caplog: Any) -> None:
    """The host's own bug stops neither delivery nor the account, and shows no payload."""

    class Broken:
        def success(self, message: dict[str, Any]) -> None:
            raise RuntimeError(str(message))

        failure = success  # type: ignore[assignment]

    client = open_client(transport=MemoryTransport(), callback=Broken())
    for _ in range(3):
        client.track("u1", "e", {"secret": "hunter2"})
    assert client.flush().delivered == 3
    assert "callback raised RuntimeError" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_transport_of_the_host_may_raise_anything(open_client: Any) -> None:
    """A bug in a custom transport is a failed attempt, no more."""
    client = open_client(transport=MemoryTransport([ValueError("bug"), 200]))
    client.track("u1", "e")
    assert client.flush().delivered == 1


def test_a_failure_of_our_own_costs_no_event(
    open_client: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """A bug between taking a batch and settling it: said, and the batch is sent again."""
    from penstock.delivery._sender import Sender

    real, failures = Sender.send, [RuntimeError("a bug")]

    def buggy(sender: Sender, pump: Any, job: Any) -> None:
        if failures:
            raise failures.pop()
        real(sender, pump, job)

    monkeypatch.setattr(Sender, "send", buggy)
    client = open_client(transport=MemoryTransport())
    client.track("u1", "e")
    assert client.flush().delivered == 1
    assert "a sender failed: RuntimeError" in caplog.text


def test_flush_returns_in_time_against_a_server_that_never_answers(open_client: Any) -> None:
    """The deadline holds, and the ledger says what is pending."""
    import time

    gate = threading.Event()
    client = open_client(transport=MemoryTransport(lambda _request: gate.wait(20) and 200))
    client.track("u1", "e")
    started = time.monotonic()
    ledger = client.flush(0.3)
    assert time.monotonic() - started < 0.3 + 0.25  # 50 ms promised; machines are shared
    gate.set()
    assert ledger.pending == 1


def test_a_slow_server_gets_requests_side_by_side(open_client: Any) -> None:
    """Up to ``concurrency`` at once, never more."""
    lock, now, most = threading.Lock(), [0], [0]
    gate = threading.Event()

    def answer(_request: Request) -> int:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            if now[0] == 3:
                gate.set()
        gate.wait(10)
        with lock:
            now[0] -= 1
        return 200

    client = open_client(transport=MemoryTransport(answer), batch_size=5, concurrency=3)
    for _ in range(50):
        client.track("u1", "e")
    assert client.flush().delivered == 50
    assert most[0] == 3


@pytest.mark.parametrize(
    ("waited_s", "senders"),
    [
        pytest.param(0.001, 1, id="a quick server"),
        pytest.param(0.02, 3, id="a slow server"),
        pytest.param(None, 3, id="the transport cannot tell"),
    ],
)
def test_what_the_program_takes_is_no_reason_for_more_requests_side_by_side(
    open_client: Any, monkeypatch: Any, waited_s: float | None, senders: int
) -> None:
    """A sender that waits for the interpreter would have more to wait for."""
    monkeypatch.setattr("penstock.delivery._crew.OVERDUE_S", 60.0)
    used = set()

    def answer(_request: Request) -> Response:
        used.add(threading.get_ident())
        time.sleep(0.02)  # the exchange, not the server
        return Response(200, {}, b"", waited_s)

    client = open_client(transport=MemoryTransport(answer), batch_size=1, concurrency=3)
    for _ in range(60):
        client.track("u1", "e")
    assert client.flush().delivered == 60
    assert len(used) == senders


def test_an_event_that_dies_at_the_door_is_told_for_every_destination(open_client: Any) -> None:
    """The ledger counts it for each, and so does the callback."""
    told = Told()
    transport = MemoryTransport()
    client = open_client(Segment("k"), Dreamdata("k"), transport=transport, callback=told)
    client.track("u1", "e", {"x": "y" * 40_000})
    assert client.ledger().dead == {"too_large": 2}
    assert [error.destination for _, error in told.dead] == ["Segment", "Dreamdata"]


def test_a_dead_letter_is_kept_with_its_reason(tmp_path: Any) -> None:
    """What will not be sent again lies in a file, whole."""
    config = Config(journal=tmp_path, transport=MemoryTransport([401]))
    client = Client(Segment("k"), config=config)
    message_id = client.track("u1", "e", {"x": 1})
    client.close()
    (file,) = tmp_path.glob("*/dead.jsonl")
    letter = msgspec.json.decode(file.read_bytes())
    assert letter["message"]["messageId"] == message_id
    assert (letter["destination"], letter["reason"], letter["status"]) == (
        "Segment",
        "rejected",
        401,
    )


def test_a_full_journal_follows_its_policy_and_loses_nothing_silently(open_client: Any) -> None:
    """Dropped events are counted and told; room makes the journal take events again."""
    told = Told()
    down = MemoryTransport(lambda _request: TransportError("connect"))
    client = open_client(transport=down, journal_max_bytes=1 << 20, callback=told)
    for _ in range(3_000):
        client.track("u1", "e", {"x": "y" * 1_000})
    ledger = client.ledger()
    assert ledger.accepted == 3_000
    assert ledger.dead["queue_full"] == len(told.dead) > 0
    assert ledger.balanced


def test_dropping_the_oldest_keeps_the_newest(open_client: Any) -> None:
    """With ``drop_oldest`` the last event is always in."""
    down = MemoryTransport(lambda _request: TransportError("connect"))
    client = open_client(transport=down, journal_max_bytes=1 << 20, overflow="drop_oldest")
    for _ in range(3_000):
        client.track("u1", "e", {"x": "y" * 1_000})
    ledger = client.ledger()
    assert ledger.dead["queue_full"] > 0
    assert ledger.pending > 300
    assert ledger.balanced


def test_a_journal_that_cannot_be_read_now_is_left_alone_for_a_while(
    open_client: Any, monkeypatch: Any
) -> None:
    """Without memory or descriptors each try may make it worse; nothing is lost by waiting."""
    client = open_client(transport=MemoryTransport(), retry=Retry(base=60.0, cap=60.0))
    client.track("u1", "e")
    lane, tries = client._engine.journal.lane, []
    real = lane.read_run

    def read(*args: Any) -> Any:
        tries.append(args)
        if len(tries) < 1_000:
            raise MemoryError
        return real(*args)

    monkeypatch.setattr(lane, "read_run", read)
    assert client.flush(0.5).pending == 1
    assert 1 <= len(tries) <= 8
    tries += [()] * 1_000
    assert client.flush().delivered == 1


@pytest.mark.parametrize("way", ["read", "read_run"])
def test_what_is_dropped_while_it_is_read_is_not_sent_as_well(
    open_client: Any, monkeypatch: Any, way: str
) -> None:
    """Room is made on the thread that tracks, between a sender's read and its handing out."""
    monkeypatch.setattr("penstock.journal._chain.FIRST_SEGMENT_BYTES", 1 << 16)
    transport = MemoryTransport()
    client = open_client(transport=transport, batch_size=1_000)
    for _ in range(900):
        client.track("u1", "e", {"x": "y" * 100})
    lane = client._engine.journal.lane
    real, dropped = getattr(lane, way), []
    monkeypatch.setattr(lane, "read_run", lambda *_: None)

    def read(*args: Any) -> Any:
        chunk = real(*args)
        dropped.append(lane.drop_oldest())
        return chunk

    monkeypatch.setattr(lane, way, read)
    ledger = client.flush()
    assert ledger.dead["queue_full"] == sum(dropped) > 100
    assert ledger.balanced
    sent = sum(len(body["batch"]) for body in transport.bodies)
    assert sent == ledger.delivered == 900 - sum(dropped)
