"""A store's tables inside DuckDB, and nothing else."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from penstock.collector.layout import EVENTS
from penstock.collector.store.query import exact, files_sql, fresh_sql
from penstock.errors import MissingExtraError

try:
    import duckdb
except ImportError as error:  # pragma: no cover - needs an installation without the extra
    raise MissingExtraError("duckdb", "collector") from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.collector.layout import Layout
    from penstock.collector.store.snapshot import Snapshot

#: The events of the tail that are in a file already; made once, from the smaller side.
_KNOWN = """
    CREATE TEMP TABLE known AS
    SELECT source, message_id FROM events_sealed
    SEMI JOIN events_tail USING (source, message_id)
"""


@contextmanager
def opened(layout: Layout) -> Iterator[Any]:
    """A connection that may read the store's files."""
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        root = str(layout.root.absolute())
        connection.execute("SET allowed_directories = [?, ?]", [root, exact(root)])
        yield connection


def check(connection: Any, sql: str) -> None:
    """
    One statement that only reads.

    Raises:
        duckdb.Error: It is something else.
    """
    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise duckdb.InvalidInputException("one SELECT, please")


class Tables:
    """
    Makes a store's tables.

    Args:
        connection: See `opened`.
        seen: The store.
        tail: See `penstock.collector.store.tail`.
    """

    def __init__(self, connection: Any, seen: Snapshot, tail: dict[str, Any]) -> None:
        self._connection = connection
        self._seen = seen
        self._tail = tail

    def create(self, table: str, newest: Any = None) -> None:
        """
        Make one.

        Args:
            table: ``events`` or ``quarantine``.
            newest: Take these rows for those of the files.
        """
        tail = self._tail[table]
        self._connection.register(f"{table}_tail", tail)
        parts = [f"SELECT * FROM {table}_tail"]  # noqa: S608 - our own words
        asked = table == EVENTS and tail.num_rows
        sealed = self._files(table) if newest is None or asked else ""
        if sealed:
            self._connection.execute(f"CREATE VIEW {table}_sealed AS {sealed}")
            if asked:
                self._connection.execute(_KNOWN)
                parts[0] += " ANTI JOIN known USING (source, message_id)"
        if newest is not None:
            self._connection.register(f"{table}_newest", newest)
            parts.append(f"SELECT * FROM {table}_newest")  # noqa: S608 - our own words
        elif sealed:
            parts.append(f"SELECT * FROM {table}_sealed")  # noqa: S608 - our own words
        self._connection.execute(f"CREATE VIEW {table} AS {' UNION ALL BY NAME '.join(parts)}")

    def _files(self, table: str) -> str:
        fresh = [str(f.path.absolute()) for f in self._seen.files[table] if f.is_fresh]
        kept = [str(f.path.absolute()) for f in self._seen.files[table] if not f.is_fresh]
        parts = [make(paths) for make, paths in ((fresh_sql, fresh), (files_sql, kept)) if paths]
        return " UNION ALL BY NAME ".join(parts)

    def run(self, sql: str, values: list[Any]) -> Any:
        """
        The result of a query, with everything but the tables locked out.

        Raises:
            duckdb.Error: It cannot be run.
        """
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")
        return self._connection.sql(sql, params=values).to_arrow_table()
