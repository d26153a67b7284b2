"""The front door: what a call does before delivery has anything to do with it."""

from __future__ import annotations

import asyncio
import gc
import pickle
import queue
import subprocess
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import penstock
from patience import wait_for
from penstock import (
    Client,
    ClosedError,
    Config,
    ConfigError,
    FieldError,
    MessageTooLargeError,
    Page,
    PostHog,
    Properties,
    QueueFullError,
    Segment,
    SerializationError,
    Track,
    TransportError,
    scoped,
)
from penstock.transport.memory import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def sent() -> MemoryTransport:
    return MemoryTransport()


@pytest.fixture
def make(sent: MemoryTransport) -> Iterator[Callable[..., Client]]:
    """Clients in memory, closed at the end."""
    clients: list[Client] = []

    def build(*destinations: Any, **settings: Any) -> Client:
        settings = {"journal": None, "interval": 60.0, "transport": sent} | settings
        clients.append(Client(*(destinations or [Segment("k")]), config=Config(**settings)))
        return clients[-1]

    yield build
    for client in clients:
        client.close(0.0)


def messages(client: Client, sent: MemoryTransport) -> list[dict[str, Any]]:
    client.flush()
    return [message for body in sent.bodies for message in body["batch"]]


# -- identity --------------------------------------------------------------------------------


def test_a_call_returns_the_id_that_is_sent(make: Any, sent: MemoryTransport) -> None:
    """A UUIDv7 by default, the caller's own, or one made from an idempotency key."""
    client = make()
    default = client.track("u1", "a")
    chosen = client.track("u1", "b", message_id="mine")
    derived = client.track("u1", "c", idempotency_key="order-7")
    again = client.track("u1", "d", idempotency_key="order-7")
    assert default[14] == "7"
    assert (chosen, derived) == ("mine", again)
    assert [m["messageId"] for m in messages(client, sent)] == [default, chosen, derived, again]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"message_id": "a", "idempotency_key": "b"}, "idempotency_key"),
        ({"message_id": " "}, "message_id"),
        ({"message_id": "x" * 100}, "message_id"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"timestamp": 1_700_000_000}, "timestamp"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"context": "home"}, "context"),
        ({"integrations": ["All"]}, "integrations"),
        ({"properties": 7}, "properties"),
    ],
)
def test_misuse_names_type_and_field(make: Any, arguments: dict[str, Any], field: str) -> None:
    """At the call, before anything is stored."""
    client = make()
    with pytest.raises(FieldError) as raised:
        client.track("u1", "a", **arguments)
    assert (raised.value.type, raised.value.field) == ("Track", field)
    assert client.ledger().accepted == 0


def test_a_snapshot_is_taken(make: Any, sent: MemoryTransport) -> None:
    """What the caller changes after the call is not sent, and nothing of his is changed."""
    client = make(default_context={"app": {"name": "shop"}})
    properties = {"items": [{"sku": "a"}]}
    context = {"ip": "203.0.113.7"}
    client.track("u1", "a", properties, context=context)
    properties["items"][0]["sku"] = "changed"
    (message,) = messages(client, sent)
    assert message["properties"] == {"items": [{"sku": "a"}]}
    assert message["context"] == {"app": {"name": "shop"}, "ip": "203.0.113.7"}
    assert context == {"ip": "203.0.113.7"}


# -- scope -----------------------------------------------------------------------------------


def test_a_scope_is_inherited_and_beaten_by_arguments(make: Any, sent: MemoryTransport) -> None:
    """Argument over inner scope over outer scope over the client's default; typed calls too."""
    client = make(default_context={"a": 1, "b": 1, "c": 1, "d": 1})
    with scoped(user_id="u1", context={"b": 2, "c": 2, "d": 2}, properties={"p": 1, "q": 1}):
        with scoped(anonymous_id="a1", context={"c": 3, "d": 3}, properties={"q": 2}):
            client.track(event="e", context={"d": 4}, properties={"r": 3})
            client.enqueue(Page(name="home"))
            client.track("u2", "e")
        client.enqueue(Track(user_id="u3", event="e"))
    first, second, third, fourth = messages(client, sent)
    assert first["context"] == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert first["properties"] == {"p": 1, "q": 2, "r": 3}
    assert (first["userId"], first["anonymousId"]) == ("u1", "a1")
    assert (second["type"], second["userId"], second["properties"]) == (
        "page",
        "u1",
        {"p": 1, "q": 2},
    )
    assert third["userId"] == "u2"
    assert (fourth["userId"], "anonymousId" in fourth) == ("u3", False)


def test_scopes_are_the_tasks_own(make: Any, sent: MemoryTransport) -> None:
    """Two tasks and two threads at once, nobody sees the other's user."""
    client = make()

    async def handle(user: str) -> None:
        with scoped(user_id=user):
            await asyncio.sleep(0)  # the others enter their scopes
            client.track(event=user)

    async def serve() -> None:
        await asyncio.gather(*(handle(f"t{number}") for number in range(10)))

    def work(user: str) -> None:
        with scoped(user_id=user):
            client.track(event=user)

    asyncio.run(serve())
    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = messages(client, sent)
    assert len(found) == 15
    assert all(message["event"] == message["userId"] for message in found)


def test_a_fresh_scope_inherits_nothing(make: Any) -> None:
    """For a request that must not see its surroundings."""
    client = make()
    with scoped(user_id="u1"), scoped(fresh=True), pytest.raises(FieldError):
        client.track(event="e")


# -- data ------------------------------------------------------------------------------------


def test_coerced_values_are_counted_told_and_sent(make: Any, sent: MemoryTransport) -> None:
    """The event survives its bad value; ledger and callback say what happened, not to what."""

    class Told:
        def __init__(self) -> None:
            self.seen: list[tuple[str, str]] = []

        def success(self, message: dict[str, Any]) -> None: ...
        def failure(self, message: dict[str, Any], error: Exception) -> None: ...

        def coerced(self, coercion: Any) -> None:
            self.seen.append((coercion.path, coercion.reason))

    told = Told()
    client = make(callback=told)
    client.track("u1", "e", {"good": 1, "bad": float("nan")})
    (message,) = messages(client, sent)
    assert message["properties"] == {"good": 1, "bad": None}
    assert told.seen == [("properties.bad", "not_finite")]
    assert client.ledger().coerced == {"not_finite": 1}
    assert client.ledger().balanced


def test_strict_raises_where_data_would_be_changed_or_dropped(make: Any) -> None:
    """Coercion, size and a full journal, each with its own error; nothing is stored."""
    client = make(strict=True, journal_max_bytes=1 << 18)
    with pytest.raises(SerializationError) as raised:
        client.track("u1", "e", {"a": [1, float("inf")]})
    assert raised.value.path == "properties.a[1]"
    with pytest.raises(MessageTooLargeError) as too_large:
        client.track("u1", "e", {"a": "x" * 40_000})
    assert too_large.value.limit == 32_768
    assert too_large.value.size > 40_000
    assert client.ledger().accepted == 0
    blocked = make(
        strict=True,
        journal_max_bytes=1 << 18,
        transport=MemoryTransport(lambda _request: TransportError("connect")),
    )

    def flood() -> None:
        for _ in range(1000):
            blocked.track("u1", "e", {"a": "x" * 1_000})

    with pytest.raises(QueueFullError):
        flood()


@pytest.mark.parametrize("over", [0, 1])
def test_the_size_limit_is_exact(make: Any, sent: MemoryTransport, over: int) -> None:
    """A message of exactly the limit is sent, one byte more is ``dead(too_large)``."""
    client = make(new_id=lambda: "m" * 36)
    client.track("u1", "e", {"a": ""})
    (small,) = messages(client, sent)
    filler = 32_768 - len(msgspec.json.encode(small)) + over
    client.track("u1", "e", {"a": "x" * filler})
    ledger = client.flush()
    assert ledger.dead == ({"too_large": 1} if over else {})
    assert ledger.accepted == 2
    assert ledger.balanced


def test_hooks_shape_drop_and_fail_closed(make: Any, sent: MemoryTransport, caplog: Any) -> None:
    """In order; a drop is counted; a hook that raises drops the event, never sends it as it was."""

    def redact(message: dict[str, Any]) -> dict[str, Any]:
        message["properties"] = {**message.get("properties", {}), "email": "…"}
        del message["messageId"]
        return message

    def choose(message: dict[str, Any]) -> dict[str, Any] | None:
        if message["event"] == "broken":
            raise RuntimeError(message["properties"])
        return None if message["event"] == "dropped" else message

    client = make(before_send=[redact, choose])
    given = {"email": "kim@example.test"}
    kept = client.track("u1", "kept", given)
    client.track("u1", "dropped", given)
    client.track("u1", "broken", {"email": "kim@example.test"})
    (message,) = messages(client, sent)
    assert (message["messageId"], message["properties"]) == (kept, {"email": "…"})
    assert given == {"email": "kim@example.test"}
    ledger = client.ledger()
    assert ledger.dead == {"hook_dropped": 1, "hook_failed": 1}
    assert ledger.balanced
    assert "kim@example.test" not in caplog.text


# -- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"interval": -1}, "interval"),
        ({"interval": float("nan")}, "interval"),
        ({"interval": True}, "interval"),
        ({"timeout": 0}, "timeout"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
        ({"batch_size": 2501}, "batch_size"),
        ({"max_message_bytes": -5}, "max_message_bytes"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": 33}, "concurrency"),
        ({"journal_max_bytes": 1}, "journal_max_bytes"),
        ({"max_age": -1}, "max_age"),
        ({"exit_timeout": float("inf")}, "exit_timeout"),
        ({"overflow": "explode"}, "overflow"),
        ({"ordering": "all"}, "ordering"),
        ({"fsync": "sometimes"}, "fsync"),
        ({"default_context": "home"}, "default_context"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], field: str) -> None:
    """With the field, the value and what would be right."""
    with pytest.raises(ConfigError) as raised:
        Config(**settings)
    assert raised.value.field == field
    assert raised.value.reason


def test_destinations_are_needed_and_must_differ() -> None:
    """None at all, or two of one name, can never work."""
    with pytest.raises(ConfigError, match="at least one"):
        Client(config=Config(journal=None))
    with pytest.raises(ConfigError, match="one name"):
        Client(Segment("a"), Segment("b"), config=Config(journal=None))


def test_what_a_destination_says_beats_the_client_beats_the_vendor(sent: MemoryTransport) -> None:
    """Three layers of one setting."""
    client = Client(
        Segment("a", batch_size=2),
        PostHog("phc_b"),
        config=Config(journal=None, transport=sent, batch_size=3, interval=60.0),
    )
    for _ in range(6):
        client.track("u1", "e")
    client.close()
    sizes: dict[str, set[int]] = {"segment": set(), "posthog": set()}
    for record in sent.sent:
        name = "posthog" if "posthog" in record.request.url else "segment"
        sizes[name].add(len(record.json["batch"]))
    assert sizes == {"segment": {2}, "posthog": {3}}


@pytest.mark.parametrize("how", ["key", "config", "environment", "no url"])
def test_a_disabled_client_does_nothing_and_says_so_once(
    how: str, monkeypatch: pytest.MonkeyPatch, caplog: Any, tmp_path: Path
) -> None:
    """No thread, no file, no request; calls return an empty id."""
    monkeypatch.setenv("PENSTOCK_JOURNAL", str(tmp_path))
    if how == "environment":
        monkeypatch.setenv("PENSTOCK_DISABLED", "1")
    if how == "no url":
        monkeypatch.delenv("PENSTOCK_URL", raising=False)
        client = Client.from_env()
    else:
        client = Client(
            Segment("" if how == "key" else "k"), config=Config(disabled=how == "config")
        )
    threads = threading.active_count()
    assert [client.track("u1", "e") for _ in range(3)] == ["", "", ""]
    assert client.flush().accepted == 0
    client.close()
    assert threading.active_count() == threads
    assert list(tmp_path.iterdir()) == []
    assert len(caplog.records) == 1


def test_a_client_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several destinations in one variable; keys do not show."""
    monkeypatch.setenv("PENSTOCK_URL", "segment://WK_secret@ posthog://phc_secret@eu.i.posthog.com")
    client = Client.from_env(Config(journal=None))
    assert [destination.name for destination in client.destinations] == ["Segment", "PostHog"]
    assert "secret" not in repr(client) + repr(client.destinations)
    client.close(0)


# -- life ------------------------------------------------------------------------------------


def test_construction_starts_nothing(tmp_path: Path) -> None:
    """No thread and no file before the first event."""
    threads = threading.active_count()
    client = Client(Segment("k"), config=Config(journal=tmp_path / "journal"))
    assert threading.active_count() == threads
    assert not (tmp_path / "journal").exists()
    client.close()
    assert not (tmp_path / "journal").exists()


def test_a_tiny_interval_sends_each_event_at_once_and_does_not_spin(
    sent: MemoryTransport,
) -> None:
    """Latency before throughput; an idle client still costs nothing."""
    config = Config(journal=None, transport=sent, interval=0.001)
    with Client(Segment("k"), config=config) as client:
        for number in range(3):
            client.track("u1", "e")
            sent.wait_for(number + 1)
        before = time.process_time()
        time.sleep(0.5)  # nothing to wait for: idling is what is measured
        assert time.process_time() - before < 0.2


def test_close_is_idempotent_and_ends_intake(make: Any) -> None:
    """The second close gives the same ledger; a call afterwards raises."""
    client = make()
    client.track("u1", "e")
    first = client.close()
    assert client.close() == first
    with pytest.raises(ClosedError):
        client.track("u1", "e")
    with pytest.raises(ClosedError):
        client.page("u1")


def test_context_managers_close(sent: MemoryTransport) -> None:
    """Both kinds deliver what is left."""
    config = Config(journal=None, transport=sent, interval=60.0)
    with Client(Segment("k"), config=config) as client:
        client.track("u1", "a")

    async def serve() -> None:
        async with Client(Segment("k"), config=config) as client:
            client.track("u1", "b")
            assert (await client.aflush()).delivered == 1

    asyncio.run(serve())
    assert [m["event"] for body in sent.bodies for m in body["batch"]] == ["a", "b"]


def test_trio_waits_too(sent: MemoryTransport) -> None:
    """The same coroutines under another event loop."""
    import trio

    async def serve() -> None:
        config = Config(journal=None, transport=sent, interval=60.0)
        async with Client(Segment("k"), config=config) as client:
            client.track("u1", "a")
            assert (await client.aflush()).delivered == 1

    trio.run(serve)


def test_a_pickled_client_is_a_new_one_with_the_same_settings() -> None:
    """What ``multiprocessing`` with spawn does."""
    client = Client(Segment("k", batch_size=7), config=Config(journal=None, concurrency=3))
    copy = pickle.loads(pickle.dumps(client))
    assert copy.config == client.config
    assert copy.destinations == client.destinations
    client.close()
    copy.close()


def test_a_forgotten_client_is_collected_and_its_events_delivered(sent: MemoryTransport) -> None:
    """Dropping the last reference loses nothing and leaves no thread."""
    client = Client(Segment("k"), config=Config(journal=None, transport=sent, interval=0.01))
    client.track("u1", "e")
    gone = weakref.ref(client)
    worker = client._engine.worker._thread if client._engine else None
    del client
    gc.collect()
    assert gone() is None
    sent.wait_for(1)
    assert worker is not None
    worker.join(10)
    assert not worker.is_alive()


@pytest.mark.parametrize("fsync", ["interval", "always"])
def test_fsync_levels_reach_the_disk(
    fsync: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: MemoryTransport
) -> None:
    """``always`` before the call returns, ``interval`` soon after it."""
    from penstock.journal._segment import DiskStore

    synced = threading.Event()
    real = DiskStore.sync
    monkeypatch.setattr(DiskStore, "sync", lambda *a: (real(*a), synced.set()))
    config = Config(journal=tmp_path, transport=sent, fsync=fsync, fsync_interval=0.01)
    with Client(Segment("k"), config=config) as client:
        client.track("u1", "e")
        if fsync == "always":
            assert synced.is_set()
        assert synced.wait(5)


def test_what_a_close_leaves_in_the_journal_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``interval``: no interval comes after the close, so the close is the last of them."""
    from penstock.journal._segment import DiskStore

    synced: queue.SimpleQueue[None] = queue.SimpleQueue()
    real = DiskStore.sync
    monkeypatch.setattr(DiskStore, "sync", lambda *a: (real(*a), synced.put(None)))
    down = MemoryTransport(lambda _request: 503)
    config = Config(journal=tmp_path, transport=down, fsync="interval", fsync_interval=3600.0)
    client = Client(Segment("k"), config=config)
    client.track("u1", "e")
    synced.get(timeout=5)
    client.track("u1", "e")
    client.close(timeout=0.0)
    synced.get(timeout=0)
    assert client.ledger().pending == 2


def test_a_disk_that_cannot_sync_is_told_of_and_costs_no_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: MemoryTransport, caplog: Any
) -> None:
    """``fsync="always"`` on a failing disk: no exception in the host, an error in its log."""
    from penstock.journal._segment import DiskStore

    def fail(*_arguments: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(DiskStore, "sync", fail)
    with Client(
        Segment("k"), config=Config(journal=tmp_path, transport=sent, fsync="always")
    ) as client:
        client.track("u1", "e")
        assert client.flush().delivered == 1
    assert "could not be synced" in caplog.text


def test_calls_while_another_thread_closes_end_in_one_of_two_ways(sent: MemoryTransport) -> None:
    """Accepted and accounted for, or `ClosedError`; nothing else."""
    client = Client(Segment("k"), config=Config(journal=None, transport=sent, interval=60.0))
    outcomes: list[str] = []

    def work() -> None:
        while True:
            try:
                outcomes.append(client.track("u1", "e"))
            except ClosedError:
                return

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(outcomes) >= 500, "calls that are under way")
    ledger = client.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert ledger.accepted == len(outcomes) == ledger.delivered


@pytest.mark.parametrize("place", ["coercions", "log"])
def test_what_interrupts_a_call_may_make_the_same_call(make: Any, place: str) -> None:
    """A finaliser or a signal handler runs between any two steps, also where a lock is held."""
    client = make()

    class Interrupted(dict[str, Any]):
        """Stands for the step in between."""

        def get(self, *args: Any) -> Any:
            vars(owner)[name] = dict(self)
            client.track("u1", "from a finaliser", {"odd": object()})
            return super().get(*args)

    owner, name = {
        "coercions": (client._coercions, "_counts"),
        "log": (client._log, "_last"),
    }[place]
    setattr(owner, name, Interrupted())
    worker = threading.Thread(target=client.track, args=("u1", "E", {"odd": object()}), daemon=True)
    worker.start()
    worker.join(timeout=10)
    assert not worker.is_alive(), "it waits for itself"


def test_a_catalogue_is_as_good_as_a_dict(make: Any, sent: MemoryTransport) -> None:
    """Typed properties arrive by their wire names."""
    client = make()
    client.enqueue(
        Track(user_id="u1", event="Order Completed", properties=Properties(revenue=99.99))
    )
    assert messages(client, sent)[0]["properties"] == {"revenue": 99.99}


def test_every_public_name_is_where_it_says() -> None:
    """Lazy names, imports for type checkers and ``__all__`` agree."""
    for name in penstock.__all__:
        assert getattr(penstock, name) is not None
    lazy = {name for names in penstock._HOMES.values() for name in names}
    assert lazy | {"__version__"} == set(penstock.__all__)
    with pytest.raises(AttributeError):
        _ = penstock.nothing_of_the_kind  # type: ignore[attr-defined]


def test_events_at_exit_are_kept(tmp_path: Path) -> None:
    """A handler that tracks after ours ran: the event lies in the journal, nothing is raised."""
    program = """
import atexit, sys
late = []
atexit.register(lambda: print(late[0].track("u1", "late") != ""))
from penstock import Client, Config, Segment, TransportError
from penstock.transport.memory import MemoryTransport
away = MemoryTransport(lambda request: TransportError("connect"))
client = Client(Segment("k"), config=Config(journal=sys.argv[1], transport=away, exit_timeout=0.1))
late.append(client)
client.track("u1", "early")
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"
    assert "Traceback" not in done.stderr
    transport = MemoryTransport()
    Client(Segment("k"), config=Config(journal=tmp_path, transport=transport)).close()
    events = [m["event"] for body in transport.bodies for m in body["batch"]]
    assert sorted(events) == ["early", "late"]
