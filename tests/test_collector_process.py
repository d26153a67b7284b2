"""The collector as real processes: killed, stopped, started twice; and its store after that."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from collector_kit import basic, track
from collector_process import Sender, ServedCollector, is_alive
from patience import DEADLINE, wait_for
from penstock import Client, Collector, Config, Dreamdata, PostHog, RudderStack, Segment
from penstock.collector import CollectorConfig, Limits, Sources, open_store
from penstock.collector.config import is_loopback
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def ids_in(store: Path) -> list[str]:
    table = open_store(store).arrow("SELECT message_id FROM events")
    found: list[str] = table.column("message_id").to_pylist()
    return found


def kill(collector: ServedCollector, victim: str) -> None:
    """SIGKILL to the serving process, the pipeline, or both."""
    if victim in {"pipeline", "both"}:
        os.kill(collector.pipeline, signal.SIGKILL)
    if victim in {"server", "both"}:
        os.kill(collector.pid, signal.SIGKILL)


@pytest.mark.parametrize("victim", ["server", "pipeline", "both"])
def test_a_kill_loses_nothing_answered_and_stores_nothing_twice(
    tmp_path: Path, victim: str
) -> None:
    """Under load, four times in a row; by ids, not by counts."""
    collector = ServedCollector(tmp_path, hasty=True)
    senders = [Sender(lambda: collector.port, number) for number in range(1, 5)]
    for sender in senders:
        sender.start()
    for _ in range(4):
        before = sum(len(sender.answered) for sender in senders)
        wait_for(
            lambda: sum(len(sender.answered) for sender in senders) > before + 2000,  # noqa: B023
            "answers",
        )
        kill(collector, victim)
        if victim == "pipeline":
            killed = collector.pipeline
            wait_for(lambda: not is_alive(killed), "the pipeline's end")  # noqa: B023
            found = wait_for(lambda: _new_pipeline(collector, killed), "a new pipeline")  # noqa: B023
            collector.pipeline = found
        else:
            collector.stop(signal.SIGKILL)
            collector = ServedCollector(tmp_path, hasty=True)
    for sender in senders:
        sender.finish()
    answered = {message for sender in senders for message in sender.answered}
    sent = {message for sender in senders for message in sender.sent}
    assert answered <= set(ids_in(tmp_path))
    assert collector.stop() == 0
    stored = ids_in(tmp_path)
    assert len(stored) == len(set(stored))
    assert answered <= set(stored) <= sent
    assert open_store(tmp_path).counts().stored == len(stored)
    assert list((tmp_path / "log").iterdir()) == []


def _new_pipeline(collector: ServedCollector, old: int) -> int:
    return next((pid for pid in collector.running("pipeline") if pid != old), 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_clean(tmp_path: Path, number: int) -> None:
    """Exit code 0, everything sealed, nothing left running, nothing left in the log."""
    collector = ServedCollector(tmp_path)
    for batch in range(5):
        assert collector.post("/v1/batch", {"batch": [track(batch)]}) == 200
    assert collector.stop(number) == 0
    assert len(list((tmp_path / "events").rglob("*.parquet"))) == 1
    assert list((tmp_path / "log").iterdir()) == []
    assert open_store(tmp_path).count() == 5


def test_an_answered_event_can_be_read_at_once(tmp_path: Path) -> None:
    """Long before a file is sealed."""
    collector = ServedCollector(tmp_path)
    store = open_store(tmp_path)
    for number in range(10):
        assert collector.post("/v1/track", track(number)) == 200
        assert store.count() == number + 1
    collector.stop()


def test_a_store_is_served_once(tmp_path: Path) -> None:
    """The second one is told, and the first goes on."""
    collector = ServedCollector(tmp_path)
    command = [sys.executable, "-m", "penstock", "serve", "--port", "0", "--store", str(tmp_path)]
    second = subprocess.run(command, capture_output=True, timeout=DEADLINE, check=False)
    assert second.returncode == 1
    assert b"another collector" in second.stderr
    assert collector.post("/v1/batch", {"batch": [track()]}) == 200
    collector.stop()


def test_keys_given_in_the_environment_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several, separated by blanks; they are in no argument list and in no output."""
    monkeypatch.setenv("PENSTOCK_KEYS", "web=secret-1 rs:rudderstack=secret-2")
    collector = ServedCollector(tmp_path)
    assert collector.post("/v1/batch", {"batch": [track(1)]}, basic("secret-1")) == 200
    assert collector.post("/v1/batch", {"batch": [track(2)]}, basic("secret-2")) == 200
    assert collector.post("/v1/batch", {"batch": [track(3)]}, basic("secret-3")) == 401
    assert open_store(tmp_path).count_by("source") == {"rs": 1, "web": 1}
    assert not collector.told["open"]
    assert collector.process.stderr is not None
    os.set_blocking(collector.process.stderr.fileno(), False)
    assert not collector.process.stderr.read()
    collector.stop()


def test_our_own_client_arrives_in_every_dialect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six destinations, one collector: every call is stored once per source, and alike."""
    monkeypatch.setenv("PENSTOCK_NETWORK", "loopback")
    monkeypatch.delenv("PENSTOCK_DISABLED", raising=False)
    names = ("segment", "rudderstack", "dreamdata", "posthog", "v1", "collector")
    declared = {"rudderstack": "rudderstack:rudderstack", "dreamdata": "dreamdata:dreamdata"}
    keys = [f"{declared.get(name, name)}={name}" for name in names]
    monkeypatch.setenv("PENSTOCK_KEYS", " ".join(keys))
    served = ServedCollector(tmp_path)
    url = served.told["url"]
    with Client(
        Segment("segment", endpoint=url),
        RudderStack("rudderstack", url),
        Dreamdata("dreamdata", endpoint=url),
        PostHog("posthog", url),
        PostHog("v1", url, capture_mode="v1", name="V1"),
        Collector("collector", endpoint=url),
        config=Config(journal=None),
    ) as client:
        client.track("u", "Order Completed", {"revenue": 9.5}, timestamp="1997-01-12T00:00:00Z")
        client.identify("u", {"plan": "pro"})
        client.page("u", "Home", {"url": "https://shop.test/a"})
        client.screen("u", "Cart")
        client.group("u", "g", {"size": 3})
        client.alias(user_id="u", previous_id="a")
        assert client.flush(timeout=DEADLINE).delivered == 36
    store = open_store(tmp_path)
    assert store.count_by("source") == dict.fromkeys(sorted(names), 6)
    columns = "message_id, type, event, user_id, group_id, previous_id, name, original_timestamp"
    rows = f"SELECT DISTINCT {columns}, properties, traits FROM events"
    assert store.arrow(rows).num_rows == 6
    assert store.quarantined() == []
    served.stop()


# -- configuration -----------------------------------------------------------------------------


def config(tmp_path: Path, **settings: object) -> CollectorConfig:
    return CollectorConfig(store=tmp_path, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.test"])
def test_outside_hosts_need_permission_and_a_key(tmp_path: Path, host: str) -> None:
    """Nobody opens a collector to the world by a slip."""
    with pytest.raises(ConfigError, match="allow-remote"):
        config(tmp_path, host=host).checked()
    with pytest.raises(ConfigError, match="--key"):
        config(tmp_path, host=host, allow_remote=True).checked()
    sources = Sources.parse(["web=k"])
    config(tmp_path, host=host, allow_remote=True, sources=sources).checked()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_nothing(tmp_path: Path, host: str) -> None:
    """The first start just works."""
    assert is_loopback(host)
    config(tmp_path, host=host).checked()


@pytest.mark.parametrize("port", [-1, 65536])
def test_impossible_ports_are_refused(tmp_path: Path, port: int) -> None:
    """With the range that is possible."""
    with pytest.raises(ConfigError, match="between 0 and 65535"):
        config(tmp_path, port=port).checked()


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    """Not a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "penstock", "serve", "--port", port]
        found = subprocess.run(
            [*command, "--store", str(tmp_path)],
            capture_output=True,
            timeout=DEADLINE,
            check=False,
        )
    assert found.returncode == 2
    assert b"cannot listen" in found.stderr
    assert b"Traceback" not in found.stderr


def test_without_its_extra_the_collector_says_what_to_install(tmp_path: Path) -> None:
    """The server's package is looked for before anything else needs it."""
    script = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from pathlib import Path\n"
        "from penstock import MissingExtraError\n"
        "from penstock.collector import CollectorConfig, serve\n"
        f"try: serve(CollectorConfig(store=Path({str(tmp_path)!r})))\n"
        "except MissingExtraError as error: print(error)"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=DEADLINE, check=False
    )
    assert b"penstock[collector]" in found.stdout, found.stderr


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("web", "NAME=KEY"),
        ("web=", "NAME=KEY"),
        ("=k", "letters"),
        ("../up=k", "letters"),
        (".hidden=k", "letters"),
        ("a b=k", "letters"),
        ("web:klingon=k", "dialect"),
    ],
)
def test_keys_are_checked(spec: str, said: str) -> None:
    """A source's name becomes a directory; the key itself is never repeated."""
    with pytest.raises(ConfigError, match=said) as error:
        Sources.parse([spec])
    assert "=k" not in str(error.value)


def test_a_key_belongs_to_one_source() -> None:
    """Twice for the same source is fine."""
    Sources.parse(["web=k", "web=k", "web=k2"])
    with pytest.raises(ConfigError, match="another source"):
        Sources.parse(["web=k", "app=k"])


def test_keys_are_in_no_repr(tmp_path: Path) -> None:
    """Logs show names only."""
    sources = Sources.parse(["web=secret"])
    assert "secret" not in repr(config(tmp_path, sources=sources, limits=Limits()))
    assert "web" in repr(sources)
