"""A client and a collector, with no account: flags from a file, reads told of as events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from collector_process import ServedCollector
from flag_server import NEVER_S, condition, filter_, flag, split
from patience import wait_for
from penstock import Client, Collector, Config, FlagSettings, PostHog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock import Destination

CONTENT: dict[str, Any] = {
    "flags": [
        flag("everybody", filters={"payloads": {"true": {"cols": 3}}}),
        flag("gold", condition(filter_("tier", ["gold"]))),
        flag("layout", filters=split("control", "wide"), has_experiment=True),
        flag("off", active=False),
    ]
}


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedCollector]:
    """``penstock serve --flags``, with a secret key for the definitions."""
    place = tmp_path_factory.mktemp("collector")
    file = place / "flags.json"
    file.write_text(json.dumps(CONTENT), "utf-8")
    keys = ("--key", "shop=wk_shop", "--flags-key", "shop=phs_shop")
    served = ServedCollector(place / "store", "--flags", str(file), *keys)
    yield served
    assert served.stop() == 0


@pytest.fixture(autouse=True)
def _loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_NETWORK", "loopback")


def destinations(collector: ServedCollector) -> list[Destination]:
    url = collector.told["url"]
    return [Collector("wk_shop", url), PostHog("wk_shop", url)]


def opened(destination: Destination, **flags: Any) -> Client:
    settings = FlagSettings(**{"poll_interval": NEVER_S, **flags})
    return Client(destination, config=Config(journal=None, flags=settings))


@pytest.mark.parametrize("which", [0, 1])
def test_both_destinations_read_the_collectors_flags(
    collector: ServedCollector, which: int
) -> None:
    """Here from its definitions and there by its evaluator: the same."""
    destination = destinations(collector)[which]
    with (
        opened(destination, secret_key="phs_shop") as here,
        opened(destination, local=False) as there,
    ):
        assert here.flags.wait_until_ready(10)
        for user in ("u1", "u2", "u3"):
            for tier in ("gold", "tin"):
                options: Any = {"person_properties": {"tier": tier}}
                values = here.flags.all(user, **options)
                assert values == there.flags.all(user, **options)
                assert values["gold"] is (tier == "gold")
                assert values["layout"] in {"control", "wide"}
                assert values["off"] is False
        assert here.flags.payload("everybody", "u1") == {"cols": 3}
        assert there.flags.payload("everybody", "u1") == {"cols": 3}
        assert here.flags.get("x", "u1").error == there.flags.get("x", "u1").error == "flag_missing"
        assert here.flags.reload(10)


def test_a_write_key_loads_no_definitions_where_a_secret_one_is_asked_for(
    collector: ServedCollector, caplog: pytest.LogCaptureFixture
) -> None:
    """The collector is asked for each read then, without a word in the log."""
    with opened(destinations(collector)[0]) as client:
        assert client.flags.get("everybody", "u1").source == "remote"
        wait_for(lambda: client.flags.trouble, "the trouble", 20.0)
        assert client.flags.trouble == "HTTP 401"
        assert client.flags.definitions is None
    assert "flag definitions" not in caplog.text


def test_an_open_collector_needs_no_key_at_all(tmp_path: Path) -> None:
    """As for trying things out: a client of its own evaluates here at once."""
    file = tmp_path / "flags.json"
    file.write_text(json.dumps(CONTENT), "utf-8")
    served = ServedCollector(tmp_path / "store", "--flags", str(file))
    try:
        with opened(Collector("demo", served.told["url"])) as client:
            assert client.flags.wait_until_ready(10)
            assert client.flags.get("layout", "u1").source == "local"
            assert json.loads(client.flags.remote_config("everybody")) == {"cols": 3}
    finally:
        assert served.stop() == 0


def test_a_read_is_an_event_in_the_store(collector: ServedCollector) -> None:
    """With the variant, for an analysis of the experiment."""
    with opened(destinations(collector)[0], secret_key="phs_shop") as client:
        assert client.flags.wait_until_ready(10)
        variant = client.flags.get("layout", "buyer-1").value
        client.capture("bought", "buyer-1", flags=client.flags.evaluate("buyer-1"))
        assert client.flush(10).pending == 0
    wait_for(lambda: len(events_of(collector, "buyer-1")) >= 2, "both events", 20.0)
    told = {event["event"]: event["properties"] for event in events_of(collector, "buyer-1")}
    assert told["$feature_flag_called"]["$feature_flag_response"] == variant
    assert told["bought"]["$feature/layout"] == variant


def events_of(collector: ServedCollector, user: str) -> list[dict[str, Any]]:
    """What the store has of a user."""
    import subprocess
    import sys

    store = collector.process.args[collector.process.args.index("--store") + 1]  # type: ignore[index, union-attr, operator]
    show = [sys.executable, "-m", "penstock", "events", "--store", str(store)]
    lines = subprocess.run(show, check=True, capture_output=True, text=True, timeout=60).stdout
    found = [json.loads(line) for line in lines.splitlines()]
    return [event for event in found if user in {event.get("user_id"), event.get("userId")}]
