"""``acapture``: flags on an event, while the event loop goes on."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
import trio

import penstock
from faults.rules import Answer
from flag_server import (
    SECRET_KEY,
    FlagServer,
    answer,
    condition,
    definitions,
    filter_,
    flag,
    record,
)
from penstock import Client, ClosedError, Config, FieldError, PostHog, Segment
from penstock.testing import captured_client

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from faults.sink import Exchange

    Work = Callable[[], Awaitable[Any]]

#: Nobody polls in the time a test takes.
NEVER_S = 1000.0
#: What a test waits for comes within this, or the test fails.
LIMIT_S = 10.0


async def asyncio_together(*works: Work) -> None:
    async with asyncio.timeout(2 * LIMIT_S):
        await asyncio.gather(*(work() for work in works))


async def trio_together(*works: Work) -> None:
    with trio.fail_after(2 * LIMIT_S):
        async with trio.open_nursery() as nursery:
            for work in works:
                nursery.start_soon(work)


#: ``{loop: (what runs it, what runs several coroutines at once in it, its sleep)}``
LOOPS: dict[str, Any] = {
    "asyncio": (lambda work: asyncio.run(work()), asyncio_together, asyncio.sleep),
    "trio": (trio.run, trio_together, trio.sleep),
}


def on_event(event: dict[str, Any]) -> dict[str, Any]:
    """What an event tells of flags."""
    properties = event["properties"]
    return {name: properties[name] for name in properties if name.startswith(("$feat", "$active"))}


def bought(provider: FlagServer) -> dict[str, Any]:
    """The one event that was captured."""
    (event,) = [one for one in provider.events if one["event"] == "bought"]
    return event


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("slow", ["flags", "definitions"])
def test_the_loop_goes_on_while_the_provider_is_slow(
    provider: FlagServer, loop: str, slow: str
) -> None:
    """The provider answers when another coroutine says so; a blocked loop would never."""
    run, together, sleep = LOOPS[loop]
    asked, go = threading.Event(), threading.Event()

    def hold(_exchange: Exchange) -> None:
        asked.set()
        go.wait(LIMIT_S)

    body = answer(record("f", "wide")) if slow == "flags" else definitions(flag("f"))
    setattr(provider, slow, Answer(body=json.dumps(body).encode(), before=hold))
    secret = SECRET_KEY if slow == "definitions" else None

    async def work() -> None:
        client = provider.client(secret=secret, timeout=LIMIT_S, poll_interval=NEVER_S)

        async def capture() -> None:
            assert await client.acapture("bought", "u1", send_feature_flags=True)

        async def answered() -> None:
            while not asked.is_set():
                await sleep(0.001)
            assert provider.events == []
            go.set()

        await together(capture, answered)
        await client.aclose(LIMIT_S)

    run(work)
    assert on_event(bought(provider)) == {
        "$feature/f": "wide" if slow == "flags" else True,
        "$active_feature_flags": ["f"],
    }


@pytest.mark.parametrize(
    ("secret", "options"),
    [
        (None, {"send_feature_flags": True, "groups": {"company": "acme"}}),
        (None, {"send_feature_flags": {"flag_keys_filter": ["g"]}, "set": {"plan": "gold"}}),
        (None, {"set_once": {"first": 1}, "context": {"ip": "203.0.113.9"}}),
        (SECRET_KEY, {"send_feature_flags": True}),
        (SECRET_KEY, {"send_feature_flags": {"only_evaluate_locally": False}}),
        (SECRET_KEY, {"send_feature_flags": {"person_properties": {"tier": "gold"}}}),
        (SECRET_KEY, {"send_feature_flags": {"only_evaluate_locally": True}}),
    ],
)
def test_it_captures_what_capture_captures(
    provider: FlagServer, secret: str | None, options: dict[str, Any]
) -> None:
    """The same event and the same requests, whatever is asked for."""
    provider.definitions = definitions(flag("f", condition(filter_("tier", ["gold"]))), flag("g"))
    provider.flags = answer(record("f"), record("g", value=False))
    with provider.client(secret=secret, poll_interval=NEVER_S) as client:
        if secret:
            assert client.flags.wait_until_ready(LIMIT_S)
        client.capture("bought", "u1", {"$feature/g": "mine"}, **options)
        asyncio.run(client.acapture("bought", "u1", {"$feature/g": "mine"}, **options))
    first, second = [one for one in provider.events if one["event"] == "bought"]
    assert second["properties"] == first["properties"]
    asked = [{k: v for k, v in one.items() if k != "sent_at"} for one in provider.reads]
    half = len(asked) // 2
    assert asked[:half] == asked[half:]


def test_local_answers_do_not_leave_the_loop(provider: FlagServer) -> None:
    """With definitions, with a snapshot, and without flags: no thread and no request."""
    provider.definitions = definitions(flag("f"))

    async def work(client: Client) -> None:
        flags = await client.flags.aevaluate("u1", keys=["f"])
        for options in ({"send_feature_flags": True}, {"flags": flags}, {}):
            await client.acapture("bought", "u1", **options)  # type: ignore[arg-type]
        threads = [one.name for one in threading.enumerate()]
        assert not [name for name in threads if name.startswith("asyncio")]

    with provider.client(secret=SECRET_KEY, poll_interval=NEVER_S) as client:
        assert client.flags.wait_until_ready(LIMIT_S)
        asyncio.run(work(client))
    assert provider.reads == []
    told = {"$feature/f": True, "$active_feature_flags": ["f"]}
    assert [on_event(one) for one in provider.events] == [told, told, {}]


def test_an_evaluation_that_fails_loses_no_event(provider: FlagServer) -> None:
    """It goes without flags, once the read's time is over."""
    provider.flags = Answer(ending="hang")
    with provider.client(timeout=0.1) as client:
        asyncio.run(client.acapture("bought", "u1", {"x": 1}, send_feature_flags=True))
    assert on_event(bought(provider)) == {}
    assert bought(provider)["properties"]["x"] == 1


def test_the_scope_says_whose_flags_they_are(provider: FlagServer) -> None:
    """Also on the thread that asks; without a scope the event is personless and nobody is asked."""
    provider.flags = answer(record("f"))

    async def work(client: Client) -> None:
        with penstock.scoped(user_id="u7"):
            await client.acapture("bought", send_feature_flags=True)
        await client.acapture("left", send_feature_flags=True)

    with provider.client() as client:
        asyncio.run(work(client))
    assert [one["distinct_id"] for one in provider.reads] == ["u7"]
    assert bought(provider)["distinct_id"] == "u7"
    assert on_event(bought(provider)) == {"$feature/f": True, "$active_feature_flags": ["f"]}


def test_a_cancelled_call_captures_nothing(provider: FlagServer) -> None:
    """It never returned, so nothing was promised; the client goes on."""
    asked = threading.Event()
    provider.flags = Answer(ending="hang", before=lambda _exchange: asked.set())

    async def work(client: Client) -> None:
        capturing = asyncio.create_task(client.acapture("bought", "u1", send_feature_flags=True))
        assert await asyncio.to_thread(asked.wait, LIMIT_S)
        capturing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await capturing
        await client.acapture("left", "u1")

    with provider.client(timeout=0.5) as client:
        asyncio.run(work(client))
    assert [one["event"] for one in provider.events] == ["left"]


def test_both_ways_at_once_are_told(provider: FlagServer, caplog: pytest.LogCaptureFixture) -> None:
    """As with `capture`: the snapshot is taken, and nobody is asked for the event."""
    provider.flags = answer(record("f"))

    async def work(client: Client) -> None:
        flags = await client.flags.aevaluate("u1")
        await client.acapture("bought", "u1", flags=flags, send_feature_flags=True)

    with provider.client() as client:
        asyncio.run(work(client))
    assert len(provider.reads) == 1
    assert "flags is taken" in caplog.text


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"send_feature_flags": "yes"}, "send_feature_flags"),
        ({"send_feature_flags": {"locally": True}}, "send_feature_flags.locally"),
        ({"send_feature_flags": {"person_properties": 3}}, "person_properties"),
        ({"flags": {"f": True}}, "flags"),
        ({"properties": 3, "send_feature_flags": True}, "properties"),
        ({"event": "", "send_feature_flags": True}, "event"),
    ],
)
def test_misuse_raises(provider: FlagServer, more: dict[str, Any], field: str) -> None:
    """Naming the field; nothing is captured."""
    with provider.client() as client, pytest.raises(FieldError) as caught:
        asyncio.run(client.acapture(**{"event": "bought", "distinct_id": "u1", **more}))
    assert caught.value.field == field
    assert provider.events == []


def test_a_closed_client_takes_nothing(provider: FlagServer) -> None:
    """With flags and without."""
    client = provider.client()
    client.close()
    for sent in (True, False):
        with pytest.raises(ClosedError):
            asyncio.run(client.acapture("bought", "u1", send_feature_flags=sent))


def test_a_client_without_a_provider_captures_all_the_same() -> None:
    """A disabled one returns no id, one in a test keeps the event."""
    quiet = Client(PostHog(""), config=Config(journal=None))
    assert asyncio.run(quiet.acapture("bought", "u1", send_feature_flags=True)) == ""
    with captured_client(Segment("KEY")) as client:
        asyncio.run(client.acapture("bought", "u1", {"total": 9.5}))
        client.assert_tracked("bought", user_id="u1", total=9.5)
