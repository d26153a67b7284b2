"""
Reading a store: DuckDB in memory over the sealed files and the unsealed end of the log.

Any process may read, whether the collector runs or not; nothing is locked and nothing waits. Each
call sees a fresh `penstock.collector.snapshot`, so an event that was answered with 200 before the
call is in it, once.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from penstock.collector import snapshot
from penstock.collector.config import Window
from penstock.collector.dedupe import Seen
from penstock.collector.layout import EVENTS, QUARANTINE, Layout
from penstock.collector.query import (
    EVERYTHING,
    Filter,
    count_of,
    counts_by,
    exact,
    files_sql,
    rows_of,
)
from penstock.collector.sealing import prepare
from penstock.collector.tables import EVENT_SCHEMA, QUARANTINE_SCHEMA, partitioned, table_of
from penstock.errors import MissingExtraError, PenstockError

try:
    import duckdb
except ImportError as error:  # pragma: no cover - needs an installation without the extra
    raise MissingExtraError("duckdb", "collector") from error

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.collector.ledger import Counts
    from penstock.collector.snapshot import Snapshot

_JSON_COLUMNS = ("properties", "traits", "context", "integrations", "rest")
#: An unsealed event is compared with what was stored this long before; as `Window.hours`.
_WINDOW = timedelta(hours=30)


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
        return _plain(self._ask(*rows_of("events", chosen, limit), chosen))

    def quarantined(
        self, chosen: Filter = EVERYTHING, limit: int | None = 100
    ) -> list[dict[str, Any]]:
        """The newest quarantined items with their ``reason``; only source and since apply."""
        chosen = Filter(source=chosen.source, since=chosen.since)
        return _plain(self._ask(*rows_of("quarantine", chosen, limit), chosen))

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

    def _ask(self, sql: str, values: list[Any], chosen: Filter) -> Any:
        # An older file matters too: what lies in the tail may be a repetition of its events.
        since = (chosen.since - _WINDOW).astimezone(UTC) if chosen.since else None
        seen = snapshot.take(self._layout, f"{since:%Y-%m-%d}" if since else "")
        with duckdb.connect(":memory:") as connection:
            try:
                _check(connection, sql)
                _fill(connection, self._layout, seen)
                return connection.sql(sql, params=values).to_arrow_table()
            except duckdb.Error as error:
                raise QueryError(str(error)) from error


def _check(connection: Any, sql: str) -> None:
    """One statement that only reads."""
    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise QueryError("one SELECT, please")


def _fill(connection: Any, layout: Layout, seen: Snapshot) -> None:
    """Make the two tables, then lock everything else out."""
    connection.execute("SET TimeZone = 'UTC'")
    root = str(layout.root.absolute())
    connection.execute("SET allowed_directories = [?, ?]", [root, exact(root)])
    for table, tail in _tails(seen).items():
        connection.register(f"{table}_tail", tail)
        parts = [f"SELECT * FROM {table}_tail"]  # noqa: S608 - our own words
        if seen.files[table]:
            sealed = files_sql([str(path.absolute()) for path in seen.files[table]])
            connection.execute(f"CREATE VIEW {table}_sealed AS {sealed}")
            parts.append(f"SELECT * FROM {table}_sealed")  # noqa: S608 - our own words
        if table == EVENTS and len(parts) > 1 and tail.num_rows:
            connection.execute(_KNOWN)
            parts[0] += " ANTI JOIN known USING (source, message_id)"
        connection.execute(f"CREATE VIEW {table} AS {' UNION ALL BY NAME '.join(parts)}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


#: The events of the tail that are in a file already; made once, from the smaller side.
_KNOWN = """
    CREATE TEMP TABLE known AS
    SELECT source, message_id FROM events_sealed
    SEMI JOIN events_tail USING (source, message_id)
"""


def _tails(seen: Snapshot) -> dict[str, Any]:
    """What is not sealed yet, as Arrow tables by name."""
    admit = Seen(Window()).admit
    batches = [prepare(lane, entries, admit) for lane, entries in seen.tail.items() if entries]
    events = [(p, table_of(EVENT_SCHEMA, rows)) for b in batches for p, rows in b.events.items()]
    bad = [
        (p, table_of(QUARANTINE_SCHEMA, rows))
        for batch in batches
        for p, rows in batch.quarantined.items()
    ]
    return {
        EVENTS: partitioned(EVENT_SCHEMA, events),
        QUARANTINE: partitioned(QUARANTINE_SCHEMA, bad),
    }


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
