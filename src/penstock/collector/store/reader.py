"""
Reading a store: DuckDB in memory over the sealed files and the unsealed end of the log.

Any process may read, whether the collector runs or not; nothing is locked and nothing waits. Each
call sees a fresh `penstock.collector.store.snapshot`, so an event that was answered with 200 before
the call is in it, once.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from penstock.collector.layout import TABLES, Layout
from penstock.collector.store import snapshot
from penstock.collector.store.newest import newest
from penstock.collector.store.query import (
    EVERYTHING,
    Filter,
    count_of,
    counts_by,
    rows_of,
)
from penstock.collector.store.tail import tail_of
from penstock.collector.store.views import Tables, check, opened
from penstock.errors import MissingExtraError, PenstockError

try:
    import duckdb
    import pyarrow as pa
except ImportError as error:  # pragma: no cover - needs an installation without the extra
    raise MissingExtraError("duckdb", "collector") from error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from penstock.collector.store.ledger import Counts
    from penstock.collector.store.snapshot import Snapshot

_JSON_COLUMNS = ("properties", "traits", "context", "integrations", "rest")
#: An unsealed event is compared with what was stored this long before; more than `Window.hours`.
_WINDOW = timedelta(hours=50)
#: Rows looked at first when rows are chosen by more than their source.
_FIRST_LOOK = 50_000
#: How often a read begins anew because files were merged and removed under it.
_ATTEMPTS = 8


class QueryError(PenstockError, ValueError):
    """The SQL cannot be run: it is wrong, or it is more than one ``SELECT``."""


class Store:
    """
    A store to read from.

    Args:
        root: Its directory, as given to `penstock serve`. It need not exist yet.
    """

    def __init__(self, root: Path) -> None:
        self._layout = Layout(root)

    def __repr__(self) -> str:
        """Where it is."""
        return f"Store({str(self._layout.root)!r})"

    def events(self, chosen: Filter = EVERYTHING, limit: int | None = 100) -> list[dict[str, Any]]:
        """
        The newest events, the newest first.

        Args:
            chosen: Which.
            limit: At most this many; None is all.

        Returns:
            One dict per event by column name (see docs/collector.md): times are aware datetimes,
            JSON columns are objects, and a column without a value is None.
        """
        return _plain(self._newest("events", chosen, limit))

    def quarantined(
        self, chosen: Filter = EVERYTHING, limit: int | None = 100
    ) -> list[dict[str, Any]]:
        """The newest quarantined items with their ``reason``; only source and since apply."""
        chosen = Filter(source=chosen.source, since=chosen.since)
        return _plain(self._newest("quarantine", chosen, limit))

    def count(self, chosen: Filter = EVERYTHING, table: str = "events") -> int:
        """How many rows a table has (``events`` or ``quarantine``)."""
        return int(self._ask(*count_of(table, chosen), chosen).column(0)[0].as_py())

    def count_by(
        self, column: str, chosen: Filter = EVERYTHING, table: str = "events"
    ) -> dict[Any, int]:
        """
        How many rows per value of *column*, the most first.

        Raises:
            ConfigError: The table cannot be counted by that column.
        """
        found = self._ask(*counts_by(table, column, chosen), chosen)
        return dict(zip(*(column.to_pylist() for column in found.columns), strict=True))

    def counts(self) -> Counts:
        """What became of all items the pipeline has sealed: stored, duplicates, quarantined."""
        return snapshot.take(self._layout).counts

    def arrow(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """
        The result of one ``SELECT`` over the tables ``events`` and ``quarantine``.

        Args:
            sql: DuckDB's SQL; files outside the store cannot be reached.
            parameters: Values for its question marks.

        Returns:
            A `pyarrow.Table`.

        Raises:
            QueryError: It cannot be run.
        """
        return self._ask(sql, list(parameters), Filter())

    def files(self, table: str = "events") -> list[Path]:
        """
        The Parquet files in the partitions that count at this moment.

        Another engine that reads these, and not whatever lies in the directories, sees no event
        twice while files are being merged.
        """
        found = snapshot.take(self._layout).files[table]
        return [file.path for file in found if not file.is_fresh]

    def _newest(self, table: str, chosen: Filter, limit: int | None) -> Any:
        """Try the newest rows first, and all of them only if these are not enough."""
        sql, values = rows_of(table, chosen, limit)
        if limit is not None:
            wanted = limit if chosen.is_any_of_source else max(limit, _FIRST_LOOK)
            found, enough = self._reading(
                chosen, lambda seen: self._look(table, seen, chosen, wanted, (sql, values))
            )
            if enough or len(found) >= limit:
                return found
        return self._ask(sql, values, chosen)

    def _look(
        self, table: str, seen: Snapshot, chosen: Filter, rows: int, query: tuple[str, list[Any]]
    ) -> tuple[Any, bool]:
        files = [file for file in seen.files[table] if file.is_fresh or chosen.takes(file.source)]
        sealed, enough = newest(table, files, rows)
        known = tail_of(seen, self._layout)
        with opened(self._layout) as connection:
            tables = Tables(connection, seen, known)
            tables.create(table, newest=sealed)
            return tables.run(*query), enough

    def _ask(self, sql: str, values: list[Any], chosen: Filter) -> Any:
        return self._reading(chosen, lambda seen: self._run(seen, sql, values))

    def _run(self, seen: Snapshot, sql: str, values: list[Any]) -> Any:
        with opened(self._layout) as connection:
            check(connection, sql)
            tables = Tables(connection, seen, tail_of(seen, self._layout))
            for table in TABLES:
                tables.create(table)
            return tables.run(sql, values)

    def _reading(self, chosen: Filter, read: Callable[[Snapshot], Any]) -> Any:
        """Read a snapshot; take another one when files of it were removed meanwhile."""
        for attempt in range(_ATTEMPTS):
            # An older file matters too: what lies in the tail may be a repetition of its events.
            since = (chosen.since - _WINDOW).astimezone(UTC) if chosen.since else None
            seen = snapshot.take(self._layout, f"{since:%Y-%m-%d}" if since else "")
            try:
                return read(seen)
            except (duckdb.Error, OSError, pa.ArrowException) as error:
                if attempt + 1 < _ATTEMPTS and not _all_there(seen):
                    continue
                if isinstance(error, duckdb.Error):
                    raise QueryError(str(error)) from error
                raise
        raise AssertionError("unreachable")  # pragma: no cover


def _all_there(seen: Snapshot) -> bool:
    return all(file.path.exists() for files in seen.files.values() for file in files)


def _plain(table: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_pylist()
    for row in rows:
        for name in _JSON_COLUMNS:
            if row.get(name) is not None:
                row[name] = _parsed(row[name])
    return rows


def _parsed(text: str) -> Any:
    """An object, or the text itself where it is nested too deeply to be one."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
