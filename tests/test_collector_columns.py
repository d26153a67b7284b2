"""A run of the log as columns: the same as row by row, only faster."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_kit import NOW_TEXT, entry, track
from penstock.collector.config import Window
from penstock.collector.log.reading import Entry
from penstock.collector.store import columns
from penstock.collector.store.columns import RunBuilder
from penstock.collector.store.dedupe import Seen
from test_collector_decoding import JSON_COLUMNS, MESSAGES, OBJECTS, TEXT

#: Times as clients write them, good and bad, near the ends of the calendar and far ahead.
TIMES = st.sampled_from([
    NOW_TEXT, "2026-03-01T09:20:26Z", "2026-03-01T11:20:30.5+02:00", "2026-03-01",
    "20260301T102030Z",
    "2026-03-01 10:20:30", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-14:00", "2027-01-01T00:00:00Z", "2026-03-01t10:20:30z", "soon", "",
])  # fmt: skip
TIMED = st.builds(
    lambda message, times: {**message, **times},
    MESSAGES,
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(["timestamp", "originalTimestamp", "sentAt"], TIMES)
    ),
)
BATCHES = st.tuples(
    st.lists(TIMED | st.integers(0, 5).map(track), max_size=4),
    st.sampled_from(["segment", "rudderstack"]),
    st.sampled_from(["web", "app"]),
    st.fixed_dictionaries(
        {}, optional={"context": OBJECTS, "integrations": OBJECTS, "sentAt": TIMES | TEXT}
    ),
)


def built(payloads: list[bytes]) -> RunBuilder:
    """What a run becomes."""
    builder = RunBuilder(Seen(Window()).admit)
    builder.add("lane-a", [Entry(place, payload) for place, payload in enumerate(payloads, 1)])
    return builder


def comparable(rows: Any) -> list[dict[str, Any]]:
    """In the order of the log, JSON parsed: the two ways may write it differently."""
    found: list[dict[str, Any]] = rows.to_pylist()
    for row in found:
        row.update({name: orjson.loads(row[name]) for name in JSON_COLUMNS if row[name]})
    return sorted(found, key=lambda row: (row["request"], row["position"]))


@given(st.lists(BATCHES, max_size=4))
def test_columns_hold_what_rows_hold(
    batches: list[tuple[list[dict[str, Any]], str, str, dict[str, Any]]],
) -> None:
    """Speed changes nothing: same events, same quarantine, same duplicates."""
    payloads = [
        entry({**envelope, "batch": messages}, dialect, source=source)
        for messages, dialect, source, envelope in batches
    ]
    quick = built(payloads)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_plain_columns", lambda _frame, _body: None)
        careful = built(payloads)
    assert comparable(quick.events()) == comparable(careful.events())
    assert quick.quarantined() == careful.quarantined()
    assert quick.counts == careful.counts


@given(
    st.lists(st.lists(TIMES, min_size=3, max_size=3), min_size=1, max_size=6), TIMES, st.booleans()
)
def test_times_are_corrected_alike(told: list[list[str]], sent: str, rudder: bool) -> None:
    """Every combination of good, bad, missing and impossible times, under both rules."""
    names = ("timestamp", "originalTimestamp", "sentAt")
    batch = [
        {**track(number), **{name: text for name, text in zip(names, times, strict=True) if text}}
        for number, times in enumerate(told)
    ]
    payload = entry({"batch": batch, "sentAt": sent}, "rudderstack" if rudder else "segment")
    quick = built([payload])
    assert not quick._rows
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_plain_columns", lambda _frame, _body: None)
        assert comparable(quick.events()) == comparable(built([payload]).events())


def test_batches_as_sdks_send_them_become_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it would be of no use."""
    monkeypatch.setattr(columns, "decode_entry", None)
    page = {
        "type": "page",
        "messageId": "p",
        "anonymousId": "a",
        "context": {"library": {"name": "x"}},
    }
    body = {
        "batch": [track(1), page, track(1)],
        "context": {"ip": "203.0.113.7"},
        "sentAt": NOW_TEXT,
    }
    events = built([entry(body, count=3)]).events()
    assert events.column("type").to_pylist() == ["track", "page"]
    assert events.column("library").to_pylist() == [None, "x"]


def test_what_is_no_log_entry_is_left_out() -> None:
    """It cost one entry, not the run."""
    assert len(built([b"nope", entry({"batch": [track(1)]})]).events()) == 1
