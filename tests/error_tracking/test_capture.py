"""From an error to an event: what is captured, once, how often, and what it carries."""

from __future__ import annotations

import gc
import linecache
import os
import random
import threading
import weakref
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from raising import fall, raised

import requirement
from penstock import (
    Client,
    ClosedError,
    Collector,
    Config,
    ConfigError,
    ErrorTracking,
    PostHog,
    RudderStack,
    Segment,
    Webhook,
    scoped,
)
from penstock.error_tracking import marks, steps
from penstock.error_tracking.marks import ATTRIBUTE
from penstock.error_tracking.trimming import trimmed
from penstock.testing import MemoryClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Errors
    from penstock.error_tracking import Hint


# -- what an event carries ---------------------------------------------------------------------


def test_an_event_says_all_it_was_given(errors: Errors) -> None:
    """By keyword; the id that is returned is the event's."""
    given = errors.capture(
        ValueError("x"),
        user_id="u1",
        anonymous_id="a1",
        properties={"order": 7},
        groups={"company": "acme"},
        level="critical",
        fingerprint="cart",
        handled=False,
        mechanism_type="task",
        source="celery.task_failure",
        timestamp=datetime(2026, 3, 1, tzinfo=UTC),
        context={"ip": "203.0.113.7"},
    )
    event = errors.event
    assert event["messageId"] == given
    assert (event["userId"], event["anonymousId"]) == ("u1", "a1")
    assert event["properties"] == {"order": 7, "$groups": {"company": "acme"}}
    assert (event["level"], event["fingerprint"]) == ("fatal", "cart")
    assert event["source"] == "celery.task_failure"
    assert event["timestamp"] == "2026-03-01T00:00:00.000Z"
    assert event["context"] == {"ip": "203.0.113.7"}
    mechanism = errors.entries[0]["mechanism"]
    assert (mechanism["type"], mechanism["handled"]) == ("task", False)


@pytest.mark.parametrize(
    ("given", "level"),
    [
        *[(word, "fatal") for word in ("fatal", "critical", "alert", "emergency", "CRITICAL")],
        *[("warn", "warning"), ("notice", "info"), ("trace", "debug"), ("log", "log")],
        *[("terrible", None), (None, None), (40, None)],
    ],
)
def test_levels_are_posthogs(errors: Errors, given: Any, level: str | None) -> None:
    """Others are left out: one that is unknown says nothing."""
    errors.capture(ValueError("x"), level=given)
    assert errors.event.get("level") == level


def test_an_error_belongs_to_the_scopes_user(errors: Errors) -> None:
    """With the scope's properties and context, as every event."""
    with scoped(user_id="u1", properties={"tenant": "acme"}, context={"ip": "203.0.113.7"}):
        errors.capture(ValueError("x"), properties={"order": 7})
    assert errors.event["userId"] == "u1"
    assert errors.event["properties"] == {"tenant": "acme", "order": 7}
    assert errors.event["context"] == {"ip": "203.0.113.7"}


def test_an_error_of_nobody_is_personless(errors: Errors) -> None:
    """It makes no profile."""
    errors.capture(ValueError("x"))
    assert errors.event["anonymousId"]
    assert errors.event["properties"]["$process_person_profile"] is False


@pytest.mark.parametrize(
    "wrong",
    [
        {"user_id": {"no": "id"}},
        {"properties": "text"},
        {"groups": 3},
        {"timestamp": "yesterday"},
        {"context": 3},
        {"fingerprint": ["a", "list"]},
        {"level": object()},
    ],
)
def test_a_wrong_argument_does_not_cost_the_error(errors: Errors, wrong: dict[str, Any]) -> None:
    """Nothing is raised into a program that is in trouble already; a log line tells."""
    assert errors.capture(ValueError("x"), **wrong) is not None
    assert errors.entries[0]["value"] == "x"


def test_a_strict_client_does_not_lose_the_error_either(
    make_errors: Callable[..., Errors],
) -> None:
    """What it would raise for costs the properties."""
    errors = make_errors({"strict": True})
    assert errors.capture(ValueError("x"), properties={"odd": object()}) is not None
    assert "odd" not in errors.event["properties"]


def test_the_release_is_told(
    make_errors: Callable[..., Errors], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the settings, the environment, or the application's version."""

    def told(errors: Errors) -> tuple[Any, Any, Any]:
        errors.capture(ValueError("x"))
        properties = errors.event["properties"]
        return (
            properties.get("release"),
            properties.get("environment"),
            errors.event.get("releaseId"),
        )

    id_ = "0195500a-4444-7000-8000-000000000001"
    assert told(make_errors()) == (None, None, None)
    config = {"default_context": {"app": {"name": "shop", "version": "4.2"}}}
    assert told(make_errors(config)) == ("4.2", None, None)
    monkeypatch.setenv("GIT_COMMIT", "abc123")
    monkeypatch.setenv("PENSTOCK_ENVIRONMENT", "staging")
    monkeypatch.setenv("POSTHOG_RELEASE_ID", "no uuid")
    assert told(make_errors(config)) == ("abc123", "staging", None)
    monkeypatch.setenv("PENSTOCK_RELEASE", "4.3")
    monkeypatch.setenv("POSTHOG_RELEASE_ID", id_)
    assert told(make_errors()) == ("4.3", "staging", id_)
    assert told(make_errors(release="5", environment="test")) == ("5", "test", id_)


def test_the_active_span_is_told(errors: Errors) -> None:
    """Where OpenTelemetry is in use; its ids are text in hex."""
    context = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1))
    with trace.use_span(NonRecordingSpan(context)):
        errors.capture(ValueError("x"))
    errors.capture(ValueError("y"))
    inside, outside = errors.events
    assert inside["traceId"] == "00000000000000000000000000000abc"
    assert inside["spanId"] == "0000000000000def"
    assert "traceId" not in outside


def test_steps_are_told_with_the_error_that_follows(errors: Errors) -> None:
    """The oldest first, with their facts as they were."""
    facts = {"items": [1]}
    errors.client.add_step("cart loaded", **facts)
    facts["items"].append(2)
    errors.clock.advance(1)
    errors.client.add_step("coupon refused")
    errors.capture(ValueError("x"))
    assert errors.event["steps"] == [
        {
            "message": "cart loaded",
            "timestamp": "2026-01-01T00:00:00.000Z",
            "properties": {"items": [1]},
        },
        {"message": "coupon refused", "timestamp": "2026-01-01T00:00:01.000Z"},
    ]


def test_of_many_steps_the_latest_are_told(errors: Errors) -> None:
    """At most 100, and 32 KiB of them; one that is too big itself is left out."""
    for number in range(150):
        errors.client.add_step(f"step {number}")
    errors.client.add_step("huge", text="x" * 100_000)
    errors.capture(ValueError("x"))
    told = errors.event["steps"]
    assert [told[0]["message"], told[-1]["message"]] == ["step 50", "step 149"]
    for number in range(100):
        errors.client.add_step(f"big {number}", text="x" * 1000)
    errors.capture(ValueError("y"))
    assert 25 < len(errors.events[1]["steps"]) < 35
    assert errors.events[1]["steps"][-1]["message"] == "big 99"


@pytest.mark.parametrize("variables", [False, True])
def test_nothing_is_kept_alive(make_errors: Callable[..., Errors], variables: bool) -> None:
    """
    Neither the error nor what its frames held: not even until the next collection.

    Variables are another matter: before Python 3.13 a frame that still runs keeps what it was
    asked for.
    """
    errors = make_errors(local_variables=variables)
    alive: weakref.WeakSet[Any] = weakref.WeakSet()

    class Order:
        pass

    def fail() -> None:
        order = Order()
        alive.add(order)
        fall(3, order=order)

    def meet() -> None:
        try:
            fail()
        except LookupError as error:
            errors.capture(error)
            errors.capture(error, mechanism_type="logger")
            errors.capture("and a message")

    gc.disable()
    try:
        for _ in range(5):
            meet()
        if variables:
            gc.collect()
        assert len(alive) == 0
    finally:
        gc.enable()


# -- what is captured --------------------------------------------------------------------------


@dataclass(frozen=True)
class Frozen(Exception):  # noqa: N818 - what it is
    code: int


class Slotted(ValueError):  # noqa: N818 - what it is
    __slots__ = ()


class Guarded(Exception):  # noqa: N818 - what it is
    def __setattr__(self, name: str, value: object) -> None:
        raise RuntimeError(name)


class NoDict(ValueError):  # noqa: N818 - what it is
    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "error", [ValueError("x"), Frozen(3), Slotted("x"), Guarded("x"), NoDict("x"), MemoryError()]
)
def test_the_same_error_is_captured_once(errors: Errors, error: Exception) -> None:
    """Acceptance 6, 7: whatever its class forbids; later captures give the first one's id."""
    first = errors.capture(error)
    assert first is not None
    assert errors.capture(error, mechanism_type="logger") == first
    assert len(errors.events) == 1
    assert errors.counts == {"captured": 1, "duplicate": 1}


def test_a_reused_exception_is_another_error_later(errors: Errors) -> None:
    """Acceptance 7: a singleton that is raised again is reported again."""
    error = ValueError("singleton")
    first = errors.capture(error)
    errors.clock.advance(1.9)
    assert errors.capture(error) == first
    errors.clock.advance(0.2)
    assert errors.capture(error) not in {None, first}


def test_a_reused_exception_is_another_error_in_another_request(
    errors: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acceptance 7: at once; and what leaves a request is still the error it was there."""
    one, other = (SimpleNamespace(boundary=SimpleNamespace(state={})) for _ in range(2))
    here: list[Any] = [one]
    monkeypatch.setattr(marks, "CURRENT", SimpleNamespace(get=lambda: here[0]))
    error = ValueError("singleton")
    first = errors.capture(error, mechanism_type="middleware")
    errors.clock.advance(60)
    assert errors.capture(error) == first
    here[0] = other
    second = errors.capture(error)
    assert second not in {None, first}
    here[0] = None
    assert errors.capture(error) == second
    assert errors.counts == {"captured": 2, "duplicate": 2}


def test_the_steps_of_a_request_are_its_own(
    errors: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of its threads took them; those from outside are not told."""
    request = SimpleNamespace(boundary=SimpleNamespace(state={}))
    here: list[Any] = [None]
    monkeypatch.setattr(steps, "CURRENT", SimpleNamespace(get=lambda: here[0]))
    errors.client.add_step("outside")
    here[0] = request
    thread = threading.Thread(target=errors.client.add_step, args=("in a thread",))
    thread.start()
    thread.join()
    errors.capture(ValueError("x"))
    here[0] = None
    errors.capture(ValueError("y"))
    told = [[step["message"] for step in event["steps"]] for event in errors.events]
    assert told == [["in a thread"], ["outside"]]


def test_each_client_captures_for_itself(make_errors: Callable[..., Errors]) -> None:
    """Two clients, two events: their destinations differ."""
    one, other = make_errors(), make_errors()
    error = ValueError("x")
    one.capture(error)
    other.capture(error)
    assert len(one.events) == len(other.events) == 1


def test_an_exception_looks_as_before(errors: Errors) -> None:
    """But for one private attribute: no note, no traceback, no other argument."""
    error = Frozen(3)
    errors.capture(error)
    assert error == Frozen(3)
    assert error.args == (3,)
    assert error.__traceback__ is None
    assert set(vars(error)) == {"code", ATTRIBUTE}


def test_an_error_the_hook_dropped_is_not_marked(make_errors: Callable[..., Errors]) -> None:
    """Acceptance 8: the next capture of it is the first."""
    answers: list[Any] = [None, ValueError("a bug in the hook"), {}]

    def hook(event: dict[str, Any], _: Hint) -> dict[str, Any] | None:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if answer is None else event

    errors = make_errors(before_send=hook)
    error = ValueError("x")
    assert errors.capture(error) is None
    assert errors.capture(error) is None
    assert errors.capture(error) is not None
    assert errors.counts == {"filtered": 2, "captured": 1}


def test_an_error_the_clients_hook_dropped_is_not_marked(
    make_errors: Callable[..., Errors],
) -> None:
    """Acceptance 8: nor one that the hook over all events dropped."""
    drop = [True, False]
    errors = make_errors({"before_send": lambda event: None if drop.pop(0) else event})
    error = ValueError("x")
    assert errors.capture(error) is None
    assert errors.capture(error) is not None
    assert errors.counts == {"filtered": 1, "captured": 1}


def test_the_hook_sees_event_and_error_and_may_change_the_event(
    make_errors: Callable[..., Errors],
) -> None:
    """The hint holds what is not sent."""
    seen: list[Hint] = []

    def hook(event: dict[str, Any], hint: Hint) -> dict[str, Any]:
        seen.append(hint)
        event["exceptions"][0]["value"] = "changed"
        return {**event, "level": "info"}

    errors = make_errors(before_send=hook)
    error = raised(ValueError("x"))
    errors.capture(error, hint={"request": "the request"})
    assert (errors.entries[0]["value"], errors.event["level"]) == ("changed", "info")
    assert seen[0]["exc_info"] == (ValueError, error, error.__traceback__)
    assert seen[0]["request"] == "the request"


def test_properties_cannot_replace_the_error(errors: Errors) -> None:
    """Acceptance 9: neither the caller's nor the scope's."""
    with scoped(properties={"$exception_list": "mine"}):
        errors.capture(ValueError("x"), properties={"$exception_level": 3, "a": 1})
    properties = errors.event["properties"]
    assert properties == {"a": 1, "$process_person_profile": False}


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()], ids=lambda e: type(e).__name__
)
def test_control_flow_is_no_error(errors: Errors, error: BaseException) -> None:
    """Programs and generators end like this."""
    assert errors.capture(error) is None
    assert errors.capture((type(error), None, None)) is None
    assert errors.counts == {"filtered": 2}


def test_a_cancelled_task_is_no_error(errors: Errors) -> None:
    """Nor is a subclass of its exception."""
    import asyncio

    class Own(asyncio.CancelledError):
        pass

    assert errors.capture(asyncio.CancelledError()) is None
    assert errors.capture(Own()) is None


@pytest.mark.parametrize(
    ("ignored", "captured"),
    [
        ([LookupError], [ValueError]),
        (["LookupError"], [ValueError]),
        (["KeyError"], [IndexError, ValueError]),
        (["nowhere.KeyError"], [KeyError, IndexError, ValueError]),
        ([f"{__name__}.Frozen", ValueError], [KeyError, IndexError]),
    ],
)
def test_classes_can_be_ignored(
    make_errors: Callable[..., Errors], ignored: Any, captured: list[type[Exception]]
) -> None:
    """With their subclasses, by class, name, or dotted name."""
    errors = make_errors(ignore_exceptions=ignored)
    kinds = (KeyError, IndexError, ValueError)
    assert [kind for kind in kinds if errors.capture(kind())] == captured
    assert f"{__name__}.Frozen" not in ignored or errors.capture(Frozen(1)) is None


def test_a_sample_is_captured(
    make_errors: Callable[..., Errors], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dice are rolled once for each error, however many hooks it passes."""
    rolls = iter([0.3, 0.7])
    monkeypatch.setattr(random, "random", lambda: next(rolls))
    errors = make_errors(sample_rate=0.5)
    first, second = ValueError("x"), ValueError("y")
    assert [errors.capture(first) is None, errors.capture(second) is None] == [False, True]
    assert errors.capture(second) is None
    assert make_errors(sample_rate=0).capture(ValueError()) is None


def test_the_sample_can_depend_on_the_error(make_errors: Callable[..., Errors]) -> None:
    """A function that raises lets everything pass: it is no matter of privacy."""
    rate = {ValueError: 0.0, KeyError: 1.0}
    errors = make_errors(sample_rate=lambda hint: rate[hint["exc_info"][0]])
    kinds = (ValueError, KeyError, OSError)
    assert [errors.capture(kind()) is not None for kind in kinds] == [False, True, True]


def test_threads_capture_at_once(errors: Errors) -> None:
    """Each its own errors, none lost, none twice."""

    def work(number: int) -> None:
        for turn in range(50):
            errors.capture(raised(lambda: fall(5)), properties={"who": number, "turn": turn})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = {(e["properties"]["who"], e["properties"]["turn"]) for e in errors.events}
    assert len(told) == len(errors.events) == 400
    assert errors.counts == {"captured": 400}


# -- how often ---------------------------------------------------------------------------------


def test_a_flood_is_held_back(errors: Errors) -> None:
    """20 of a kind, then one a second; the next one says how many it stands for."""
    for _ in range(50):
        errors.capture(ValueError("x"), mechanism_type="middleware")
    assert errors.counts == {"captured": 20, "rate_limited": 30}
    errors.clock.advance(1)
    errors.capture(ValueError("x"), mechanism_type="middleware")
    assert errors.events[-1]["properties"]["exceptions_suppressed"] == 30


def test_a_flood_hides_no_other_error(errors: Errors) -> None:
    """Kinds are told apart by class and by the place in the program."""
    for _ in range(50):
        errors.capture(raised(lambda: fall(3)), mechanism_type="logger")
    assert errors.capture(KeyError("x"), mechanism_type="logger") is not None


def test_all_kinds_together_have_a_bound(errors: Errors) -> None:
    """300 a minute."""
    for number in range(600):
        kind = type(f"Kind{number}", (Exception,), {})
        errors.capture(kind(), mechanism_type="logger")
    assert errors.counts == {"captured": 300, "rate_limited": 300}


def test_the_programs_own_calls_are_not_limited(errors: Errors) -> None:
    """It knows what it does; and whoever wants to can turn the limit off."""
    for _ in range(50):
        errors.capture(ValueError("x"))
    assert errors.counts == {"captured": 50}


def test_the_limit_can_be_turned_off(make_errors: Callable[..., Errors]) -> None:
    """By the settings."""
    errors = make_errors(rate_limit=False)
    for _ in range(50):
        errors.capture(ValueError("x"), mechanism_type="logger")
    assert errors.counts == {"captured": 50}


# -- how big -----------------------------------------------------------------------------------


def made_program(calls: int, lines: int = 5) -> Callable[[], None]:
    """A program of *calls* functions with *lines* long lines of source and big variables each."""
    name = f"made_program_{calls}"
    path = f"/made/{name}.py"
    text = ""
    for number in range(calls):
        text += f"# {'s' * 280}\n" * lines
        callee = f"f{number + 1}()" if number + 1 < calls else "1 / 0"
        text += f"def f{number}():\n    big = 'v' * 1000\n    {callee}\n"
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    space: dict[str, Any] = {"__name__": name}
    exec(compile(text, path, "exec"), space)
    made: Callable[[], None] = space["f0"]
    return made


def traits(entries: list[dict[str, Any]]) -> tuple[bool, bool, bool, int, int]:
    """Whether it has variables, source of libraries, any source; frames and exceptions."""
    frames = [f for entry in entries for f in entry.get("stacktrace", {}).get("frames", [])]
    return (
        any("code_variables" in frame for frame in frames),
        any("context_line" in frame and not frame["in_app"] for frame in frames),
        any("context_line" in frame for frame in frames),
        len(entries[0]["stacktrace"]["frames"]),
        len(entries),
    )


def big_event(make_errors: Callable[..., Errors], limit: int) -> Errors:
    """An error with everything there is, for a destination that takes *limit* bytes."""
    error = raised(made_program(40))
    error.__cause__ = raised(lambda: fall(3))
    error.__cause__.__cause__ = KeyError("root")
    errors = make_errors(
        {"max_message_bytes": limit},
        local_variables=True,
        project_root="/nowhere",
        in_app_include=["made_program_40"],
    )
    errors.capture(error)
    return errors


def test_an_event_that_is_too_big_loses_what_explains_least(
    make_errors: Callable[..., Errors],
) -> None:
    """Acceptance 22: variables, library source, the middle of stacks, all source, causes."""
    entries: Any = big_event(make_errors, 500_000).entries
    seen = []

    def fits() -> bool:
        seen.append(traits(entries))
        return False

    assert not trimmed(entries, fits)
    assert seen == [
        (True, True, True, 41, 3),
        (False, True, True, 41, 3),
        (False, False, True, 41, 3),
        (False, False, True, 20, 3),
        (False, False, False, 20, 3),
        (False, False, False, 20, 2),
        (False, False, False, 20, 1),
    ]


def test_steps_leave_room_for_the_error(make_errors: Callable[..., Errors]) -> None:
    """Where a destination takes little, fewer are told."""
    errors = make_errors({"max_message_bytes": 20_000})
    for number in range(100):
        errors.client.add_step(f"step {number}", text="x" * 500)
    errors.capture(ValueError("x"))
    assert errors.client.flush().delivered == 1
    assert 5 < len(errors.event["steps"]) < 15


@pytest.mark.parametrize("limit", [200_000, 100_000, 60_000, 30_000, 10_000])
def test_an_event_is_cut_to_what_its_destination_takes(
    make_errors: Callable[..., Errors], limit: int
) -> None:
    """Acceptance 22: and no further than it must be."""
    errors = big_event(make_errors, limit)
    ledger = errors.client.flush()
    assert (ledger.delivered, ledger.dead) == (1, {})
    assert errors.entries[0]["type"] == "ZeroDivisionError"
    omitted = errors.event["properties"].get("exception_frames_omitted", 0)
    assert omitted == 46 - sum(len(e["stacktrace"]["frames"]) for e in errors.entries[:2])
    if limit > 150_000:
        assert traits(errors.entries)[:3] == (True, True, True)


def test_an_event_that_no_cutting_makes_fit_is_dropped_and_counted(
    make_errors: Callable[..., Errors],
) -> None:
    """Acceptance 22: its properties are the caller's, and are not cut."""
    errors = make_errors()
    assert errors.capture(ValueError("x"), properties={"huge": "x" * 300_000}) is None
    assert errors.counts == {"oversize": 1}
    tiny = make_errors({"max_message_bytes": 300})
    assert tiny.capture(ValueError("x")) is None
    assert tiny.client.ledger().dead == {"too_large": 1}
    assert tiny.counts == {"oversize": 1}


def test_an_error_that_the_journal_had_no_room_for_may_come_again(
    make_errors: Callable[..., Errors],
) -> None:
    """It is not marked: whoever sees it next may have more luck."""
    errors = make_errors({"journal_max_bytes": 256 * 1024})
    for _ in range(300):
        errors.client.track("u1", "Fill", {"x": "x" * 1000})
    error = ValueError("x")
    assert errors.capture(error) is None
    assert errors.counts == {"refused": 1}
    errors.client.flush()
    assert errors.capture(error) is not None


# -- where to ----------------------------------------------------------------------------------


def test_errors_go_where_there_is_a_place_for_them() -> None:
    """PostHog, collectors and webhooks get them; others a track call, if that is wished."""
    everywhere = (
        *(PostHog("phc"), Collector("c"), Webhook("secret", "http://h/hook")),
        *(Segment("s"), RudderStack("r", "http://h")),
    )
    with MemoryClient(*everywhere) as client:
        client.capture_exception(ValueError("x"))
        accounts = client.flush().destinations
    assert {name: account.accepted for name, account in accounts.items()} == {
        "PostHog": 1,
        "Collector": 1,
        "Webhook": 1,
        "Segment": 0,
        "RudderStack": 0,
    }
    tracking = ErrorTracking(exceptions_as_track="Exception Captured")
    with MemoryClient(*everywhere, error_tracking=tracking) as client:
        client.capture_exception(ValueError("x"))
        accounts = client.flush().destinations
    assert {account.delivered for account in accounts.values()} == {1}


def test_without_a_place_for_errors_it_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """Once; nothing is accepted that would go nowhere."""
    with MemoryClient(Segment("s")) as client:
        assert client.capture_exception(ValueError("x")) is None
        assert client.capture_exception(ValueError("y")) is None
        assert client.ledger().accepted == 0
    (record,) = caplog.records
    assert "exceptions_as_track" in record.getMessage()


def test_a_client_that_does_nothing_captures_nothing() -> None:
    """Disabled, closed, or without a key."""
    disabled = Client(PostHog("phc"), config=Config(disabled=True))
    assert disabled.capture_exception(ValueError("x")) is None
    closed = MemoryClient(PostHog("phc"))
    closed.close()
    assert closed.capture_exception(ValueError("x")) is None
    closed.add_step("still no error")
    keyless = Client(PostHog(""), config=Config(journal=None))
    assert keyless.capture_exception(ValueError("x")) is None


def test_a_disabled_client_leaves_the_error_alone() -> None:
    """Not even a mark."""
    error = ValueError("x")
    Client(PostHog("phc"), config=Config(disabled=True)).capture_exception(error)
    assert vars(error) == {}


# -- nothing is raised -------------------------------------------------------------------------


class Foul(Exception):  # noqa: N818 - what it is
    """Raises at every question."""

    def _foul(self, *_: object) -> Any:
        raise RuntimeError("foul")

    __str__ = __repr__ = __eq__ = __hash__ = _foul  # type: ignore[assignment]
    args = message = detail = property(_foul)  # type: ignore[assignment]


def test_an_error_that_answers_nothing_is_captured(errors: Errors) -> None:
    """Acceptance 6: its class is known at least."""
    assert errors.capture(raised(Foul())) is not None
    assert errors.entries[0]["type"] == "Foul"
    assert errors.entries[0]["value"] == "<unprintable Foul>"


def test_our_own_failure_is_logged_without_its_text(
    errors: Errors, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for each kind; the text might hold anything."""
    tracker = errors.client.error_tracker

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret-7")

    monkeypatch.setattr(tracker._builder, "event", broken)
    for _ in range(3):
        assert errors.capture(ValueError("secret-8")) is None
    (record,) = caplog.records
    assert record.getMessage() == "an error was not captured: ZeroDivisionError"


def test_capturing_while_capturing_is_not_captured(make_errors: Callable[..., Errors]) -> None:
    """A hook that meets an error of its own must not begin again for it."""
    found = []

    def hook(event: dict[str, Any], _: Hint) -> dict[str, Any]:
        found.append(errors.capture(KeyError("in the hook")))
        return event

    errors = make_errors(before_send=hook)
    errors.capture(ValueError("x"))
    assert found == [None]
    assert errors.entries[0]["value"] == "x"


def test_an_error_at_the_end_of_the_stack_is_captured(errors: Errors) -> None:
    """A RecursionError is caught where there is hardly room to capture it."""

    def fall_for_ever() -> None:
        try:
            fall_for_ever()
        except RecursionError as error:
            errors.capture(error)
            raise

    with pytest.raises(RecursionError):
        fall_for_ever()
    assert errors.entries[0]["type"] == "RecursionError"


@pytest.mark.parametrize(
    "settings",
    [
        {"sample_rate": 2},
        {"sample_rate": "0.5"},
        {"ignore_exceptions": "KeyError"},
        {"ignore_exceptions": [int]},
        {"in_app_include": "shop"},
        {"secret_names": [3]},
        {"before_send": 3},
        {"release_id": "4.2"},
        {"exceptions_as_track": " "},
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    """When they are made, by name."""
    with pytest.raises(ConfigError, match=next(iter(settings))):
        ErrorTracking(**settings)


@requirement.FORK
def test_a_forked_child_counts_for_itself(errors: Errors) -> None:
    """And is limited for itself: what the parent's threads held is not waited for."""
    for _ in range(30):
        errors.capture(ValueError("x"), mechanism_type="logger")
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        errors.capture(ValueError("x"), mechanism_type="logger")
        os.write(tell, repr(errors.client.error_tracker.counts()).encode())
        os._exit(0)
    os.close(tell)
    os.waitpid(child, 0)
    assert os.read(told, 100) == b"{'captured': 1}"
    os.close(told)
    assert errors.counts == {"captured": 20, "rate_limited": 10}


def test_a_client_that_closes_meanwhile_is_no_error(
    errors: Errors, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody takes the event, and there is nothing to say of it."""

    def closed(*_: object, **__: object) -> str:
        raise ClosedError

    monkeypatch.setattr(errors.client, "accept", closed)
    assert errors.capture(ValueError("x")) is None
    assert caplog.records == []


def test_a_step_that_cannot_be_told_is_no_error(errors: Errors) -> None:
    """The program goes on."""

    class Foul:
        def __str__(self) -> str:
            raise RuntimeError("foul")

    errors.client.add_step(Foul())  # type: ignore[arg-type]
    errors.capture(ValueError("x"))
    assert "steps" not in errors.event


def test_the_event_posthog_means_is_not_made_by_hand(caplog: pytest.LogCaptureFixture) -> None:
    """A capture of that name is sent as it is, and a log line says what to use instead."""
    with MemoryClient(PostHog("phc")) as client:
        client.capture("$exception", "u1", {"$exception_message": "x"})
        assert client.events[0].event == "$exception"
    assert "capture_exception" in caplog.text
