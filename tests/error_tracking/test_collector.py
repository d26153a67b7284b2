"""A collector stores errors whole, whoever sends them, and they can be sent on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from raising import fall, raised

from collector_process import DEADLINE, ServedCollector
from penstock import Client, Collector, Config, ErrorTracking, PostHog, Segment
from penstock.collector import open_store
from penstock.dialects.posthog import PostHogDialect
from penstock.journal.record import Record
from penstock.kinds import BY_WIRE

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_errors_are_stored_whole_and_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By PostHog's protocols and by our own; the Segment family's gets the essentials."""
    monkeypatch.setenv("PENSTOCK_NETWORK", "loopback")
    monkeypatch.delenv("PENSTOCK_DISABLED", raising=False)
    names = ("posthog", "v1", "collector", "segment")
    monkeypatch.setenv("PENSTOCK_KEYS", " ".join(f"{name}={name}" for name in names))
    served = ServedCollector(tmp_path)
    url = served.told["url"]
    error = raised(lambda: fall(3))
    error.__cause__ = KeyError("root")
    with Client(
        PostHog("posthog", url),
        PostHog("v1", url, capture_mode="v1", name="V1"),
        Collector("collector", endpoint=url),
        Segment("segment", endpoint=url),
        config=Config(
            journal=None, error_tracking=ErrorTracking(exceptions_as_track="Exception Captured")
        ),
    ) as client:
        client.add_step("cart loaded", items=3)
        client.capture_exception(error, user_id="u1", properties={"order": 7}, fingerprint="cart")
        assert client.flush(timeout=DEADLINE).delivered == 4
    store = open_store(tmp_path)
    assert store.quarantined() == []
    found = store.arrow("SELECT source, type, event, user_id, properties FROM events").to_pylist()
    rows = {row.pop("source"): row for row in found}
    essentials = json.loads(rows["segment"].pop("properties"))
    whole = [json.loads(rows[name].pop("properties")) for name in names[:3]]
    assert rows["segment"] == {"type": "track", "event": "Exception Captured", "user_id": "u1"}
    assert essentials["exception_type"] == "LookupError"
    assert essentials["exception_frame"]["function"] == "fall"
    assert "$exception_list" not in essentials
    for name in names[:3]:
        assert rows[name] == {"type": "track", "event": "$exception", "user_id": "u1"}
    assert whole[0] == whole[1] == whole[2]
    assert [entry["type"] for entry in whole[0]["$exception_list"]] == ["LookupError", "KeyError"]
    assert whole[0]["$exception_steps"][0]["items"] == 3
    assert whole[0]["$exception_fingerprint"] == "cart"
    served.stop()
    assert sent_on(whole[0])["$exception_list"] == whole[0]["$exception_list"]


def sent_on(properties: dict[str, object]) -> dict[str, object]:
    """The properties of a stored error that goes on to PostHog."""
    message = {
        "type": "track",
        "messageId": "0195500a-1111-7000-8000-000000000031",
        "timestamp": "2026-03-01T10:20:41.000Z",
        "userId": "u1",
        "event": "$exception",
        "properties": properties,
    }
    payload = json.dumps(message, separators=(",", ":")).encode()
    wire = PostHogDialect("http://h", "k").encode(Record(1, BY_WIRE["track"], 0, 0, payload)).wire
    event = json.loads(wire)
    assert event["event"] == "$exception"
    found: dict[str, object] = event["properties"]
    return found
