"""Hooks: errors nobody caught, told once, and what was there before is as it was."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import uvloop
from raising import raised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Errors


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the hooks that were there before are called with."""
    calls: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: calls.append(args))
    monkeypatch.setattr(threading, "excepthook", lambda args: calls.append(args.exc_value))
    monkeypatch.setattr(sys, "unraisablehook", lambda args: calls.append(args.exc_value))
    return calls


def uncaught(error: BaseException) -> None:
    """What the interpreter does at the end of a program."""
    sys.excepthook(type(error), error, error.__traceback__)


def test_an_error_that_ends_the_program_is_captured(errors: Errors, seen: list[Any]) -> None:
    """Fatal, not handled, and the hook that was there before still sees it, once."""
    errors.client.install_exception_hooks()
    error = raised(ValueError("x"))
    uncaught(error)
    assert seen == [(ValueError, error, error.__traceback__)]
    assert (errors.event["level"], errors.event["source"]) == ("fatal", "python.sys_excepthook")
    mechanism = errors.entries[0]["mechanism"]
    assert (mechanism["type"], mechanism["handled"]) == ("onuncaughtexception", False)
    assert errors.frames[-1]["function"] == "raised"


def test_a_hook_comes_and_goes(errors: Errors, seen: list[Any]) -> None:
    """Acceptance 10: after the close everything is what it was."""
    before = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    errors.client.install_exception_hooks(unraisable=True)
    assert all(
        now is not then
        for now, then in zip(
            (sys.excepthook, threading.excepthook, sys.unraisablehook), before, strict=True
        )
    )
    errors.client.close()
    assert (sys.excepthook, threading.excepthook, sys.unraisablehook) == before
    uncaught(ValueError("x"))
    assert len(seen) == 1
    assert errors.events == []


def test_installing_twice_changes_nothing(errors: Errors, seen: list[Any]) -> None:
    """One event, one call of what was there."""
    errors.client.install_exception_hooks()
    errors.client.install_exception_hooks(threading=False)
    uncaught(ValueError("x"))
    assert len(errors.events) == len(seen) == 1


def test_a_foreign_hook_on_top_stays_on_top(
    errors: Errors, seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acceptance 10: it calls ours, which can then no longer be taken out, but only passes on."""
    errors.client.install_exception_hooks()
    ours = sys.excepthook
    foreign: list[str] = []

    def hook(*args: Any) -> None:
        foreign.append("called")
        ours(*args)

    monkeypatch.setattr(sys, "excepthook", hook)
    uncaught(ValueError("x"))
    assert (len(foreign), len(errors.events), len(seen)) == (1, 1, 1)
    errors.client.close()
    assert sys.excepthook is hook
    uncaught(ValueError("y"))
    assert (len(foreign), len(errors.events), len(seen)) == (2, 1, 2)


def test_a_client_can_install_above_a_foreign_hook(
    make_errors: Callable[..., Errors], seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acceptance 10: the one whose hook lies below is passed over; all are called once."""
    first, second = make_errors(), make_errors()
    first.client.install_exception_hooks()
    below = sys.excepthook
    monkeypatch.setattr(sys, "excepthook", lambda *args: below(*args) or None)
    second.client.install_exception_hooks()
    uncaught(ValueError("x"))
    assert (len(first.events), len(second.events), len(seen)) == (1, 1, 1)
    first.client.close()
    uncaught(ValueError("y"))
    assert (len(first.events), len(second.events), len(seen)) == (1, 2, 2)


def test_two_clients_share_a_hook(make_errors: Callable[..., Errors], seen: list[Any]) -> None:
    """Acceptance 10: each gets the error once, in whichever order they are closed."""
    before = sys.excepthook
    one, other = make_errors(), make_errors()
    one.client.install_exception_hooks()
    other.client.install_exception_hooks()
    uncaught(ValueError("x"))
    one.client.close()
    uncaught(ValueError("y"))
    assert (len(one.events), len(other.events), len(seen)) == (1, 2, 2)
    other.client.close()
    assert sys.excepthook is before


def test_at_a_prompt_nothing_is_captured(
    make_errors: Callable[..., Errors], seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acceptance 10: whoever types sees the error; unless it is asked for."""
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    errors, eager = make_errors(), make_errors()
    errors.client.install_exception_hooks()
    eager.client.install_exception_hooks(interactive=True)
    uncaught(ValueError("x"))
    assert (len(errors.events), len(eager.events), len(seen)) == (0, 1, 1)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_the_end_of_a_program_is_no_error(
    errors: Errors, seen: list[Any], error: BaseException
) -> None:
    """Ctrl-C goes to the hook that was there."""
    errors.client.install_exception_hooks()
    uncaught(error)
    assert errors.events == []
    assert len(seen) == 1


def test_what_was_there_is_called_even_if_capturing_fails(
    errors: Errors, seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what that raises is the host's."""
    errors.client.install_exception_hooks()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(errors.client.error_tracker, "capture", interrupted)
    with pytest.raises(KeyboardInterrupt):
        uncaught(ValueError("x"))
    assert len(seen) == 1


def test_a_closed_client_installs_nothing(errors: Errors, seen: list[Any]) -> None:
    """Nobody would take its hooks out again."""
    before = sys.excepthook
    errors.client.close()
    errors.client.install_exception_hooks()
    handler = errors.client.install_logging("shop.closed")
    assert sys.excepthook is before
    assert handler not in logging.getLogger("shop.closed").handlers
    assert seen == []


def test_odd_arguments_of_a_hook_are_passed_on(errors: Errors, seen: list[Any]) -> None:
    """Programs call hooks by hand, and not always right."""
    errors.client.install_exception_hooks(unraisable=True)
    sys.excepthook(None, None, None)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):  # of the hook that was there before
        threading.excepthook(3)  # type: ignore[arg-type]
    assert len(seen) == 1
    assert errors.events == []


# -- threads -----------------------------------------------------------------------------------


def end_thread_with(error: BaseException) -> None:
    """Run a thread that ends under *error*."""

    def fail() -> None:
        raise error

    thread = threading.Thread(target=fail, name="cart-worker")
    thread.start()
    thread.join()


def test_an_error_that_ends_a_thread_is_captured(errors: Errors, seen: list[Any]) -> None:
    """With the thread's name; its number would not fit PostHog's."""
    errors.client.install_exception_hooks()
    error = ValueError("x")
    end_thread_with(error)
    assert seen == [error]
    event = errors.event
    assert (event["level"], event["source"]) == ("error", "python.threading_excepthook")
    assert event["properties"]["thread_name"] == "cart-worker"
    assert errors.frames[-1]["function"] == "fail"


def test_a_thread_may_exit(errors: Errors, seen: list[Any]) -> None:
    """``sys.exit()`` in a thread is how it ends."""
    errors.client.install_exception_hooks()
    end_thread_with(SystemExit(1))
    assert errors.events == []
    assert len(seen) == 1


def test_a_thread_hook_without_a_value_is_enough(errors: Errors, seen: list[Any]) -> None:
    """The documentation allows it."""
    errors.client.install_exception_hooks()
    for kind in (ValueError, SystemExit):
        args = SimpleNamespace(exc_type=kind, exc_value=None, exc_traceback=None, thread=None)
        threading.excepthook(args)  # type: ignore[arg-type]
    assert errors.entries[0]["type"] == "ValueError"
    assert len(seen) == 2


# -- finalisers --------------------------------------------------------------------------------


class Falls:
    def __del__(self) -> None:
        raise ValueError("in a finaliser")


def test_an_error_in_a_finaliser_is_captured_if_asked_for(
    make_errors: Callable[..., Errors], seen: list[Any]
) -> None:
    """With the value and the traceback; without those there is nothing to tell."""
    quiet, errors = make_errors(), make_errors()
    quiet.client.install_exception_hooks()
    errors.client.install_exception_hooks(sys=False, threading=False, unraisable=True)
    Falls()
    gc.collect()
    assert quiet.events == []
    assert errors.event["source"] == "python.unraisablehook"
    assert errors.entries[0]["value"] == "in a finaliser"
    unraisable = SimpleNamespace(
        exc_type=ValueError, exc_value=None, exc_traceback=None, err_msg=None, object=None
    )
    sys.unraisablehook(unraisable)  # type: ignore[arg-type]
    assert len(errors.events) == 1
    assert len(seen) == 2


# -- event loops -------------------------------------------------------------------------------


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop of each make."""
    made = request.param()
    yield made
    made.close()


async def fail() -> None:
    raise ValueError("in a task")


async def forget_a_task() -> None:
    """Start a task that fails, and never ask for its result."""
    task = asyncio.get_running_loop().create_task(fail())
    await asyncio.wait([task])
    del task
    gc.collect()


async def fail_in_a_callback() -> None:
    loop = asyncio.get_running_loop()
    loop.call_soon(lambda: 1 / 0)
    await asyncio.sleep(0)  # the callback's turn of the loop
    await asyncio.sleep(0)  # and one more


@pytest.mark.parametrize(
    ("work", "value"), [(forget_a_task, "in a task"), (fail_in_a_callback, "division by zero")]
)
def test_an_error_in_a_loop_is_captured(
    errors: Errors, loop: asyncio.AbstractEventLoop, work: Callable[[], Any], value: str
) -> None:
    """Of tasks nobody asks for, and of callbacks; the handler that was there sees it, too."""
    contexts: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))

    async def main() -> None:
        errors.client.install_asyncio()
        errors.client.install_asyncio()
        await work()

    loop.run_until_complete(main())
    assert errors.entries[0]["value"] == value
    assert errors.event["source"] == "python.asyncio_exception_handler"
    assert errors.entries[0]["mechanism"]["type"] == "onunhandledrejection"
    assert len(contexts) == 1


def test_a_loops_handler_comes_and_goes(
    make_errors: Callable[..., Errors], loop: asyncio.AbstractEventLoop
) -> None:
    """Restored where it is still ours; where a foreign one came on top, it passes on."""
    one, other = make_errors(), make_errors()
    contexts: list[dict[str, Any]] = []

    def before(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        contexts.append(context)

    loop.set_exception_handler(before)
    one.client.install_asyncio(loop)
    other.client.install_asyncio(loop)
    one.client.close()
    loop.call_exception_handler({"message": "m", "exception": ValueError("x")})
    assert (len(one.events), len(other.events), len(contexts)) == (0, 1, 1)
    other.client.close()
    loop.call_exception_handler({"message": "m", "exception": ValueError("y")})
    assert (len(other.events), len(contexts)) == (1, 2)


def test_without_a_handler_the_loop_logs_as_ever(
    errors: Errors, loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    """And with logging installed the error is still captured once."""
    errors.client.install_asyncio(loop)
    errors.client.install_logging()
    loop.call_exception_handler({"message": "nobody asked", "exception": ValueError("x")})
    loop.call_exception_handler({"message": "no exception in this"})
    assert [event["source"] for event in errors.events] == [
        "python.asyncio_exception_handler",
        "python.logging",
    ]
    assert "nobody asked" in caplog.text


def test_hooks_may_include_the_running_loop(errors: Errors, seen: list[Any]) -> None:
    """Only where one runs: there is no hook for those to come."""

    async def main() -> None:
        errors.client.install_exception_hooks(asyncio=True)
        await forget_a_task()

    with pytest.raises(RuntimeError):
        errors.client.install_exception_hooks(asyncio=True)
    with contextlib.suppress(RuntimeError):
        asyncio.run(main())
    assert errors.entries[0]["value"] == "in a task"
    assert seen == []


def test_an_error_in_logging_hook_and_middleware_is_one_event(
    errors: Errors, seen: list[Any]
) -> None:
    """Acceptance 7: the same object, wherever it passes."""
    errors.client.install_exception_hooks()
    errors.client.install_logging()
    error = raised(ValueError("x"))
    ids = {errors.capture(error, mechanism_type="middleware", handled=False)}
    logging.getLogger("shop").error("request failed", exc_info=error)
    uncaught(error)
    assert [event["messageId"] for event in errors.events] == list(ids)
    assert errors.counts == {"captured": 1, "duplicate": 2}
    assert len(seen) == 1
