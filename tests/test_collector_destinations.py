"""What each kind of destination gets from a collector, on the wire, and what it refuses."""

from __future__ import annotations

import base64
import hmac
import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from cli_host import CliHost
from collector_kit import NOW_TEXT, basic, track
from collector_process import ServedCollector
from faults.rules import Always, status
from patience import wait_for
from penstock.collector import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faults.sink import Exchange, FaultSink

KEY = "destination_key"
#: One of each kind, as the Segment family sends them.
CALLS = [
    track(1),
    track(2, type="identify", traits={"plan": "pro"}),
    track(3, type="page", name="Home", category="Shop"),
    track(4, type="screen", name="Start"),
    track(5, type="group", groupId="g", traits={"seats": 3}),
    track(6, type="alias", previousId="old"),
]
#: As PostHog's SDKs send it.
CAPTURE = {
    "event": "Order Completed",
    "uuid": "0195500a-1111-7000-8000-000000000007",
    "distinct_id": "u-7",
    "timestamp": NOW_TEXT,
    "properties": {"revenue": 7.5},
}
IDS = {message["messageId"] for message in CALLS} | {CAPTURE["uuid"]}


class Chain:
    """
    A collector with one destination.

    Args:
        root: Where its store and its file are.
        kind: The destination's type.
        url: Its address.
    """

    def __init__(self, root: Path, kind: str, url: str) -> None:
        self.store = root / "store"
        self._file = root / "c.toml"
        values = {"type": kind, "key": KEY, "endpoint": url, "interval": 0.02}
        table = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
        self._file.write_text(f"[destinations.one]\n{table}")
        self.collector = self._started()

    def _started(self) -> ServedCollector:
        return ServedCollector(self.store, "--config", str(self._file))

    def send(self) -> None:
        """One event of each kind and family."""
        assert self.collector.post("/v1/batch", {"batch": CALLS}, basic("k")) == 200
        legacy = {"api_key": "phc_demo", "batch": [CAPTURE]}
        assert self.collector.post("/batch/", legacy, {"Content-Type": "application/json"}) == 200

    def restart(self) -> None:
        """Stop it, and start it again."""
        self.collector.stop()
        self.collector = self._started()


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing leaves this machine, and everything on it can be reached."""
    monkeypatch.setenv("PENSTOCK_NETWORK", "loopback")


@pytest.fixture
def chains() -> Iterator[list[Chain]]:
    """Collectors to be stopped."""
    made: list[Chain] = []
    yield made
    for chain in made:
        chain.collector.stop()


def keyed_by_basic(exchange: Exchange) -> str:
    token = exchange.request.headers["authorization"].removeprefix("Basic ")
    return base64.b64decode(token).decode().partition(":")[0]


def keyed_by_body(exchange: Exchange) -> str:
    found: str = json.loads(exchange.json)["api_key"]
    return found


def keyed_by_signature(exchange: Exchange) -> str:
    """The secret, if it is what the body was signed with."""
    sent, _, digest = exchange.request.headers["penstock-signature"].partition(",v1=")
    signed = sent.removeprefix("t=").encode() + b"." + exchange.json
    return KEY if hmac.new(KEY.encode(), signed, sha256).hexdigest() == digest else ""


@pytest.mark.parametrize(
    ("kind", "path", "key_of"),
    [
        ("segment", "/v1/batch", keyed_by_basic),
        ("rudderstack", "/v1/batch", keyed_by_basic),
        ("dreamdata", "/v1/batch", keyed_by_basic),
        ("posthog", "/batch/", keyed_by_body),
        ("webhook", "/", keyed_by_signature),
    ],
)
def test_every_kind_gets_every_call_of_either_family(
    chains: list[Chain], tmp_path: Path, sink: FaultSink, kind: str, path: str, key_of: Any
) -> None:
    """Where its vendor takes them, with the key that is its own, each with the id it came with."""
    chains.append(Chain(tmp_path, kind, sink.url))
    chains[0].send()
    sink.wait(lambda: sink.accepted >= IDS)
    assert sink.accepted == IDS
    assert sink.duplicates == {}
    assert {exchange.request.path for exchange in sink.exchanges} == {path}
    assert {key_of(exchange) for exchange in sink.exchanges} == {KEY}
    revenues = [event.get("properties", {}).get("revenue") for event in sink.events]
    assert {49.5, 7.5} <= set(revenues)


def test_another_collector_stores_what_this_one_stored(chains: list[Chain], tmp_path: Path) -> None:
    """Event by event the same, times included: hosts may send to one that sends on."""
    second = ServedCollector(tmp_path / "second")
    try:
        chains.append(Chain(tmp_path, "collector", second.told["url"]))
        chains[0].send()
        there = open_store(tmp_path / "second")
        wait_for(lambda: there.count() == len(IDS), "the second collector")
    finally:
        second.stop()
    sql = (
        "SELECT message_id, type, event, user_id, anonymous_id, group_id, previous_id, name,"
        " category, timestamp, properties, traits FROM events ORDER BY message_id"
    )
    first = open_store(chains[0].store).arrow(sql).to_pylist()
    assert {row["message_id"] for row in first} == IDS
    assert [_plain(row) for row in there.arrow(sql).to_pylist()] == [_plain(row) for row in first]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    parsed = {name: json.loads(row[name]) for name in ("properties", "traits") if row[name]}
    return {**row, **parsed}


def test_what_a_destination_refuses_is_a_letter_that_can_be_replayed(
    chains: list[Chain], tmp_path: Path, sink: FaultSink
) -> None:
    """Listed and shown by the command, put back into the outbox, delivered with the same id."""
    cli = CliHost(tmp_path)
    sink.plan(Always(status(403)))
    chains.append(chain := Chain(tmp_path, "segment", sink.url))
    chain.send()
    told = ("dead", "list", chain.store)
    wait_for(lambda: len(cli.run(*told).out.splitlines()) == len(IDS), "dead letters")
    rows = [json.loads(line) for line in cli.run(*told).out.splitlines()]
    assert {row["message_id"] for row in rows} == IDS
    assert {(row["destination"], row["reason"], row["status"]) for row in rows} == {
        ("Segment", "rejected", 403)
    }
    shown = cli.run("dead", "show", CAPTURE["uuid"], chain.store).data
    assert shown["message"]["properties"] == CAPTURE["properties"]
    sink.plan()
    replayed = cli.run("dead", "replay", chain.store)
    assert (replayed.code, replayed.data["destinations"]) == (0, {"Segment": len(IDS)})
    chain.restart()  # a running one looks for replayed letters every half a minute
    sink.wait(lambda: sink.accepted >= IDS)
    assert cli.run(*told).out == ""
    assert sink.duplicates == {}
    assert open_store(chain.store).count() == len(IDS)
