"""
The vendors' own SDKs send to the collector, unmodified but for the endpoint.

Every call of each must arrive and be stored once, with the right type, ids, facts and times. The
SDKs live in an environment of their own, which `make test` makes.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from collector_process import ServedCollector
from penstock.collector import open_store
from vendor_sdks import require_sdks, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Tracks beside the others: several batches of every SDK.
TRACKS = 300
START = datetime(2025, 12, 24, 18, 0, 0, 123_000, tzinfo=UTC)
FACTS = {
    "plan": "Pro ✓ 日本語 😀",
    "friends": 42,
    "ratio": 0.125,
    "verified": True,
    "nothing": None,
    "address": {"city": "Aarhus", "lines": ["a", 'b"\\', ""]},
}

#: ``{case: (SDK, its options)}``
PYTHON: dict[str, tuple[str, dict[str, Any]]] = {
    "segment": ("segment", {}),
    "segment-gzip": ("segment", {"gzip": True}),
    "rudderstack": ("rudderstack", {"gzip": False}),
    "rudderstack-gzip": ("rudderstack", {"gzip": True}),
    "posthog": ("posthog", {"capture_mode": "v0"}),
    "posthog-gzip": ("posthog", {"capture_mode": "v0", "gzip": True}),
    "posthog-v1": ("posthog", {"capture_mode": "v1"}),
    "posthog-v1-deflate": ("posthog", {"capture_mode": "v1", "capture_compression": "deflate"}),
    "posthog-v1-gzip": ("posthog", {"capture_mode": "v1", "capture_compression": "gzip"}),
}
NODE: dict[str, tuple[str, dict[str, Any]]] = {
    "segment": ("segment", {}),
    "rudderstack": ("rudderstack", {"gzip": False}),
    "rudderstack-gzip": ("rudderstack", {"gzip": True}),
    "posthog": ("posthog", {"disableCompression": True}),
    "posthog-gzip": ("posthog", {}),
}
#: What each says of itself in the library column.
LIBRARIES = {
    ("python", "segment"): "analytics-python",
    ("python", "rudderstack"): "analytics-python",
    ("python", "posthog"): "posthog-python",
    ("node", "segment"): "@segment/analytics-node",
    ("node", "rudderstack"): "analytics-node",
    ("node", "posthog"): "posthog-node",
}


def call(place: int, kind: str, **more: Any) -> dict[str, Any]:
    moment = START + timedelta(seconds=place)
    stamps = {"id": str(UUID(int=(7 << 76) | (2 << 62) | place)), "timestamp": moment.isoformat()}
    return {"type": kind, "userId": f"u-{place}", **stamps, **more}


CALLS = [
    call(1, "identify", facts=FACTS),
    call(2, "page", name="Pricing", category="Docs", facts=FACTS),
    call(3, "screen", name="Cart", category="Shop", facts=FACTS),
    call(4, "group", groupId="g-1", facts=FACTS),
    call(5, "alias", previousId="a-5"),
    *(call(n, "track", event="Order Completed", facts=FACTS) for n in range(10, 10 + TRACKS)),
]


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    require_sdks()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sdks")


@pytest.fixture(scope="module")
def collector(store: Path) -> Iterator[ServedCollector]:
    """A real one, with a source for each case, named as its key is."""
    cases = [("python", case) for case in PYTHON] + [("node", case) for case in NODE]
    keys = [
        f"{language}-{case}:{case.partition('-')[0]}=phc_{language}-{case}"
        for language, case in cases
    ]
    options = [word for key in keys for word in ("--key", key)]
    served = ServedCollector(store, *options, workers=2)
    yield served
    assert served.stop() == 0


def call_all(program: str, collector: ServedCollector, case: str, sdk: str, options: Any) -> None:
    """An SDK's program makes all calls; it reports no error."""
    key = f"phc_{case}"
    run(program, sdk, collector.told["url"], key, json.dumps(options), told=CALLS)


def check(store: Path, language: str, case: str, sdk: str) -> None:
    """Everything is stored, once, as it was said."""
    opened = open_store(store)
    assert opened.quarantined() == []
    rows = opened.arrow("SELECT * FROM events WHERE source = ?", [f"{language}-{case}"]).to_pylist()
    assert len(rows) == len(CALLS)
    assert {row["library"].rpartition("/")[0] for row in rows} == {LIBRARIES[language, sdk]}
    by_user = {row["user_id"]: row for row in rows}
    for made in CALLS:
        row = by_user.get(made["userId"]) or by_user[made["previousId"]]
        _check_row(row, made, language, sdk)
    assert len({row["message_id"] for row in rows}) == len(CALLS)


def _check_row(row: dict[str, Any], made: dict[str, Any], language: str, sdk: str) -> None:
    assert row["type"] == made["type"]
    posthog, node = sdk == "posthog", language == "node"
    # RudderStack's Python SDK takes no message ids; PostHog's node SDK takes neither ids nor
    # times but for events.
    eventful = made["type"] in {"track", "page", "screen"}
    if (sdk, language) != ("rudderstack", "python") and (not (posthog and node) or eventful):
        assert row["message_id"] == made["id"]
    if not (posthog and node) or eventful:
        assert row["timestamp"] == datetime.fromisoformat(made["timestamp"])
        # RudderStack's node SDK says there when the call was made, not what it was told.
        assert row["original_timestamp"] == row["timestamp"] or (sdk, node) == ("rudderstack", True)
    if made["type"] == "alias":
        assert {row["user_id"], row["previous_id"]} == {made["userId"], made["previousId"]}
    assert row["event"] == made.get("event")
    assert row["group_id"] == made.get("groupId")
    assert (row["name"], row["category"]) == (made.get("name"), made.get("category"))
    facts = json.loads(row["properties"] or "{}") | json.loads(row["traits"] or "{}")
    assert {name: facts.get(name) for name in FACTS} == (made.get("facts") or dict.fromkeys(FACTS))


@pytest.mark.parametrize("case", PYTHON)
def test_every_call_of_a_python_sdk_is_stored_once(
    case: str, collector: ServedCollector, store: Path
) -> None:
    """In each of its formats and codings."""
    sdk, options = PYTHON[case]
    call_all("calls.py", collector, f"python-{case}", sdk, options)
    check(store, "python", case, sdk)


@pytest.mark.parametrize("case", NODE)
def test_every_call_of_a_node_sdk_is_stored_once(
    case: str, collector: ServedCollector, store: Path
) -> None:
    """The same, from JavaScript."""
    sdk, options = NODE[case]
    call_all("node/calls.mjs", collector, f"node-{case}", sdk, options)
    check(store, "node", case, sdk)
