"""
Where things are in a store.

    STORE/
        serve.lock                     held by `penstock serve`
        pipeline.lock                  held by the pipeline process
        sealed.json                    how far each lane is sealed, see `penstock.collector.ledger`
        log/lane-<UUIDv7>/...          requests, see `penstock.collector.log`
        events/date=2026-11-21/source=web/<lane>-<first>-<last>.parquet
        quarantine/date=.../source=.../<lane>-<first>-<last>.parquet

The date is the day (UTC) on which the request arrived, not the one the event tells: importing a
year of history makes one partition, not 365, and what arrived last is in the newest files.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVENTS = "events"
QUARANTINE = "quarantine"
_SUFFIX = ".parquet"
#: Files still being written; no reader takes them.
TEMPORARY = ".tmp"


class SealedFile(NamedTuple):
    """A Parquet file, read off its name."""

    path: Path
    lane: str
    first: int
    #: The last log ordinal whose events may be in it.
    last: int


class Layout(NamedTuple):
    """The paths below a store's root."""

    root: Path

    @property
    def log(self) -> Path:
        """The request log."""
        return self.root / "log"

    @property
    def sealed(self) -> Path:
        """How far each lane is sealed."""
        return self.root / "sealed.json"

    @property
    def serve_lock(self) -> Path:
        """Held by the serving process."""
        return self.root / "serve.lock"

    @property
    def pipeline_lock(self) -> Path:
        """Held by the pipeline process."""
        return self.root / "pipeline.lock"

    def file(self, table: str, day: str, source: str, run: tuple[str, int, int]) -> Path:
        """
        The file for one table, day and source out of a run of the log.

        Args:
            table: `EVENTS` or `QUARANTINE`.
            day: ``YYYY-MM-DD``.
            source: The source's name.
            run: ``(lane, first ordinal, last ordinal)``.
        """
        lane, first, last = run
        name = f"{lane}-{first:012d}-{last:012d}{_SUFFIX}"
        return self.root / table / f"date={day}" / f"source={source}" / name

    def files(self, table: str, since_day: str = "") -> Iterator[SealedFile]:
        """
        The Parquet files of a table, in no order.

        Args:
            table: `EVENTS` or `QUARANTINE`.
            since_day: Leave out partitions of earlier days.
        """
        for day in _children(self.root / table, "date="):
            if day.name >= f"date={since_day}":
                for source in _children(day, "source="):
                    yield from (f for f in map(_parsed, source.iterdir()) if f is not None)

    def leftovers(self) -> Iterator[Path]:
        """Files that were being written when their writer died."""
        for table in (EVENTS, QUARANTINE):
            yield from (self.root / table).glob(f"date=*/source=*/*{TEMPORARY}")


def day_of(received_ms: int) -> str:
    """The partition of a request received at this many milliseconds since 1970."""
    return datetime.fromtimestamp(received_ms / 1000, UTC).strftime("%Y-%m-%d")


def _children(directory: Path, prefix: str) -> list[Path]:
    try:
        return [path for path in directory.iterdir() if path.name.startswith(prefix)]
    except FileNotFoundError:
        return []


def _parsed(path: Path) -> SealedFile | None:
    """Read a file name; None for what is not one of ours."""
    if path.suffix != _SUFFIX:
        return None
    lane, _, rest = path.stem.rpartition("-")
    lane, _, first = lane.rpartition("-")
    if not (lane and first.isdecimal() and rest.isdecimal()):
        return None
    return SealedFile(path, lane, int(first), int(rest))
