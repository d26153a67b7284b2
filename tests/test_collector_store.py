"""Reading: what was accepted is seen at once and once, and nothing else can be reached."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from collector_kit import NOW, entry, track
from penstock.collector import Filter, open_store
from penstock.collector.decoding.requests import decode_entry
from penstock.collector.layout import EVENTS, Layout, day_of
from penstock.collector.store import snapshot
from penstock.collector.store.catalog import Catalog
from penstock.collector.store.reader import QueryError
from penstock.collector.store.tables import EVENT_SCHEMA, table_of, written
from penstock.errors import ConfigError
from store_kit import AT_ONCE, NEVER, ids, pipeline, write

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.collector.log.lane import LaneLog
    from penstock.collector.store.reader import Store


@pytest.fixture(params=["store", "a [b] *'?"])
def layout(request: pytest.FixtureRequest, tmp_path: Path) -> Layout:
    """A store, also at a path that means something to SQL and to globs."""
    return Layout(tmp_path / request.param)


@pytest.fixture
def store(layout: Layout) -> Store:
    return open_store(layout.root)


def listed(store: Store, **conditions: Any) -> list[str]:
    return [row["message_id"] for row in store.events(Filter(**conditions))]


def test_a_store_that_is_not_there_is_empty(tmp_path: Path) -> None:
    """Asking before the collector ever ran is no error, and makes nothing."""
    store = open_store(tmp_path / "none")
    assert (store.count(), store.events(), store.quarantined()) == (0, [], [])
    assert list(tmp_path.iterdir()) == []


def test_a_read_sees_what_is_not_sealed_yet(layout: Layout, log: LaneLog, store: Store) -> None:
    """With the pipeline waiting, sealing, done, or not there at all: the same."""
    write(log, 1, 2)
    assert store.count() == 2
    waiting = pipeline(layout, NEVER)
    waiting.step()
    assert store.count() == 2
    waiting.step(drain=True)
    write(log, 3)
    assert listed(store) == ids(3, 2, 1)


def test_a_repetition_in_the_tail_is_seen_once(layout: Layout, log: LaneLog, store: Store) -> None:
    """Readers remove duplicates by the pipeline's rule, before it has."""
    write(log, 1, 2)
    pipeline(layout, AT_ONCE).step()
    write(log, 2, 3, 3)
    write(log, 1, source="app")
    assert sorted(listed(store)) == ids(1, 1, 2, 3)
    assert store.count_by("source") == {"web": 3, "app": 1}


@pytest.mark.parametrize("moment", ["_read_tail", "_settled", "_behind"])
def test_sealing_in_the_middle_of_a_read_changes_nothing(
    layout: Layout, log: LaneLog, store: Store, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The pipeline may seal, and retire a lane, between any two looks of a reader."""
    write(log, 1, 2)
    log.close()
    follower = pipeline(layout, AT_ONCE)
    real = getattr(snapshot, moment)

    def interrupted(*args: Any) -> Any:
        result = real(*args)
        follower.step()
        return result

    monkeypatch.setattr(snapshot, moment, interrupted)
    assert sorted(listed(store)) == ids(1, 2)


def test_rows_have_python_values(log: LaneLog, store: Store) -> None:
    """Objects for JSON, aware datetimes for times."""
    log.append(entry({"batch": [track(1, properties={"a": [1, {"b": None}]})]}), int(NOW))
    (row,) = store.events()
    assert row["properties"] == {"a": [1, {"b": None}]}
    assert row["timestamp"] == datetime.fromtimestamp(NOW, UTC)
    assert (row["source"], row["user_id"], row["group_id"]) == ("web", "u-1", None)


def test_json_too_deep_to_read_is_given_as_text(layout: Layout, store: Store) -> None:
    """One hostile event does not hide the others."""
    deep = b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"
    (row,) = decode_entry(entry({"batch": [track(1)]}), "lane-a", 1).events
    day = day_of(int(NOW * 1000))
    rows = table_of(EVENT_SCHEMA, [row, row._replace(properties=deep)])
    Catalog(layout).commit([written(layout.partition(EVENTS, day, "web"), rows)])
    found = [event["properties"] for event in store.events()]
    assert sorted(map(str, found)) == sorted([str({"revenue": 49.5}), deep.decode()])


@pytest.mark.parametrize("sealed", [False, True])
def test_events_can_be_chosen(layout: Layout, log: LaneLog, store: Store, sealed: bool) -> None:
    """By source, type, event, user, and time of arrival."""
    write(log, 1, 2)
    identify = {"type": "identify", "messageId": "i", "anonymousId": "a"}
    log.append(entry({"batch": [identify]}, source="app"), int(NOW))
    if sealed:
        pipeline(layout, AT_ONCE).step()
    assert listed(store, source="app") == listed(store, type="identify") == ["i"]
    assert listed(store, event="Order Completed") == ids(2, 1)
    assert listed(store, user="u-2") == ids(2)
    assert listed(store, user="a") == ["i"]
    now = datetime.fromtimestamp(NOW, UTC)
    assert len(listed(store, since=now)) == 3
    assert listed(store, since=now + timedelta(seconds=1)) == []
    assert store.count(Filter(type="track")) == 2
    assert store.count_by("type") == {"track": 2, "identify": 1}
    assert len(store.events(limit=1)) == 1


def test_quarantine_can_be_read(log: LaneLog, store: Store) -> None:
    """With the reason and the item as it came."""
    log.append(entry({"batch": [{"type": "zoo"}]}), int(NOW))
    (row,) = store.quarantined()
    assert (row["reason"], row["raw"], row["source"]) == ("invalid_type", '{"type":"zoo"}', "web")
    assert store.count_by("reason", table="quarantine") == {"invalid_type": 1}


def test_sql_sees_both_tables(layout: Layout, log: LaneLog, store: Store) -> None:
    """With values bound, JSON functions, and partitions as columns."""
    write(log, 1, 2)
    pipeline(layout, AT_ONCE).step()
    write(log, 3)
    table = store.arrow(
        "SELECT sum(CAST(properties ->> '$.revenue' AS DOUBLE)), max(date) FROM events "
        "WHERE source = ?",
        ["web"],
    )
    assert [column[0].as_py() for column in table.columns] == [
        148.5,
        datetime.fromtimestamp(NOW, UTC).date(),
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/hostname')",
        "SELECT * FROM '/etc/hostname'",
        "COPY events TO 'out.parquet'",
        "ATTACH 'other.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SELECT 1; SELECT 2",
        "CREATE TABLE t AS SELECT 1",
        "SELEKT",
        "",
    ],
)
def test_sql_reaches_nothing_else(log: LaneLog, store: Store, sql: str) -> None:
    """One SELECT over the store, nothing besides."""
    write(log, 1)
    with pytest.raises(QueryError):
        store.arrow(sql)


#: ``{secret}`` is a file beside the store, ``{root}`` the store.
ESCAPES = (
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_blob('{secret}')",
    "SELECT * FROM read_csv('{secret}', header = false)",
    "SELECT * FROM read_text('{root}/../secret.csv')",
    "SELECT * FROM read_text('{root}/events/../../secret.csv')",
    "SELECT * FROM '{secret}'",
    "SELECT * FROM glob('{secret}')",
    "SELECT * FROM sniff_csv('{secret}')",
    "SELECT * FROM query('SELECT * FROM read_text(''{secret}'')')",
    "SELECT (SELECT content FROM read_text('{secret}')) FROM events",
    "WITH x AS (SELECT * FROM read_text('{secret}')) SELECT * FROM x",
    "COPY (SELECT 1) TO '{secret}'",
    "COPY (SELECT 1) TO '{root}/events/date=2026-01-01/x.parquet'",
    "EXPORT DATABASE '{root}/out'",
    "CREATE TABLE t AS SELECT * FROM read_text('{secret}')",
    "SET allowed_directories = ['/']",
    "PRAGMA enable_external_access = true",
    "CALL pragma_version()",
    "LOAD httpfs",
    "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
    "SELECT 1; COPY (SELECT 1) TO '{secret}'",
)


@pytest.mark.parametrize("sql", ESCAPES)
def test_sql_does_not_leave_the_store(layout: Layout, log: LaneLog, store: Store, sql: str) -> None:
    """Neither by a path, nor by a setting, nor by a statement that writes."""
    write(log, 1)
    secret = layout.root.parent / "secret.csv"
    secret.write_text("classified")
    quoted = {"secret": str(secret), "root": str(layout.root)}
    text = sql.format(**{name: path.replace("'", "''") for name, path in quoted.items()})
    try:
        found = repr(store.arrow(text).to_pylist())
    except QueryError as error:
        found = str(error)
    assert "classified" not in found
    assert secret.read_text() == "classified"
    assert list(layout.root.rglob("*.parquet")) == []
    assert not (layout.root / "out").exists()


@pytest.mark.parametrize("value", ["'; DROP TABLE events; --", "' OR 1=1 --", "\\", "%", "\0"])
def test_values_are_never_sql(log: LaneLog, store: Store, value: str) -> None:
    """Whatever one looks for, one looks only for that."""
    write(log, 1)
    for name in ("source", "type", "event", "user"):
        assert listed(store, **{name: value}) == []
    with pytest.raises(ConfigError):
        store.count_by(value)
    assert store.count() == 1
