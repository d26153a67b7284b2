"""Where lives can die: each is lived once, traced, over what killed processes left."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from deaths.board import Board
from deaths.counter import Desk, Plan
from deaths.forked import in_child
from deaths.lives import LIVES, Life, Setting, begin, survive
from deaths.points import Point, Survey


class Points:
    """
    Where lives can die.

    Args:
        passed: How often each point of a life was passed in a survey: ``{life: {point: times}}``.
    """

    def __init__(self, passed: dict[str, dict[Point, int]]) -> None:
        self._passed = passed
        self._chosen: dict[tuple[tuple[str, ...], ...], list[tuple[str, Point, int]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._passed.values()))

    def of(self, lives: tuple[str, ...], phases: tuple[str, ...]) -> list[tuple[str, Point, int]]:
        """``(life, point, times)`` for these lives and phases; none means all."""
        wanted = (lives, phases)
        if wanted not in self._chosen:
            self._chosen[wanted] = [
                (kind, point, times)
                for kind in lives or self._passed
                for point, times in self._passed[kind].items()
                if not phases or point.phase in phases
            ]
        return self._chosen[wanted]


def survey(port: int) -> Points:
    """Live every life once, traced, each over what a killed one left."""
    return Points({kind: _surveyed(kind, port) for kind in LIVES})


def _surveyed(kind: str, port: int) -> dict[Point, int]:
    """Points of one life; those of its children are among them."""
    with TemporaryDirectory(prefix="deaths-") as directory:
        setting = Setting(f"{directory}/journal", port, f"survey-{kind}", destinations=2)
        for number in range(2):
            in_child(lambda number=number: _leave_something(setting, number))  # type: ignore[misc]
        pid = os.fork()
        if pid == 0:
            _trace_life(kind, setting, Path(directory))
        os.waitpid(pid, 0)
        in_child(lambda: survive(setting))
        Desk(port).take(setting.keys)
        found: Counter[Point] = Counter()
        for path in Path(directory).glob("points-*.json"):
            found.update({Point(*place): times for place, times in json.loads(path.read_text())})
    return dict(found)


def _leave_something(setting: Setting, number: int) -> None:
    """Die with events in flight and events not sent."""
    Desk(setting.port).plan(dict.fromkeys(setting.keys, Plan(wait_s=0.05)))
    life = Life(setting, number, Board(), number)
    client = life.client()
    life.track(client, 60)
    Desk(setting.port).plan(dict.fromkeys(setting.keys, Plan()))
    os.kill(os.getpid(), signal.SIGKILL)


def _trace_life(kind: str, setting: Setting, directory: Path) -> NoReturn:
    """One life to its natural end; each of its processes writes what it passed."""
    try:
        begin()
        points = Survey()
        points.start()
        LIVES[kind](Life(setting, 2, Board(), 7))
        sys.settrace(None)
        rows = list(points.counts.items())
        (directory / f"points-{os.getpid()}.json").write_text(json.dumps(rows))
    finally:
        os._exit(0)
