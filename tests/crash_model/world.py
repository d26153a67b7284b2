"""A machine: its disk, the processes that ever ran on it, and everything that happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from crash_model import image as images
from crash_model import reading
from crash_model.changes import Note, Store
from crash_model.loss import SECTORS, Chance
from crash_model.oracle import Event, Oracle
from crash_model.process import JOURNAL, Process
from crash_model.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crash_model.changes import Change
    from crash_model.image import Image


class Reset(NamedTuple):
    """The power went: this is what the disk held."""

    image: Image


class World:
    """
    One machine, from an empty disk on.

    Args:
        scratch: A directory for real files.

    Attributes:
        trace: Every change and every note since the world began.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._boots = 0
        self.trace: list[Change | Note | Reset] = []
        self.oracle = Oracle()
        self.numbers: dict[bytes, int] = {}
        self.processes: list[Process] = []
        self._boot({})

    def _boot(self, image: Image) -> None:
        self._boots += 1
        self.volume = Volume(image)
        self.root = self._scratch / f"disk-{self._boots}"
        images.write(image, self.root)

    @property
    def now(self) -> Moment:
        """This moment."""
        return Moment(self.volume, self.oracle, None)

    def start(self, fsync: str = "off", *, native: bool = False) -> Process:
        """Start a process."""
        process = Process(self, fsync, native=native)
        self.processes.append(process)
        return process

    @property
    def alive(self) -> list[Process]:
        """Processes that did not die yet."""
        return [process for process in self.processes if not process.dead]

    def event(self, filling: str = "", *, kind: int = 2, flags: int = 0) -> Event:
        """An event that differs from every other."""
        number = len(self.numbers) + 1
        payload = b'{"n":%d,"x":"%s"}' % (number, filling.encode())
        self.numbers[payload] = number
        return Event(kind, flags, 1_700_000_000 + number, payload)

    def number(self, event: Event) -> int:
        """Its number."""
        return self.numbers[event.payload]

    def written(self, lane: str, segment: int) -> list[int]:
        """Numbers of the events in a segment as it is now."""
        path = f"{JOURNAL}/{lane}/{segment:08d}.seg"
        content = self.volume.file(self.volume.find(path.split("/"))).data
        found = reading.records({path: bytes(content)})
        return [self.numbers[record.payload] for record in found]

    def tell(self, note: Note) -> None:
        """Write down what was called or promised."""
        self.trace.append(note)
        self.oracle.note(note)

    def lose_power(self, manner: str, seed: int) -> None:
        """Every process dies; the machine starts again with what its disk holds."""
        image = self.now.after(manner, seed)
        for process in self.alive:
            process.die()
        self._boot(image)
        self.trace.append(Reset(image))
        there = [self.numbers[record.payload] for record in reading.records(image)]
        self.tell(Note("power_lost", (tuple(there),)))

    def check_that_all_was_seen(self) -> None:
        """The modelled files are the real ones: nothing was written unseen."""
        assert images.read(self.root) == self.volume.cache()


def moments(trace: list[Change | Note | Reset]) -> Iterator[Moment]:
    """Everything that was ever on the disk of a world, before each change and at the end."""
    volume, oracle = Volume(), Oracle()
    for step in trace:
        if isinstance(step, Note):
            oracle.note(step)
        elif isinstance(step, Reset):
            volume = Volume(step.image)
        else:
            yield Moment(volume, oracle, step)
            volume.apply(step)
    yield Moment(volume, oracle, None)


class Moment(NamedTuple):
    """A moment between two changes. Only valid until the next one."""

    volume: Volume
    oracle: Oracle
    #: The change that comes next.
    ahead: Change | None

    def torn(self, share: float, *, backwards: bool) -> Image:
        """The page cache in the middle of the change that comes next."""
        if not isinstance(self.ahead, Store):
            return self.volume.cache()
        change = self.ahead.torn(share, backwards=backwards)
        file = self.volume.file(change.node)
        data = bytes(file.data)
        file.data[change.offset : change.offset + len(change.data)] = change.data
        image = self.volume.cache()
        file.data[:] = data
        return image

    def after(self, manner: str, seed: int) -> Image:
        """A disk after a power loss now."""
        chance = Chance(manner, seed, self.volume.time)
        return self.volume.after(chance, SECTORS[seed % len(SECTORS)])
