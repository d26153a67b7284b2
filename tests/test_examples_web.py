"""The web examples, driven over HTTP, with what a real collector stored of it."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cli_host import CliHost
from collector_process import ServedCollector

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = Path(__file__).parent.parent / "examples" / "web"
DEADLINE = 40.0
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0",
    "Accept": "text/html",
    "Sec-Fetch-Dest": "document",
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


class Shop:
    """An example that runs, a visitor's browser, and the collector behind it."""

    def __init__(self, collector: ServedCollector, home: Path, **environment: str) -> None:
        self.collector = collector
        self.home = home
        self.environment = CliHost(home).environment(
            PENSTOCK_URL=f"collector://demo@127.0.0.1:{collector.port}", **environment
        )
        # The frameworks' own warnings are not ours to fail for.
        self.environment["PYTHONWARNINGS"] = "default"
        self.port = free_port()
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, **headers: str) -> int:
        """As a browser does: with the cookies it was given."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {**BROWSER, **({"Cookie": cookie} if cookie else {}), **headers}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request(method, path, headers=sent)
            answer = connection.getresponse()
            answer.read()
            for name, value in answer.getheaders():
                if name.lower() == "set-cookie":
                    given, _, rest = value.partition(";")[0].partition("=")
                    self.cookies[given] = rest
            return answer.status
        finally:
            connection.close()

    def stored(self, count: int) -> list[dict[str, Any]]:
        """The events the collector has, oldest first, once there are *count*."""
        show = [sys.executable, "-m", "penstock", "events", "--store", str(self.home / "store")]
        deadline = time.monotonic() + DEADLINE
        while True:
            run = subprocess.run(
                [*show, "--limit", "50"],
                env=self.environment,
                check=True,
                capture_output=True,
                text=True,
            )
            events = [json.loads(line) for line in run.stdout.splitlines()]
            if len(events) >= count:
                return sorted(events, key=lambda event: str(event["timestamp"]))
            assert time.monotonic() < deadline, events
            time.sleep(0.2)  # between two looks, with a deadline

    @contextmanager
    def running(self, *command: str, ready: bool = True) -> Iterator[None]:
        """An example, ended as by Ctrl-C."""
        log = (self.home / "output.txt").open("ab")
        process = subprocess.Popen(
            command, cwd=PLACE, env=self.environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            if ready:
                self._wait(process)
            yield
            process.send_signal(signal.SIGINT)
            process.wait(DEADLINE)
        finally:
            process.kill()
            process.wait(DEADLINE)
            log.close()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                told = (self.home / "output.txt").read_text()
                assert process.poll() is None, told
                assert time.monotonic() < deadline, told
                time.sleep(0.05)  # between two looks, with a deadline
            else:
                return


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("PENSTOCK_NETWORK", "loopback")
    collector = ServedCollector(tmp_path / "store")
    try:
        yield Shop(collector, tmp_path)
    finally:
        collector.stop()


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["flask", "fastapi", "django"])
def test_a_shop_tells_who_did_what(shop: Shop, framework: str) -> None:
    """A visitor looks, logs in, buys, and meets an error: five events of one person."""
    with shop.running(sys.executable, f"{framework}_shop.py", str(shop.port)):
        assert shop.ask("GET", "/products/monopoly?utm_source=mail&token=secret") == 200
        device = shop.cookies["anonymous_id"]
        assert shop.ask("POST", "/login/kim") == 200
        user = "?user=kim" if framework == "fastapi" else ""
        assert shop.ask("POST", f"/orders/monopoly{user}") == 200
        assert shop.ask("POST", f"/orders/unknown{user}") == 500
        assert shop.ask("POST", "/logout") == 200
        assert shop.cookies["anonymous_id"] != device
    viewed, identify, order, error = shop.stored(4)
    assert (viewed["event"], viewed["anonymous_id"]) == ("Product Viewed", device)
    assert viewed.get("user_id") is None
    context = viewed["context"]
    assert context["ip"] == "127.0.0.1"
    assert context["campaign"] == {"source": "mail"}
    assert context["page"]["url"].endswith("/products/monopoly?utm_source=mail")
    assert context["userAgent"] == BROWSER["User-Agent"]
    assert (identify["type"], identify["user_id"], identify["anonymous_id"]) == (
        "identify",
        "kim",
        device,
    )
    assert (order["event"], order["user_id"]) == ("Order Completed", "kim")
    assert order["properties"]["revenue"] == 60.0
    assert "KeyError" in json.dumps(error["properties"])
    assert error["context"]["http"]["status"] == 500
    assert "secret" not in json.dumps([viewed, identify, order])


@pytest.mark.slow
def test_the_worker_s_event_is_the_buyer_s(shop: Shop) -> None:
    """Through Redis, from a request to a task that names nobody."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.fail("redis-server is not there: make debian")
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="redis-"))
        place = Path(directory) / "redis.sock"
        options = ["--port", "0", "--unixsocket", str(place), "--save", "", "--dir", directory]
        redis = subprocess.Popen([server, *options], stdout=subprocess.DEVNULL)
        stack.callback(redis.wait, DEADLINE)
        stack.callback(redis.terminate)
        shop.environment["BROKER"] = f"redis+socket://{place}"
        celery = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "worker",
            "worker",
            "-c",
            "1",
            "-l",
            "ERROR",
        ]
        stack.enter_context(shop.running(sys.executable, "flask_shop.py", str(shop.port)))
        stack.enter_context(shop.running(*celery, ready=False))
        shop.ask("POST", "/login/kim")
        assert shop.ask("POST", "/orders/dominoes") == 200
        events = shop.stored(3)
    receipt = next(event for event in events if event.get("event") == "Receipt Sent")
    assert (receipt["user_id"], receipt["properties"]) == ("kim", {"sku": "dominoes"})
    assert receipt["context"]["tags"] == {"task": "receipt"}


@pytest.mark.slow
def test_the_function_delivers_before_it_is_frozen(shop: Shop) -> None:
    """An order and an error are stored while the process still runs."""
    with shop.running(sys.executable, "lambda_function.py", str(shop.port)):
        assert shop.ask("POST", "/orders/monopoly?utm_source=ad", **{"X-User": "kim"}) == 200
        assert shop.ask("POST", "/orders/unknown") == 502
        order, error = shop.stored(2)
    assert (order["event"], order["user_id"]) == ("Order Completed", "kim")
    assert order["context"]["campaign"] == {"source": "ad"}
    assert order["context"]["http"] == {"method": "POST", "path": "/orders/monopoly"}
    assert "KeyError" in json.dumps(error["properties"])
