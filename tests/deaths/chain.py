"""
One journal and the processes that die over it, one after the other or several at once.

Whoever comes next adopts what the last ones left, and is killed as well, so most deaths find the
journal as other deaths left it. At the end one process lives, delivers everything, and the
account is made.
"""

from __future__ import annotations

import os
import random
import select
import signal
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from deaths.account import Account, Lived, reconcile
from deaths.board import Board
from deaths.counter import Desk, Plan
from deaths.dooms import ENDINGS, Doom
from deaths.forked import in_child
from deaths.lives import HANGS_S, LIVES, Life, Setting, begin, survive

if TYPE_CHECKING:
    from deaths.survey import Points

#: A point, a random moment, the middle of a store.
AIMS = ("point", "moment", "store")
#: Lives that are long enough for a random moment, in seconds.
_MOMENT_S = 0.045
#: Stores into mapped files of a short life.
_STORES = 150


class Order(NamedTuple):
    """What a chain is to try."""

    seed: int
    #: How many deaths.
    deaths: int
    #: Of `AIMS`, one of them for each death.
    aims: tuple[str, ...] = ("point",)
    #: Phases to die in; all when empty.
    phases: tuple[str, ...] = ()
    #: Lives to live; all when empty.
    lives: tuple[str, ...] = ()
    ending: str = "SIGKILL"
    #: Two destinations, one of which takes nothing until the last process.
    down: bool = False


@dataclass
class Outcome:
    """What came of a chain."""

    #: Deaths where the order asked for them, by phase or stage.
    deaths: Counter[str] = field(default_factory=Counter)
    #: Lives that got to their end before, and were killed there.
    missed: int = 0
    #: Different instructions at which a process died.
    places: set[str] = field(default_factory=set)
    events: int = 0
    lost: int = 0
    repeated: int = 0
    wrong: list[str] = field(default_factory=list)


class _Running(NamedTuple):
    pid: int
    number: int
    kind: str
    doom: Doom
    board: Board
    began_ms: float
    #: Reads as ended once every process of the life is gone.
    alive: int


class Chain:
    """
    The lives over one journal.

    Args:
        order: What to try.
        points: Where lives can die.
        port: The counter's.
        directory: For the journal.
    """

    def __init__(self, order: Order, points: Points, port: int, directory: str) -> None:
        self._order = order
        self._random = random.Random(order.seed)
        self._points = points.of(tuple(order.lives), tuple(order.phases))
        self._desk = Desk(port)
        self._journal = Path(directory)
        draw = self._random
        self._setting = Setting(
            directory,
            port,
            f"chain{order.seed}",
            destinations=2 if order.down else draw.choice((1, 2, 2)),
            concurrency=draw.choice((1, 2, 4)),
            batch_size=draw.choice((3, 10, 25)),
        )
        self._started = 0
        self._lives: list[Lived] = []
        self._outcome = Outcome()

    def run(self) -> Outcome:
        """Die, survive, reconcile."""
        keys = self._setting.keys
        plan = Plan(
            faulty=self._random.choice((0.0, 0.0, 0.1)), wait_s=self._random.choice((0.0, 0.004))
        )
        plans = dict.fromkeys(keys, plan)
        if self._order.down:
            plans[keys[-1]] = Plan(down=True)
        self._desk.plan(plans)
        left = self._order.deaths
        while left > 0:
            count = min(left, self._random.choice((1, 1, 1, 2, 3)))
            self._die_together([self._doom() for _ in range(count)])
            left -= count
        self._desk.plan(dict.fromkeys(keys, Plan()))
        self._outcome.wrong += in_child(lambda: survive(self._setting))
        return self._reconciled()

    def _reconciled(self) -> Outcome:
        stored = self._desk.take(self._setting.keys)
        account: Account = reconcile(self._setting, self._lives, stored, self._journal)
        out = self._outcome
        out.events, out.lost = account.events, len(account.lost)
        out.repeated = account.repeated
        out.wrong += account.wrong
        return out

    def _doom(self) -> tuple[str, Doom]:
        """A life and its end."""
        draw, order = self._random, self._order
        aim = draw.choice(order.aims)
        if aim == "point":
            kind, point, times = draw.choice(self._points)
            # Early ones are likelier: another run may pass the place less often.
            return kind, Doom(order.ending, point, 1 + int(times * draw.random() ** 3))
        kind = draw.choice(order.lives or tuple(LIVES))
        if aim == "store":
            nth = 1 + int(_STORES * draw.random() ** 2)
            return kind, Doom(order.ending, None, nth, draw.random())
        return kind, Doom(delay_s=draw.uniform(0.0, _MOMENT_S))

    # -- dying -----------------------------------------------------------------------------

    def _die_together(self, dooms: list[tuple[str, Doom]]) -> None:
        running = [self._start(kind, doom) for kind, doom in dooms]
        killed = self._kill(running)
        for one in running:
            self._bury(one, killed.get(one.pid), alone=len(running) == 1)

    def _start(self, kind: str, doom: Doom) -> _Running:
        board = Board()
        number, seed = self._started, self._random.getrandbits(32)
        self._started += 1
        began_ms = time.time() * 1000
        alive, held = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(alive)
            _live(kind, self._setting, number, board, seed, doom)
        os.close(held)
        return _Running(pid, number, kind, doom, board, began_ms, alive)

    def _kill(self, running: list[_Running]) -> dict[int, float]:
        """Kill those that do not end themselves, each in its moment; when each was killed."""
        killed = {}
        for one in sorted(running, key=lambda one: one.doom.delay_s):
            if not one.doom.is_chosen:
                wait = one.began_ms / 1000 + one.doom.delay_s - time.time()
                time.sleep(max(0.0, wait))  # until the moment of its death
                killed[one.pid] = time.time() * 1000
                os.kill(one.pid, signal.SIGKILL)
        return killed

    def _bury(self, one: _Running, killed_ms: float | None, *, alone: bool) -> None:
        """Wait for its end and that of its children; keep what it noted."""
        _, status = os.waitpid(one.pid, 0)
        hangs = not select.select([one.alive], [], [], HANGS_S + 10.0)[0]
        os.close(one.alive)
        code, name = os.waitstatus_to_exitcode(status), f"life {one.number} ({one.kind})"
        if hangs:
            self._outcome.wrong.append(f"a child of {name} hangs")
        if code not in {ENDINGS[one.doom.ending][1], -signal.SIGKILL}:
            self._outcome.wrong.append(f"{name} ended with {code}")
        if one.board.complaint:
            self._outcome.wrong.append(f"{name}: {one.board.complaint}")
        self._count(one, one.board)
        self._lives.append(_lived(one, killed_ms, alone=alone))
        one.board.close()

    def _count(self, one: _Running, board: Board) -> None:
        if not one.doom.is_chosen:
            self._outcome.deaths[board.stage_name] += 1
        elif board.died_at_ns:
            self._outcome.deaths[board.place.split(": ", 1)[0]] += 1
            self._outcome.places.add(board.place)
        else:
            self._outcome.missed += 1


def _lived(one: _Running, killed_ms: float | None, *, alone: bool) -> Lived:
    """What is known of a life that is over."""
    board, now_ms = one.board, time.time() * 1000
    ends = (board.died_at_ns, board.left_at_ns, board.ended_at_ns)
    return Lived(
        one.number,
        f"life {one.number} ({one.kind}), {board.place or board.stage_name}",
        one.began_ms,
        died_after_ms=min([at / 1e6 for at in ends if at] + [killed_ms or now_ms]),
        died_before_ms=now_ms,
        processes=3 if one.kind == "forks" else 1,
        # A close gives its requests up when its time is over.
        plain=alone and not board.left_at_ns,
        noted=dict(board.noted()),
        told=[(id_, at_ns / 1e6) for id_, at_ns in board.told()],
    )


def _live(kind: str, setting: Setting, number: int, board: Board, seed: int, doom: Doom) -> None:
    """The whole of one process; does not return."""
    try:
        begin()
        doom.arm(board)
        LIVES[kind](Life(setting, number, board, seed))
        board.stage("ended")
        board.end()
        if not doom.is_chosen:
            time.sleep(_MOMENT_S)  # until it is killed: this moment is as good as any
        os.kill(os.getpid(), signal.SIGKILL)
    except BaseException as error:  # noqa: BLE001 - a forked child must not return into its parent
        frames = [f"{f.name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
        board.complain(f"{error!r} in {' '.join(frames)}")
    finally:
        os._exit(1)
