"""The scope: what events inherit, who sees it, and what consent leaves of it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import inspect
import json
import logging
import multiprocessing
import pickle
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import Client, Config, FieldError, PostHog, RudderStack, Segment, scoped
from penstock._boundary import MAX_ID, Boundary, id_text
from penstock.flags.question import identity
from penstock.scope import CURRENT
from penstock.testing import MemoryClient, captured_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
def client() -> Iterator[MemoryClient]:
    with captured_client() as made:
        yield made


def last(client: MemoryClient) -> dict[str, Any]:
    return client.events[-1].raw


# -- who sees what ---------------------------------------------------------------------------


def test_an_event_inherits_the_request(client: MemoryClient) -> None:
    """Identity and facts of the boundary are in every event, for whichever vendor."""
    with client.request_context(
        user_id="u1",
        anonymous_id="device-1",
        session_id="s1",
        ip="203.0.113.9",
        user_agent="Browser/1",
        url="https://shop.example/a?b",
        referrer="https://else.example/",
        campaign={"source": "mail"},
        groups={"company": "acme"},
        tags={"plan": "pro"},
        method="POST",
    ):
        client.track(event="Paid")
    assert last(client) | {"timestamp": 0, "messageId": 0} == {
        "type": "track",
        "event": "Paid",
        "userId": "u1",
        "anonymousId": "device-1",
        "timestamp": 0,
        "messageId": 0,
        "context": {
            "sessionId": "s1",
            "ip": "203.0.113.9",
            "userAgent": "Browser/1",
            "page": {"url": "https://shop.example/a?b", "referrer": "https://else.example/"},
            "campaign": {"source": "mail"},
            "groups": {"company": "acme"},
            "groupId": "acme",
            "http": {"method": "POST"},
            "tags": {"plan": "pro"},
        },
    }


def test_a_lookup_goes_from_the_inside_out(client: MemoryClient) -> None:
    """Argument over inner block over outer block over boundary over the client's default."""
    with client.request_context(user_id="boundary", tags={"a": 1, "b": 1, "c": 1}):
        with client.context(user_id="outer", tags={"b": 2, "c": 2}):
            with client.context(user_id="inner", tags={"c": 3}, path="/x"):
                client.track(event="a")
                assert last(client)["userId"] == "inner"
                assert last(client)["context"] == {
                    "tags": {"a": 1, "b": 2, "c": 3},
                    "page": {"path": "/x"},
                }
            client.track(event="b")
            assert last(client)["userId"] == "outer"
        client.track("argument", "c")
        assert last(client)["userId"] == "argument"
        client.track(event="d")
        assert last(client)["userId"] == "boundary"


def test_a_block_adds_to_the_page_and_does_not_replace_it(client: MemoryClient) -> None:
    """`context(title=...)` inside a request keeps the request's URL."""
    with (
        client.request_context(url="https://shop.example/", method="GET"),
        client.context(title="Basket", status=200),
    ):
        client.track(event="e")
    assert last(client)["context"] == {
        "page": {"url": "https://shop.example/", "title": "Basket"},
        "http": {"method": "GET", "status": 200},
        "personless": True,
    }


def test_a_field_that_is_none_is_refused_where_it_is_written(client: MemoryClient) -> None:
    """A misspelt fact raises at the call."""
    with pytest.raises(FieldError, match="user_agnet"):
        client.context(user_agnet="x")  # type: ignore[call-arg]
    with pytest.raises(FieldError, match="shoe"):
        client.request_context(shoe=43)  # type: ignore[call-arg]


def test_a_child_task_s_context_never_leaks(client: MemoryClient) -> None:
    """Acceptance 13: what a child task puts over the scope, neither parent nor sibling sees."""

    async def child(name: str, started: asyncio.Event, go: asyncio.Event) -> None:
        with client.context(user_id=name):
            started.set()
            await go.wait()
            client.track(event=name)

    async def serve() -> None:
        with client.request_context(user_id="parent"):
            started, go = asyncio.Event(), asyncio.Event()
            task = asyncio.create_task(child("child", started, go))
            await started.wait()
            client.track(event="parent")
            go.set()
            await task
            client.track(event="after")

    asyncio.run(serve())
    seen = {event.event or "": event.user_id for event in client.events}
    assert seen == {"parent": "parent", "child": "child", "after": "parent"}


def test_set_user_in_a_thread_pool_is_seen_by_the_whole_request(client: MemoryClient) -> None:
    """Acceptance 13: the endpoint identifies, the middleware around it sees the user."""

    async def serve() -> None:
        with client.request_context():
            await asyncio.to_thread(client.set_user, "u9")
            client.track(event="e")

    asyncio.run(serve())
    client.assert_tracked("e", user_id="u9")


def test_concurrent_requests_are_isolated(client: MemoryClient) -> None:
    """Acceptance 13: a hundred at once, each with its user, its tag and its threads."""

    async def serve(number: int) -> None:
        with client.request_context():
            await asyncio.sleep(0)  # the others' turn
            await asyncio.to_thread(client.set_user, f"u{number}")
            client.tag("n", number)
            await asyncio.sleep(0)  # the others' turn
            client.track(event=f"u{number}")

    async def all_of_them() -> None:
        await asyncio.gather(*map(serve, range(100)))

    asyncio.run(all_of_them())
    assert len(client.events) == 100
    for event in client.events:
        assert event.event == event.user_id == f"u{event.context['tags']['n']}"


def test_nothing_of_a_request_is_left_behind(client: MemoryClient) -> None:
    """After the block there is no scope, also after an error."""
    with pytest.raises(ZeroDivisionError), client.request_context(user_id="u1"):
        _ = 1 / 0
    assert CURRENT.get() is None


def test_work_for_somebody_else_is_fresh(client: MemoryClient) -> None:
    """No id and no fact of the visitor goes with it, and consent of the visitor is not theirs."""
    with (
        client.request_context(user_id="visitor", ip="203.0.113.9", consent="off"),
        client.context(fresh=True, user_id="other"),
    ):
        client.track(event="e")
    assert last(client)["userId"] == "other"
    assert not {"context", "anonymousId"} & last(client).keys()


@pytest.mark.parametrize(
    ("visitor", "given", "device"),
    [(None, "u1", "device-1"), ("u1", "u1", "device-1"), ("u1", "u2", None)],
)
def test_a_device_is_never_put_beside_somebody_else(
    client: MemoryClient, visitor: str | None, given: str, device: str | None
) -> None:
    """An admin's device and a customer's id in one event would make one person of two."""
    with client.request_context(user_id=visitor, anonymous_id="device-1"):
        client.track(given, "a")
        client.identify(given, {"plan": "pro"})
    assert len(client.events) == 2
    for event in client.events:
        assert (event.user_id, event.anonymous_id) == (given, device)


def test_an_unknown_visitor_has_one_id_per_request_and_makes_no_person(
    client: MemoryClient,
) -> None:
    """The id is made up, never put beside a user's, and PostHog is told to make no profile."""
    with client.request_context():
        client.track(event="a")
        client.capture("b")
        client.track("u1", "c")
    first, second, third = client.events
    assert first.anonymous_id == second.anonymous_id
    assert first.context == second.context == {"personless": True}
    assert (third.anonymous_id, third.context) == (None, {})
    with client.request_context():
        client.track(event="d")
    assert client.events[-1].anonymous_id != first.anonymous_id


def test_flags_are_asked_for_nobody_that_was_made_up(client: MemoryClient) -> None:
    """The scope's user or device, and none where neither lasts beyond the request."""
    with client.request_context():
        assert identity(None) is None
    with client.request_context(anonymous_id="device-1"):
        assert identity(None) == "device-1"
        client.set_user(7)
        assert identity(None) == "7"
    with client.request_context(user_id="u1", anonymous_id="device-1", consent="anonymous"):
        assert identity(None) is None
    with scoped(anonymous_id="device-2"):
        assert identity(None) == "device-2"


def test_groups_are_not_personless(client: MemoryClient) -> None:
    """PostHog drops messages about profiles that say there is to be none."""
    with client.request_context():
        client.group(group_id="acme")
        client.group_identify("company", "acme", {"a": 1})
    assert [event.context for event in client.events] == [{}, {}]


def test_traits_are_of_somebody(client: MemoryClient) -> None:
    """An id that was made up for one request gets no traits; one that lasts does."""
    with client.request_context(), pytest.raises(FieldError):
        client.identify(traits={"plan": "pro"})
    with client.request_context(anonymous_id="device-1"):
        client.identify(traits={"plan": "pro"})
    assert client.events[-1].anonymous_id == "device-1"


def test_writing_outside_of_everything_does_nothing_and_says_so(
    client: MemoryClient, caplog: pytest.LogCaptureFixture
) -> None:
    """No scope is opened behind the program's back."""
    client.set_user("u1")
    client.tag("a", 1)
    assert CURRENT.get() is None
    assert client.anonymous_id() is None
    assert caplog.messages == [
        "set_user() is outside of any request, job or context: it does nothing"
    ]


def test_writing_inside_a_block_lasts_as_long_as_the_block(client: MemoryClient) -> None:
    """Without a request the current block takes it."""
    with client.context(tags={"a": 1}):
        with client.context():
            client.set_user("u1")
            client.set_session("s1")
            client.tag("b", 2)
            client.track(event="e")
        with pytest.raises(FieldError):
            client.track(event="nobody's")
    assert last(client)["userId"] == "u1"
    assert last(client)["context"] == {"sessionId": "s1", "tags": {"a": 1, "b": 2}}


# -- the user, found late --------------------------------------------------------------------


def test_the_user_is_asked_for_when_the_first_event_needs_it(client: MemoryClient) -> None:
    """Not before, once, and nobody is not remembered: a view may log somebody in."""
    answers: list[str | None] = ["u1", None]
    asked = []

    def find() -> str | None:
        asked.append(1)
        return answers.pop()

    with client.request_context(user_id=find):
        assert not asked
        client.track(event="before the login")
        client.track(event="after it")
        client.track(event="again")
    assert [event.user_id for event in client.events] == [None, "u1", "u1"]
    assert len(asked) == 2


def test_a_search_for_the_user_that_fails_costs_no_event(
    client: MemoryClient, caplog: pytest.LogCaptureFixture
) -> None:
    """It may raise, which is told by its kind, and it may capture an event itself."""

    def find() -> str:
        client.track(event="inner")
        raise RuntimeError("no database")

    with client.request_context(user_id=find):
        client.track(event="outer")
    assert [event.event for event in client.events] == ["inner", "outer"]
    assert caplog.messages == ["the user of a request or job could not be found: RuntimeError"]


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.floats(), st.binary()))
def test_any_value_is_an_id_or_none(value: object) -> None:
    """What a framework calls a user's key becomes text of a bounded length, or nothing."""
    found = id_text(value)
    assert found is None or (isinstance(found, str) and 0 < len(found) <= MAX_ID)


# -- functions of every kind -----------------------------------------------------------------


def test_the_decorator_keeps_every_kind_of_function(client: MemoryClient) -> None:
    """Plain, coroutine, generator and asynchronous generator: each step is inside the scope."""

    @client.scoped(user_id="u1")
    def plain() -> None:
        client.track(event="plain")

    @client.scoped(user_id="u1")
    async def coroutine() -> None:
        await asyncio.sleep(0)  # suspended in the scope
        client.track(event="coroutine")

    @scoped(user_id="u1")
    def generator() -> Iterator[int]:
        client.track(event="generator 1")
        with scoped(properties={"inner": True}):
            yield 1
            client.track(event="generator 2")

    @scoped(user_id="u1")
    async def agenerator() -> AsyncIterator[int]:
        client.track(event="agenerator 1")
        with scoped(properties={"inner": True}):
            yield 1
            await asyncio.sleep(0)  # suspended in the scope
            client.track(event="agenerator 2")

    assert inspect.iscoroutinefunction(coroutine)
    assert inspect.isgeneratorfunction(generator)
    assert inspect.isasyncgenfunction(agenerator)
    plain()
    for _ in generator():
        assert CURRENT.get() is None, "the caller sees nothing of a generator's scope"

    async def run() -> None:
        await coroutine()
        async for _ in agenerator():
            assert CURRENT.get() is None

    asyncio.run(run())
    assert {event.user_id for event in client.events} == {"u1"}
    assert [event.properties for event in client.events] == [
        {},
        {},
        {"inner": True},
        {},
        {},
        {"inner": True},
    ]


def test_a_decorated_generator_is_driven_like_any_other() -> None:
    """`send`, `throw`, `close` and the returned value reach it."""
    log: list[object] = []

    @scoped(user_id="u1")
    def generator() -> Any:
        try:
            log.append((yield 1))
            try:
                yield 2
            except KeyError:
                log.append("KeyError")
            yield 3
        finally:
            log.append("closed")
        return "end"

    steps = generator()
    assert (next(steps), steps.send("sent"), steps.throw(KeyError())) == (1, 2, 3)
    steps.close()
    assert log == ["sent", "KeyError", "closed"]

    def around() -> Any:
        log.append((yield from generator()))

    assert list(around()) == [1, 2, 3]
    assert log[-1] == "end"


def test_an_async_generator_closed_elsewhere_raises_nothing(client: MemoryClient) -> None:
    """The interpreter closes a forgotten one in another context, where nothing can be reset."""

    async def run() -> None:
        async def numbers() -> AsyncIterator[int]:
            with client.context(user_id="u1"):
                yield 1
                yield 2

        steps = numbers()
        await anext(steps)
        task = asyncio.create_task(steps.aclose())  # type: ignore[attr-defined]
        await task

    asyncio.run(run())
    gc.collect()


# -- threads and processes -------------------------------------------------------------------


def test_a_scope_is_carried_by_hand(client: MemoryClient) -> None:
    """Threads and pools start without one: a snapshot or a wrapped function brings it."""
    with client.request_context(user_id="u1"):
        snapshot = client.current_context()
        wrapped = client.wrap(client.track)
    results = []

    def work() -> None:
        results.append(CURRENT.get())
        with client.use_context(snapshot):
            client.track(event="snapshot")
        results.append(CURRENT.get())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(wrapped, event="wrapped").result()
    assert results == [None, None]
    assert [(event.event, event.user_id) for event in client.events] == [
        ("snapshot", "u1"),
        ("wrapped", "u1"),
    ]


def test_a_wrapped_coroutine_function_is_one(client: MemoryClient) -> None:
    """Its work is done where it is awaited, in the scope it was wrapped in."""

    async def load(number: int) -> int:
        await asyncio.sleep(0)  # suspended in the scope
        client.track(event="loaded")
        return number + 1

    with client.request_context(user_id="u1"):
        wrapped = client.wrap(load)

    async def elsewhere() -> int:
        found = await wrapped(1)
        assert CURRENT.get() is None
        return found

    assert inspect.iscoroutinefunction(wrapped)
    assert asyncio.run(elsewhere()) == 2
    client.assert_tracked("loaded", user_id="u1")


def test_an_opener_serves_many_at_once(client: MemoryClient) -> None:
    """Made once and entered by fifty tasks: each gets its own scope back."""
    opener = client.context(tags={"a": 1})

    async def work(number: int) -> None:
        with scoped(user_id=f"u{number}"):
            with opener:
                # They leave in another order: the subject.
                await asyncio.sleep(0.001 * (number % 7))
                client.track(event=f"u{number}")
            await asyncio.sleep(0)  # the others' turn
            client.track(event=f"u{number}")
        assert CURRENT.get() is None

    async def all_of_them() -> None:
        await asyncio.gather(*map(work, range(50)))

    asyncio.run(all_of_them())
    assert len(client.events) == 100
    assert all(event.user_id == event.event for event in client.events)
    assert sum("tags" in event.context for event in client.events) == 50


def _in_a_process(client: Client, event: str) -> None:
    client.track(event=event)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_wrapped_function_delivers_from_a_process(
    method: str, sink: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acceptance 23: it skips the interpreter's exit, and its events are delivered anyway."""
    monkeypatch.setenv("PENSTOCK_NETWORK", "loopback")
    config = Config(journal=tmp_path / "journal", interval=60.0)
    with Client(Segment("KEY", endpoint=sink.url), config=config) as client:
        with client.request_context(user_id="u1", tags={"a": 1}):
            wrapped = client.wrap(_in_a_process)
        made = multiprocessing.get_context(method)
        process = made.Process(target=wrapped, args=(client, method))  # type: ignore[attr-defined]
        process.start()
        process.join(60)
        assert process.exitcode == 0
        (event,) = sink.events
    assert (event["event"], event["userId"], event["context"]["tags"]) == (method, "u1", {"a": 1})


def test_a_scope_is_pickled_as_what_it_says_now(client: MemoryClient) -> None:
    """A function that finds the user stays; what it would say in the other process is unknown."""
    with (
        client.request_context(user_id=lambda: "u1", anonymous_id="device-1", tags={"a": 1}),
        client.context(properties={"p": 1}, tags={"b": 2}) as scope,
    ):
        copy = pickle.loads(pickle.dumps(scope))
    assert copy.user_id is None
    assert copy.anonymous_id == "device-1"
    assert copy.context == {"tags": {"a": 1, "b": 2}}
    assert copy.properties == {"p": 1}


# -- jobs ------------------------------------------------------------------------------------


def test_a_job_is_a_boundary_of_its_own(client: MemoryClient) -> None:
    """It inherits nothing, is named, and its error goes on after it was captured."""
    captured = []
    client.capture_exception = lambda error, **o: captured.append((error, o, CURRENT.get()))  # type: ignore[method-assign, attr-defined, assignment, unused-ignore]
    error = RuntimeError("broken")

    def run() -> None:
        with client.request_context(user_id="visitor"), client.job("nightly", user_id="u1"):
            client.track(event="e")
            raise error

    with pytest.raises(RuntimeError) as raised:
        run()
    assert raised.value is error
    assert last(client)["userId"] == "u1"
    assert last(client)["context"] == {"tags": {"job": "nightly"}}
    ((found, options, scope),) = captured
    assert found is error
    assert options["handled"] is False
    assert scope is not None


def test_a_job_that_is_frozen_afterwards_delivers_first(client: MemoryClient) -> None:
    """`flush` waits for delivery, whatever the end."""
    with client.job("once", flush=5.0):
        client.track(event="e")
    assert client.ledger().delivered == 1


# -- consent ---------------------------------------------------------------------------------


def test_consent_off_makes_calls_do_nothing(client: MemoryClient) -> None:
    """No event of any kind, and an empty message id."""
    with client.request_context(user_id="u1", anonymous_id="device-1", consent="off"):
        assert client.track("u1", "e") == ""
        assert client.identify("u1") == ""
        assert client.capture("e") == ""
        assert client.group("u1", "acme") == ""
    assert client.events == ()
    assert client.ledger().accepted == 0


def test_consent_anonymous_takes_out_who_and_which_device(client: MemoryClient) -> None:
    """Whoever put it there: the boundary, a block, or an argument of the call."""
    with (
        client.request_context(
            user_id="u1",
            anonymous_id="device-1",
            ip="203.0.113.9",
            user_agent="Browser/1",
            session_id="s1",
            device_id="d1",
            click_ids={"gclid": "x"},
            url="https://shop.example/",
            consent="anonymous",
        ),
        client.context(user_id="u1", anonymous_id="device-1", ip="203.0.113.9"),
    ):
        client.track("u1", "a", {"p": 1}, anonymous_id="device-1", context={"ip": "1.2.3.4"})
        client.capture("b", "u1")
        client.page("u1", "c")
        assert client.identify("u1", {"email": "kim@example.com"}) == ""
        assert client.alias(user_id="u1", previous_id="device-1") == ""
    assert len(client.events) == 3
    made_up = {event.anonymous_id for event in client.events}
    assert len(made_up) == 1
    for event in client.events:
        text = str(event.raw)
        assert "u1" not in text
        assert "device-1" not in text
        assert event.context == {"page": {"url": "https://shop.example/"}, "personless": True}


# -- the vendors -----------------------------------------------------------------------------

FULL = {
    "session_id": "1772360431",
    "window_id": "w1",
    "ip": "203.0.113.9",
    "user_agent": "Browser/1",
    "url": "https://shop.example/a",
    "campaign": {"source": "mail"},
    "click_ids": {"gclid": "x", "unknown": "y"},
    "groups": {"company": "acme", "team": "t1"},
    "method": "GET",
    "status": 200,
}


def sent_to(destination: Any, **facts: Any) -> dict[str, Any]:
    """The event as it went out."""
    with captured_client(destination) as client:
        with client.request_context(user_id="u1", tags={"plan": "pro", "$ip": "no"}, **facts):
            client.track(event="e", properties={"plan": "own"} if facts.get("window_id") else None)
        client.flush()
        (request,) = client.transport.requests
    (message,) = json.loads(request.body)["batch"]
    found: dict[str, Any] = message
    return found


@pytest.mark.parametrize("mode", ["legacy", "v1"])
def test_posthog_gets_the_request_as_properties(mode: Any) -> None:
    """Session, window, click ids, groups, tags and status, each under PostHog's name."""
    event = sent_to(PostHog("phc_KEY", capture_mode=mode), **FULL)
    found = event["properties"]
    assert {
        "$ip": "203.0.113.9",
        "$current_url": "https://shop.example/a",
        "$host": "shop.example",
        "utm_source": "mail",
        "gclid": "x",
        "$groups": {"company": "acme", "team": "t1"},
        "$request_method": "GET",
        "$response_status_code": 200,
        "$context_tags": ["plan", "$ip"],
        "plan": "own",
    }.items() <= found.items()
    assert "unknown" not in found
    outer = event if mode == "v1" else found
    names = ("session_id", "window_id") if mode == "v1" else ("$session_id", "$window_id")
    assert [outer[name] for name in names] == ["1772360431", "w1"]


@pytest.mark.parametrize("mode", ["legacy", "v1"])
def test_posthog_makes_no_person_of_an_unknown_visitor(mode: Any) -> None:
    """In both protocols."""
    with captured_client(PostHog("phc_KEY", capture_mode=mode)) as client:
        with client.request_context():
            client.track(event="e")
        client.flush()
        (event,) = json.loads(client.transport.requests[0].body)["batch"]
    told = event["options"]["process_person_profile"] if mode == "v1" else None
    assert (told if mode == "v1" else event["properties"]["$process_person_profile"]) is False


@pytest.mark.parametrize(
    ("session", "sent"),
    [("1772360431", 1772360431), (1772360431, 1772360431), ("s-1", None), ("12", None)],
)
def test_rudderstack_takes_whole_numbers_as_sessions(session: Any, sent: int | None) -> None:
    """Anything else is left out there, and there only."""
    message = sent_to(RudderStack("KEY", "https://x.test", compression="none"), session_id=session)
    assert message["context"].get("sessionId") == sent
    message = sent_to(Segment("KEY"), session_id=session)
    assert message["context"]["sessionId"] == session


# -- the boundary ----------------------------------------------------------------------------


def test_a_boundary_loses_no_write_of_many_threads() -> None:
    """Tags of eight threads, read all the while, are all there in the end."""
    boundary = Boundary()

    def write(name: str) -> None:
        for number in range(200):
            boundary.tag(f"{name}{number}", number)
            assert boundary.context["tags"][f"{name}{number}"] == number

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(boundary.context["tags"]) == 1600


def test_threads_of_a_request_share_what_is_made_up() -> None:
    """Whichever asks first, all get the same id."""
    for _ in range(50):
        boundary = Boundary()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(getattr, boundary, "anonymous_id") for _ in range(8)]
        assert len({one.result() for one in asked}) == 1


def test_reprs_name_nobody(client: MemoryClient, caplog: pytest.LogCaptureFixture) -> None:
    """They end up in logs."""
    caplog.set_level(logging.DEBUG)
    with client.request_context(user_id="u-secret", anonymous_id="device-secret") as scope:
        assert "secret" not in f"{scope!r} {scope.boundary!r}"
