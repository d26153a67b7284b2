"""
The vendors' own SDKs for browsers send to the collector, unmodified but for the address.

Every call of each must arrive and be stored once, with the right type, ids and facts: in a real
browser, from another origin, and also what is sent as the page is left.
"""

from __future__ import annotations

import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from browser import chromium, require_chromium
from collector_process import ServedCollector
from patience import wait_for
from penstock.collector import open_store
from vendor_sdks import SDKS, require_sdks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver.chrome.webdriver import WebDriver

pytestmark = pytest.mark.slow

PAGES = Path(__file__).parent / "official" / "browser"
TRACKS = 60
FACTS = {
    "plan": "Pro ✓ 日本語 😀",
    "friends": 42,
    "ratio": 0.125,
    "verified": True,
    "address": {"city": "Aarhus", "lines": ["a", 'b"\\', ""]},
}
CALLS: list[dict[str, Any]] = [
    {"type": "identify", "userId": "u-1", "facts": FACTS},
    {"type": "page", "name": "Pricing", "category": "Docs", "facts": FACTS},
    {"type": "group", "groupId": "g-1", "facts": FACTS},
    *({"type": "track", "event": "Order Completed", "number": n, "facts": FACTS}
      for n in range(TRACKS)),
    {"type": "alias", "userId": "u-2", "previousId": "u-1"},
]  # fmt: skip

#: ``{case: (SDK, its options)}``
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "segment": ("segment", {}),
    "segment-batching": (
        "segment",
        {"deliveryStrategy": {"strategy": "batching", "config": {"size": 20, "timeout": 300}}},
    ),
    "rudderstack": ("rudderstack", {}),
    "posthog": ("posthog", {}),
    "posthog-plain": ("posthog", {"disable_compression": True}),
    "posthog-single": ("posthog", {"request_batching": False}),
}
LIBRARIES = {
    "segment": "analytics.js",
    "rudderstack": "RudderLabs JavaScript SDK",
    "posthog": "web",
}


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    """Browser and SDKs are there; in CI that is no question."""
    require_chromium()
    require_sdks()


class _Site(SimpleHTTPRequestHandler):
    """The page, the calls, and the SDKs."""

    def translate_path(self, path: str) -> str:
        path = path.partition("?")[0]
        if path.startswith("/sdk/"):
            return str(SDKS / "node" / "node_modules" / path.removeprefix("/sdk/"))
        return super().translate_path(path)

    def do_GET(self) -> None:
        if self.path != "/calls.json":
            super().do_GET()
            return
        body = json.dumps(CALLS).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """Where the page is: another origin than the collector's."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Site, directory=str(PAGES)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def collector(store: Path) -> Iterator[ServedCollector]:
    """A real one, with a source for each case, named as its key is."""
    keys = [f"{case}:{case.partition('-')[0]}=phc_{case}" for case in CASES]
    options = [word for key in keys for word in ("--key", key)]
    served = ServedCollector(store, *options, workers=2)
    yield served
    assert served.stop() == 0


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[WebDriver]:
    """A fresh one for each: SDKs remember people."""
    with chromium(tmp_path / "profile") as made:
        yield made


@pytest.mark.parametrize("case", CASES)
def test_every_call_of_a_browsers_sdk_is_stored_once(
    case: str, collector: ServedCollector, store: Path, site: str, browser: WebDriver
) -> None:
    """In each of its ways to send; the last ones as the page is left."""
    sdk, options = CASES[case]
    asked = {
        "sdk": sdk,
        "endpoint": collector.told["url"],
        "key": f"phc_{case}",
        "options": options,
    }
    browser.get(f"{site}/calls.html?{quote(json.dumps(asked))}")
    wait_for(lambda: browser.title != "calling", "the calls")
    assert browser.title == "called"
    browser.get(f"{site}/nowhere")
    opened = open_store(store)

    def stored() -> list[dict[str, Any]]:
        rows = opened.arrow("SELECT * FROM events WHERE source = ?", [case]).to_pylist()
        return rows if len(rows) >= len(CALLS) else []

    rows = wait_for(stored, "every call")
    assert opened.quarantined() == []
    _check(rows, sdk)


def _check(rows: list[dict[str, Any]], sdk: str) -> None:
    assert len(rows) == len(CALLS)
    assert len({row["message_id"] for row in rows}) == len(CALLS)
    assert {row["library"].rpartition("/")[0] for row in rows} == {LIBRARIES[sdk]}
    by_type: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_type.setdefault(row["type"], []).append(row)
    counts = {kind: len(found) for kind, found in by_type.items()}
    assert counts == {"identify": 1, "page": 1, "group": 1, "alias": 1, "track": TRACKS}
    tracks = [json.loads(row["properties"]) for row in by_type["track"]]
    assert sorted(found["number"] for found in tracks) == list(range(TRACKS))
    assert {row["event"] for row in by_type["track"]} == {"Order Completed"}
    facts = [
        *tracks,
        *(json.loads(by_type[kind][0]["traits"]) for kind in ("identify", "group")),
        json.loads(by_type["page"][0]["properties"]),
    ]
    for found in facts:
        assert {name: found.get(name) for name in FACTS} == FACTS
    (alias,) = by_type.pop("alias")
    assert {alias["user_id"], alias["previous_id"]} >= {"u-1"}
    assert {row["user_id"] for found in by_type.values() for row in found} == {"u-1"}
    assert by_type["group"][0]["group_id"] == "g-1"
