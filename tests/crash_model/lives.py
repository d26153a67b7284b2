"""A life of a journal in which everything happens once: for trying a crash at every point of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crash_model.oracle import DESTINATIONS

if TYPE_CHECKING:
    from crash_model.process import Process
    from crash_model.world import World

#: Two of these and their headers fit a segment of 4 KiB with room for a small one.
_LARGE = 1500


def full_life(world: World, fsync: str, *, native: bool) -> None:
    """Two processes die, a third delivers what all of them left."""
    for part in (_first, _second, _third):
        part(world, world.start(fsync, native=native))


def _first(world: World, process: Process) -> None:
    """Appends of every kind, answers of every kind, a void, a nested append, dead in the middle."""
    _append(world, process, 4, 20)
    process.refuse("too_large")
    process.take(0, "aaaa", 3)
    process.settle(0, ["delivered", "rejected", "excluded"])
    process.interrupt_at(1, before=True)
    process.append(world.event("interrupted before its header"))
    process.interrupt_at(1, before=False)
    process.append(world.event("interrupted after its header"))
    process.nest_at(1, world.event("inner"))
    process.append(world.event("outer"))
    _append(world, process, 2, _LARGE)
    process.prepare()
    _append(world, process, 4, _LARGE)
    process.take(0, "aaaa", 5)
    process.take(0, "aaaa", 5)
    process.settle(1, ["delivered"])
    process.settle(0, ["delivered", ""])
    process.take(0, "bbbb", 9)
    process.settle(-1, ["delivered"])
    process.reclaim()
    process.die_at(1, 0.5, backwards=False)
    _append(world, process, 1, 300)


def _second(world: World, process: Process) -> None:
    """A lane of its own up to the cap, room made by force; it adopts, and dies before it sends."""
    _append(world, process, 1, _LARGE)
    process.prepare()
    _append(world, process, 20, _LARGE)
    process.take(0, "aaaa", 3)
    process.settle(0, ["delivered"])
    process.drop_oldest()
    _append(world, process, 1, 30)
    process.nest_at(2, world.event("in the making of a segment"))
    _append(world, process, 3, _LARGE)
    process.sync()
    process.adopt()
    process.settle(0, ["delivered"])
    process.take(0, "bbbb", 2)
    process.take(1, "aaaa", 2)
    process.settle(-1, ["expired", "delivered"])
    process.die()


def _third(world: World, process: Process) -> None:
    """It adopts both, delivers everything, removes them, and ends in good order."""
    _append(world, process, 2, 30)
    process.adopt()
    for _ in range(12):
        for identity in DESTINATIONS:
            for lane in range(3):
                process.take(lane, identity, 7)
        while process.jobs:
            process.settle(0, ["delivered"])
        process.reclaim()
    process.retire()
    _append(world, process, 1, 30)
    process.close()


def _append(world: World, process: Process, count: int, size: int) -> None:
    for _ in range(count):
        if not process.dead:
            process.append(world.event("x" * size))
