"""The questions a store is asked most, as SQL with bound values; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

#: What events can be counted by.
GROUPINGS = (
    "source", "type", "event", "user_id", "anonymous_id", "group_id", "name", "category",
    "dialect", "library", "date",
)  # fmt: skip
#: What quarantined items can be counted by.
QUARANTINE_GROUPINGS = ("reason", "source", "dialect", "date")
_NEWEST_FIRST = "ORDER BY received_at DESC, request DESC, position DESC"


class Filter(NamedTuple):
    """Which rows; None is any."""

    source: str | None = None
    type: str | None = None
    event: str | None = None
    #: A user id or an anonymous id.
    user: str | None = None
    #: Received at this time or later.
    since: datetime | None = None

    @property
    def is_any_of_source(self) -> bool:
        """Whether rows are chosen by their source at most."""
        return (self.type, self.event, self.user, self.since) == (None, None, None, None)

    def takes(self, source: str) -> bool:
        """Whether rows of that source may be among them."""
        return self.source is None or self.source == source

    def where(self) -> tuple[str, list[Any]]:
        """The ``WHERE`` clause and its values."""
        equal = {"source": self.source, "type": self.type, "event": self.event}
        wanted = {name: value for name, value in equal.items() if value is not None}
        terms = [f"{name} = ?" for name in wanted]
        values: list[Any] = list(wanted.values())
        if self.user is not None:
            terms.append("(user_id = ? OR anonymous_id = ?)")
            values += [self.user, self.user]
        if self.since is not None:
            terms.append("received_at >= ?")
            values.append(self.since)
        return ("WHERE " + " AND ".join(terms) if terms else "", values)


#: No condition at all.
EVERYTHING = Filter()

Query = tuple[str, list[Any]]


def rows_of(table: str, chosen: Filter, limit: int | None) -> Query:
    """
    The newest rows, the newest first.

    Args:
        table: ``events`` or ``quarantine``.
        chosen: Which.
        limit: At most this many; None is all.
    """
    where, values = chosen.where()
    bound = "" if limit is None else "LIMIT ?"
    sql = f"SELECT * FROM {table} {where} {_NEWEST_FIRST} {bound}"  # noqa: S608 - our own words
    return sql, values if limit is None else [*values, limit]


def count_of(table: str, chosen: Filter) -> Query:
    """How many rows."""
    where, values = chosen.where()
    return f"SELECT count(*) FROM {table} {where}", values  # noqa: S608 - our own words


def counts_by(table: str, column: str, chosen: Filter) -> Query:
    """
    How many rows per value of a column, the most first.

    Raises:
        ConfigError: The table cannot be counted by that column.
    """
    known = GROUPINGS if table == "events" else QUARANTINE_GROUPINGS
    if column not in known:
        raise ConfigError("by", column, f"one of {', '.join(known)}")
    where, values = chosen.where()
    sql = (
        f"SELECT {column}, count(*) AS count FROM {table} {where} "  # noqa: S608 - our own words
        f"GROUP BY {column} ORDER BY count DESC, {column}"
    )
    return sql, values


def files_sql(paths: list[str]) -> str:
    """A query over files of the partitions, with their partitions as columns."""
    types = "{'date': DATE, 'source': VARCHAR}"
    return (
        f"SELECT * FROM read_parquet([{_listed(paths)}], hive_partitioning = true, "  # noqa: S608 - quoted
        f"hive_types = {types}, union_by_name = true)"
    )


def fresh_sql(paths: list[str]) -> str:
    """A query over fresh files, with the columns that the partitions have."""
    return (
        "SELECT *, CAST(received_at AS DATE) AS date "  # noqa: S608 - quoted
        f"FROM read_parquet([{_listed(paths)}], hive_partitioning = false, union_by_name = true)"
    )


def _listed(paths: list[str]) -> str:
    return ", ".join(_literal(exact(path)) for path in paths)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def exact(path: str) -> str:
    """A path as the pattern that matches it and nothing else."""
    return "".join(f"[{char}]" if char in "[*?" else char for char in path)
