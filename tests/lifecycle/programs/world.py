"""
A life in steps. Arguments: the dialect, then steps as ``name`` or ``name:argument``.

What a step does is said by the function of its name, here or in `machine_faults`. After the last
one the program ends by the main module's end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from importlib import import_module
from typing import TYPE_CHECKING, Any

import machine_faults
from common import report, tell

from penstock import Client, Config, Dreamdata, PostHog, RudderStack, Segment
from penstock.config import Block, Retry
from penstock.transport.tls import Tls

if TYPE_CHECKING:
    from collections.abc import Callable

KEY, SINK, SECRET = os.environ["WRITE_KEY"], os.environ["SINK"], os.environ["SECRET"]
#: Open from the start: there may be no descriptor left when they are needed.
IDS = os.open(os.environ["IDS"], os.O_WRONLY | os.O_APPEND)
DEATHS = os.open(os.environ["DEATHS"], os.O_WRONLY | os.O_APPEND)
DESTINATIONS: dict[str, Callable[[], Any]] = {
    "segment": lambda: Segment(KEY, endpoint=SINK),
    "rudderstack": lambda: RudderStack(KEY, SINK),
    "dreamdata": lambda: Dreamdata(KEY, endpoint=SINK),
    "posthog": lambda: PostHog(KEY, SINK),
    "posthog_v1": lambda: PostHog(KEY, SINK, capture_mode="v1"),
}


class Callback:
    """Writes down every death before anything else can happen."""

    def success(self, _message: object) -> None:
        """The sink knows."""

    def failure(self, message: dict[str, Any], error: Any) -> None:
        """One line: id and reason."""
        os.write(DEATHS, f"{message['messageId']} {error.reason}\n".encode())


class Wall:
    """A clock whose time of day can be set; the other one runs on, as the kernel's does."""

    monotonic = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self.offset = 0.0

    def time(self) -> float:
        """Seconds since 1970, as set."""
        return time.time() + self.offset


WALL = Wall()


def opened(dialect: str, *, with_clock: bool) -> Client:
    """A quick client; ``SETTINGS`` in the environment are JSON."""
    quick = {"interval": 0.02, "timeout": 0.5, "exit_timeout": 0.4}
    settings = quick | json.loads(os.environ.get("SETTINGS", "{}"))
    if isinstance(settings.get("overflow"), float):
        settings["overflow"] = Block(settings["overflow"])
    return Client(
        DESTINATIONS[dialect](),
        config=Config(
            callback=Callback(),
            retry=Retry(base=0.02, cap=0.2),
            clock=WALL if with_clock else None,
            tls=Tls(ca_file=os.environ["CA_FILE"]) if "CA_FILE" in os.environ else None,
            **settings,
        ),
    )


class Life:
    """
    The steps; each is a method, called with its argument.

    Args:
        client: What is tried.
    """

    def __init__(self, client: Client) -> None:
        self.client = client

    def track(self, count: str) -> None:
        """Track so many events; an exception is told, since there must be none."""
        raised = Counter[str]()
        began = time.monotonic()
        for number in range(int(count)):
            try:
                id_ = self.client.track(f"user-{number}", "Order Completed", PROPERTIES)
            except Exception as error:  # noqa: BLE001 - that is the question
                raised[f"track: {type(error).__name__}: {error}"] += 1
            else:  # at once: there may be no memory for a list of them
                os.write(IDS, f"{id_}\n".encode())
        if raised:
            tell("raised", raised)
        tell("tracked_s", time.monotonic() - began)

    def poison(self, _argument: str) -> None:
        """Track one event that the server refuses."""
        id_ = self.client.track("user-0", "Poison", PROPERTIES)
        os.write(IDS, f"{id_}\n".encode())

    def flush(self, timeout: str) -> None:
        """Flush, and tell the excess over the timeout."""
        self._timed(self.client.flush, float(timeout))

    def close(self, timeout: str) -> None:
        """Close; the same."""
        self._timed(self.client.close, float(timeout))

    def _timed(self, call: Callable[[float], Any], timeout: float) -> None:
        began = time.monotonic()
        try:
            call(timeout)
        except Exception as error:  # noqa: BLE001 - that is the question
            tell("raised", {f"{call.__name__}: {type(error).__name__}: {error}": 1})
        tell("over_s", max(0.0, time.monotonic() - began - timeout))
        report(self.client)

    def settle(self, timeout: str) -> None:
        """Live until everything is settled, without asking for it."""
        deadline = time.monotonic() + float(timeout)
        while self.client.ledger().pending and time.monotonic() < deadline:
            time.sleep(0.005)  # between two looks, with a deadline
        report(self.client)

    def wait(self, seconds: str) -> None:
        """Live for a while: some things are tried again only after a time."""
        time.sleep(float(seconds))  # the time under test

    def host_imports(self, module: str) -> None:
        """The host has imported a module before it opened its client."""
        import_module(module)

    def clock(self, seconds: str) -> None:
        """Somebody sets the time of day."""
        WALL.offset += float(seconds)

    def ready(self, _argument: str) -> None:
        """Wait for the test to do something: it sends SIGUSR1 when that is done."""
        tell("ready", time.monotonic())
        signal.sigwait({signal.SIGUSR1})

    def fork(self, count: str) -> None:
        """A child that tracks and ends as job runners end; the parent tracks meanwhile."""
        child = os.fork()
        self.track(count)
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)

    def plain(self, _argument: str) -> None:
        """The main module returns."""

    def sigkill(self, _argument: str) -> None:
        """Killed by the kernel."""
        os.kill(os.getpid(), signal.SIGKILL)

    def sigterm(self, _argument: str) -> None:
        """Stopped by a deploy; the default action."""
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

    def os_exit(self, _argument: str) -> None:
        """No exit handler runs."""
        os._exit(0)

    def exception(self, _argument: str) -> None:
        """Nobody catches it."""
        raise RuntimeError("the host application's own fault")

    def sys_exit(self, _argument: str) -> None:
        """An exit code."""
        sys.exit(3)


PROPERTIES = {"secret": SECRET, "total": 143.25, "note": "Überraschung", "blob": "x" * 300}


def main(dialect: str, *steps: str) -> None:
    """One step after the other."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    life = Life(opened(dialect, with_clock=any(step.startswith("clock") for step in steps)))
    for step in steps:
        name, _, argument = step.partition(":")
        act = getattr(life, name, None) or getattr(machine_faults, name)
        act(argument)
    tell("ended_at", time.monotonic())


main(*sys.argv[1:])
