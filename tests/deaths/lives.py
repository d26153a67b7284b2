"""What the processes do that are killed: short lives of the programs that use a client."""

from __future__ import annotations

import faulthandler
import logging
import os
import random
import signal
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from deaths import points
from deaths.events import content, user_of
from penstock import Client, Config, RudderStack, Segment
from penstock.config import Retry

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from deaths.board import Board

#: A life that takes longer hangs: it tells its threads' stacks and ends with code 1.
HANGS_S = 30.0
#: Sizes of events in bytes, about.
SMALL = range(40, 800)
BIG = range(10_000, 25_000)
#: The writer that tracks in a signal handler.
HANDLER = 9


class Setting(NamedTuple):
    """What all lives of one journal share: identities come from addresses and keys."""

    journal: str
    port: int
    key: str
    destinations: int = 1
    concurrency: int = 4
    batch_size: int = 10

    @property
    def keys(self) -> list[str]:
        """A key for each destination."""
        return [f"{self.key}-{number}" for number in range(self.destinations)]

    def client(self, **settings: object) -> Client:
        """A client on this journal; quick, so that a short life sees everything."""
        url = f"http://127.0.0.1:{self.port}"
        both = [Segment(self.keys[0], endpoint=url)]
        both += [RudderStack(key, url) for key in self.keys[1:]]  # type: ignore[misc]
        config = Config(
            journal=self.journal,
            interval=0.006,
            batch_size=self.batch_size,
            concurrency=self.concurrency,
            retry=Retry(base=0.01, cap=0.05),
            **settings,  # type: ignore[arg-type]
        )
        return Client(*both, config=config)


class Life:
    """
    One process's life.

    Args:
        setting: Of its journal.
        number: Among the lives of the journal.
        board: Where it notes.
        seed: Of what it does.
    """

    def __init__(self, setting: Setting, number: int, board: Board, seed: int) -> None:
        self.number = number
        self.board = board
        self.random = random.Random(seed)
        self.callback = board.callback(0)
        self._logger = _complaining(board)
        self._setting = setting

    def client(self) -> Client:
        """Start one."""
        return self._setting.client(callback=self.callback, logger=self._logger)

    def track(self, client: Client, count: int, *, writer: int = 0, sizes: range = SMALL) -> None:
        """Track *count* events, with a pause now and then in which the senders get on."""
        for _ in range(count):
            self.track_one(client, writer, self.random.choice(sizes))
            if self.random.random() < 0.15:
                time.sleep(0.001)  # a host program does other things too

    def track_one(self, client: Client, writer: int, size: int) -> None:
        """Track an event and note it."""
        number = self.board.attempt(writer)
        user = user_of(self.number, writer, number)
        id_ = client.track(user, "Order Completed", content(user, size))
        self.board.note(writer, number, id_)

    def wait(self) -> None:
        """Let the senders work."""
        self.board.stage("waiting")
        time.sleep(self.random.uniform(0.005, 0.02))  # the life's own length, not a condition


def burst(life: Life) -> None:
    """Track small events, then idle while they are sent."""
    client = life.client()
    life.board.stage("tracking")
    life.track(client, life.random.randint(5, 60))
    life.wait()


def big(life: Life) -> None:
    """Track big events: a segment is full after some fifty of them."""
    client = life.client()
    life.board.stage("tracking")
    life.track(client, life.random.randint(60, 140), sizes=BIG)
    life.wait()


def threads(life: Life) -> None:
    """Track from eight threads at once."""
    client = life.client()
    life.board.stage("tracking")
    all_ = [
        threading.Thread(target=life.track, args=(client, 25), kwargs={"writer": n})
        for n in range(8)
    ]
    for thread in all_:
        thread.start()
    for thread in all_:
        thread.join()
    life.wait()


def forks(life: Life) -> None:
    """Track, fork, track in both; the child forks again now and then."""
    client = life.client()
    life.board.stage("tracking")
    life.track(client, life.random.randint(0, 12))
    for generation in (1, 2):
        child = os.fork()
        if child:
            life.track(client, life.random.randint(1, 12), writer=generation - 1)
            life.wait()
            os.waitpid(child, 0)
            return
        life.callback.process = generation
        life.track(client, life.random.randint(1, 12), writer=generation)
    life.wait()


def recovery(life: Life) -> None:
    """Start after a crash: little to track, much to deliver."""
    client = life.client()
    life.board.stage("flushing")
    life.track(client, life.random.randint(0, 3))
    client.flush(timeout=0.1)
    life.wait()


def closing(life: Life) -> None:
    """Track, flush, track, close in time or not."""
    client = life.client()
    life.board.stage("tracking")
    life.track(client, life.random.randint(1, 25))
    life.board.stage("flushing")
    client.flush(timeout=0.05)
    life.track(client, life.random.randint(1, 25))
    life.board.stage("closing")
    life.board.leave()
    client.close(timeout=life.random.choice((0.0, 0.003, 0.1)))


def handlers(life: Life) -> None:
    """Track while a signal handler tracks as well."""
    client = life.client()
    life.board.stage("tracking")

    def handler(_number: int, interrupted: FrameType | None) -> None:
        # A trap is Python code between two instructions of a call, where nothing else lets a
        # handler run: there it would see what no program without a tracer can see.
        if interrupted is None or interrupted.f_code.co_filename != points.__file__:
            life.track_one(client, HANDLER, 100)
        signal.setitimer(signal.ITIMER_REAL, 0.0005)  # never while one is running

    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    life.track(client, life.random.randint(20, 60))
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    life.wait()


LIVES: dict[str, Callable[[Life], None]] = {
    f.__name__: f for f in (burst, big, threads, forks, recovery, closing, handlers)
}


def begin() -> None:
    """In the new process, before anything else: a group of its own, and no life hangs for ever."""
    os.setpgid(0, 0)
    faulthandler.dump_traceback_later(HANGS_S, exit=True)


def survive(setting: Setting) -> list[str]:
    """
    Deliver everything, as the process that is started last.

    Returns:
        What is wrong afterwards.
    """
    deadline = time.monotonic() + HANGS_S / 2
    wrong: list[str] = []
    while time.monotonic() < deadline:
        client = setting.client()
        client.flush(timeout=10.0)
        ledger = client.close(timeout=5.0)
        wrong = [] if ledger.balanced else [f"the ledger does not balance: {ledger.to_dict()}"]
        if ledger.pending:
            wrong.append(f"{ledger.pending} events are pending for ever")
        elif not _lanes(setting):
            break
    return [*wrong, *(f"{name} was never retired" for name in _lanes(setting))]


def _lanes(setting: Setting) -> list[str]:
    from pathlib import Path

    return [path.name for path in Path(setting.journal).glob("*/lane-*")]


def _complaining(board: Board) -> logging.Logger:
    """A logger whose errors are kept on *board*; a client's warnings are part of its life."""

    class ToBoard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            board.complain(record.getMessage())

    logger = logging.getLogger("deaths")
    logger.setLevel(logging.ERROR)
    logger.addHandler(ToBoard())
    return logger
