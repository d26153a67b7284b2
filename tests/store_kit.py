"""A collector's store in this process: its log written, its pipeline run, one step at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collector_kit import NOW, entry, track
from penstock.collector.config import Keeping, Sealing
from penstock.collector.layout import Layout
from penstock.collector.log.lane import LaneLog
from penstock.collector.store.pipeline import Pipeline

if TYPE_CHECKING:
    from pathlib import Path

#: More than any test writes into a log.
LIMIT = 1 << 30
NEVER = Sealing(seconds=1e9)
AT_ONCE = Sealing(seconds=0.0)


def lane(layout: Layout, **sizes: int) -> LaneLog:
    """A log that a worker begins."""
    return LaneLog(layout.log, limit_bytes=LIMIT, **sizes)


def send(log: LaneLog, *messages: object, **head: Any) -> None:
    """One request with these messages."""
    log.append(entry({"batch": messages}, count=len(messages), **head), int(NOW))


def write(log: LaneLog, *numbers: int, **head: Any) -> None:
    """One request with a track message per number."""
    send(log, *map(track, numbers), **head)


def ids(*numbers: int) -> list[str]:
    """Of the track messages with these numbers."""
    return [track(number)["messageId"] for number in numbers]


def pipeline(layout: Layout, sealing: Sealing = AT_ONCE) -> Pipeline:
    """A pipeline that has just been started."""
    made = Pipeline(layout, Keeping(sealing=sealing), clock=lambda: NOW)
    made.start()
    return made


class Scene:
    """A log and a pipeline that lives ten seconds after what is written."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root)
        self.log = lane(self.layout)
        self.pipeline = Pipeline(self.layout, Keeping(sealing=AT_ONCE), clock=self.now)
        self.pipeline.start()

    @staticmethod
    def now() -> float:
        return NOW + 10

    def append(self, payload: bytes) -> None:
        """An entry, as safe as an answered request is."""
        self.log.append(payload, int(NOW))
        self.log.sync()

    def end_lane(self) -> None:
        """The worker ends, and another begins."""
        self.log.close()
        self.log = lane(self.layout)

    def close(self) -> None:
        self.pipeline.close()
        self.log.close()
