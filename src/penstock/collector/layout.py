"""
Where things are in a store.

    STORE/
        serve.lock                     held by `penstock serve`
        pipeline.lock                  held by the pipeline process
        sealed.json                    which files count, see `penstock.collector.store.ledger`
        log/lane-<UUIDv7>/...          requests, see `penstock.collector.log.lane`
        fresh/events/<file>            what was sealed in the last seconds, all sources together
        fresh/quarantine/<file>
        events/date=2026-11-21/source=web/<file>
        quarantine/date=.../source=.../<file>
        configuration.toml             the configuration file as it last could be used
        outbox/<digest>/...            a journal per destination, see `collector.routing.router`
        destinations                   how they stand, see `collector.routing.standings`
        requests/<UUID>.json           what somebody wants done, see `collector.store.wishes`
        deletions/<UUID>.json          what was deleted on request, without the data
        recent/lane-<UUIDv7>/...       requests that are sealed, kept a while for the debugger

A file is called ``<number>-<first>-<last>-<rows>.parquet``: its number, the milliseconds since 1970
at which its first and its last row arrived, and how many there are. So the newest rows can be found
without opening a file.

The date is the day (UTC) on which the request arrived, not the one the event tells: importing a
year of history makes one partition, not 365, and what arrived last is in the newest files.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVENTS = "events"
QUARANTINE = "quarantine"
TABLES = (EVENTS, QUARANTINE)
FRESH = "fresh"
#: Files still being written; no reader takes them.
TEMPORARY = ".tmp"
_SUFFIX = ".parquet"
_NAME = re.compile(r"(\d+)-(-?\d+)-(-?\d+)-(\d+)\.parquet")


class Extent(NamedTuple):
    """What a file holds, as its name tells it."""

    #: Milliseconds since 1970 at which the first row arrived.
    first: int
    #: The same of the last row.
    last: int
    rows: int


class SealedFile(NamedTuple):
    """A Parquet file, read off its path."""

    path: Path
    table: str
    #: ``YYYY-MM-DD``; empty for a fresh file, which may hold several days.
    day: str
    #: Empty for a fresh file, which may hold several sources.
    source: str
    number: int
    extent: Extent

    @property
    def is_fresh(self) -> bool:
        """Whether it is outside the partitions still."""
        return not self.day


class Layout(NamedTuple):
    """The paths below a store's root."""

    root: Path

    @property
    def log(self) -> Path:
        """The request log."""
        return self.root / "log"

    @property
    def sealed(self) -> Path:
        """Which files count."""
        return self.root / "sealed.json"

    @property
    def serve_lock(self) -> Path:
        """Held by the serving process."""
        return self.root / "serve.lock"

    @property
    def pipeline_lock(self) -> Path:
        """Held by the pipeline process."""
        return self.root / "pipeline.lock"

    @property
    def configuration(self) -> Path:
        """The configuration file as it last could be used."""
        return self.root / "configuration.toml"

    @property
    def outbox(self) -> Path:
        """The journals of the destinations."""
        return self.root / "outbox"

    @property
    def requests(self) -> Path:
        """What somebody wants done."""
        return self.root / "requests"

    @property
    def standings(self) -> Path:
        """How the destinations stand, as the pipeline told last."""
        return self.root / "destinations"

    @property
    def deletions(self) -> Path:
        """What was deleted on request."""
        return self.root / "deletions"

    @property
    def recent(self) -> Path:
        """Requests that are sealed already, see `penstock.collector.store.recent`."""
        return self.root / "recent"

    def fresh(self, table: str) -> Path:
        """The directory of a table's fresh files."""
        return self.root / FRESH / table

    def partition(self, table: str, day: str, source: str) -> Path:
        """
        The directory of one table, day and source.

        Args:
            table: `EVENTS` or `QUARANTINE`.
            day: ``YYYY-MM-DD``.
            source: The source's name; what a directory name cannot hold is written ``%XX``.
        """
        return self.root / table / f"date={day}" / f"source={_escaped(source)}"

    def files(self, table: str, since_day: str = "") -> Iterator[SealedFile]:
        """
        The Parquet files of a table, fresh ones included, in no order; whether they count or not.

        Args:
            table: `EVENTS` or `QUARANTINE`.
            since_day: Leave out partitions of earlier days.
        """
        yield from _parsed(self.fresh(table), table, "", "")
        for day in _children(self.root / table, "date="):
            if day.name >= f"date={since_day}":
                for source in _children(day, "source="):
                    name = unquote(source.name.removeprefix("source="))
                    yield from _parsed(source, table, day.name.removeprefix("date="), name)

    def days(self, table: str) -> Iterator[Path]:
        """The partitions of a table by day."""
        yield from _children(self.root / table, "date=")

    def leftovers(self) -> Iterator[Path]:
        """Files that were being written when their writer died."""
        for table in TABLES:
            yield from self.fresh(table).glob(f"*{TEMPORARY}")
            yield from (self.root / table).glob(f"date=*/source=*/*{TEMPORARY}")


def file_name(number: int, extent: Extent) -> str:
    """See the module."""
    first, last, rows = extent
    return f"{number:010d}-{first}-{last}-{rows}{_SUFFIX}"


def day_of(received_ms: int) -> str:
    """The partition of a request received at this many milliseconds since 1970."""
    return datetime.fromtimestamp(received_ms / 1000, UTC).strftime("%Y-%m-%d")


def _escaped(name: str) -> str:
    """A name that is one directory and nothing else, as Hive writes it."""
    escaped = quote(name, safe="")
    return "%2E" + escaped[1:] if escaped.startswith(".") else escaped


def _children(directory: Path, prefix: str) -> list[Path]:
    try:
        return [path for path in directory.iterdir() if path.name.startswith(prefix)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _parsed(directory: Path, table: str, day: str, source: str) -> Iterator[SealedFile]:
    """The files of one directory; what is not one of ours is left out."""
    for path in _children(directory, ""):
        found = _NAME.fullmatch(path.name)
        if found:
            number, *extent = map(int, found.groups())
            yield SealedFile(path, table, day, source, number, Extent(*extent))
