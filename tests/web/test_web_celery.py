"""Celery, with a real broker and a real worker: who a task is about, and where that ends."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from web_servers import DEADLINE

from faults.host import PACKAGE_ROOT
from penstock.scope import CURRENT
from penstock.testing import MemoryClient, captured_client
from penstock.web.celery import HEADER, install
from redis_server import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Caught
    from faults.host import Host

APPS = Path(__file__).parent / "apps"
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR")
DEVICE = "0b2c1c1e-1111-4111-8111-111111111111"


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """Where a Redis server of its own listens."""
    with redis_server() as place:
        yield f"redis+socket://{place}"


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_task_is_about_whoever_queued_it(host: Host, broker: str, pool: str) -> None:
    """Acceptance 21: through Redis; nothing is left to the next task, however one ends."""
    worker = host.launch(
        *(sys.executable, "-m", "celery", "-A", "web_tasks", "worker"),
        *(*QUIET, "--pool", pool, "-c", "1"),
        environment={"PYTHONPATH": f"{PACKAGE_ROOT}:{APPS}", "BROKER": broker},
    )
    names = ["sale", "ignored", "rejected", "throws", "fails", "retried"]
    with captured_client() as client, Celery(broker=broker) as app:
        installed = install(app, client, tags=["plan"])
        try:
            for number, name in enumerate(names):
                with client.request_context(
                    user_id=f"u{number}",
                    anonymous_id=DEVICE,
                    session_id="s1",
                    tags={"plan": "pro", "email": "kim@example.com"},
                ):
                    app.send_task(f"web_tasks.{name}")
                app.send_task("web_tasks.sale")  # about nobody
            with client.request_context(consent="off"):
                app.send_task("web_tasks.sale")
        finally:
            installed.uninstall()
        count = 2 * len(names) + 2  # the retry's second attempt, the error
        host.sink.wait_for_events(count, DEADLINE)
    worker.signal(signal.SIGTERM)
    assert worker.wait().returncode == 0, worker.output
    events = host.sink.events
    assert len(events) == count, "consent travels: a task that is off says nothing"
    known = [event for event in events if "userId" in event]
    seen = sorted((event["event"], event["userId"]) for event in known)
    assert seen == [
        ("Exception Captured", "u4"),
        ("Fails", "u4"),
        ("Ignored", "u-leaked"),
        ("Rejected", "u-leaked"),
        ("Retried", "u5"),
        ("Retried", "u5"),
        ("Sale", "u0"),
        ("Throws", "u3"),
    ]
    for event in known:
        assert event["context"]["sessionId"] == "s1"
        assert event["context"]["tags"]["plan"] == "pro"
        assert "email" not in event["context"]["tags"]
    for event in events:
        if "userId" not in event:
            assert event["event"] == "Sale"
            assert event["context"] == {"tags": {"task": "web_tasks.sale"}, "personless": True}
    (error,) = [event for event in events if event["event"] == "Exception Captured"]
    assert error["context"]["tags"]["task"] == "web_tasks.fails"


# -- without a broker, where it makes no difference ------------------------------------------


@pytest.fixture
def celery_app(client: MemoryClient) -> Iterator[Celery]:
    with Celery("shop", broker="memory://", set_as_current=False) as app:
        app.conf.task_always_eager = True
        installed = install(app, client)
        yield app
        installed.uninstall()


def test_a_task_s_error_is_captured_with_its_context(
    client: MemoryClient, caught: list[Caught], celery_app: Celery
) -> None:
    """As unhandled, from the task."""

    @celery_app.task
    def broken() -> None:
        client.set_user("u1")
        raise RuntimeError

    broken.delay()
    ((error, options, scope),) = caught
    assert isinstance(error, RuntimeError)
    assert options == {
        "handled": False,
        "mechanism_type": "task",
        "source": "celery.task_failure",
    }
    assert scope is not None
    assert scope.user_id == "u1"
    assert CURRENT.get() is None


def test_a_task_called_in_a_request_gives_the_request_back(
    client: MemoryClient, celery_app: Celery
) -> None:
    """An eager task, and one that calls another, each in a boundary of its own."""

    @celery_app.task
    def inner() -> None:
        client.track("u-inner", "inner")

    @celery_app.task
    def outer() -> None:
        client.set_user("u-outer")
        inner.delay()
        client.track(event="outer")

    with client.request_context(user_id="u1"):
        outer.delay()
        client.track(event="after")
    assert [(event.event, event.user_id) for event in client.events] == [
        ("inner", "u-inner"),
        ("outer", "u-outer"),
        ("after", "u1"),
    ]


@pytest.mark.parametrize(
    "carried",
    [None, [], "text", {"user_id": []}, {"tags": "x"}, {"consent": "perhaps"}, {"session_id": {}}],
)
def test_any_header_is_survived(carried: Any) -> None:
    """The broker is another machine: what comes from it may be anything."""
    from penstock.web.celery import Installed

    class Request:
        def __init__(self) -> None:
            self.headers: Any = {HEADER: carried}

    class Task:
        name = "shop.sale"
        request = Request()

    with captured_client() as client:
        installed = Installed(client, (), 1.0)
        installed._begin(task_id="1", task=Task())
        boundary = CURRENT.get()
        assert boundary is not None
        client.track(event="e")
        installed._end(task_id="1")
        assert CURRENT.get() is None
        assert len(client.events) == 1


def test_what_fails_of_ours_fails_no_task(
    client: MemoryClient, celery_app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Queued and run as if nothing were installed."""
    done = []

    @celery_app.task
    def works() -> None:
        done.append(1)

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError

    for name in ("Boundary", "_header", "report"):
        monkeypatch.setattr(f"penstock.web.celery.{name}", broken)
    works.delay()
    assert done == [1]
