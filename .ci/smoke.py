"""The installed wheel, used as a newcomer would; `core` without any extra, `all` with them."""

import json
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

BIN = Path(sys.executable).parent


class Sink(BaseHTTPRequestHandler):
    """Takes what it is sent."""

    events: list[str] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.events += [event["messageId"] for event in body["batch"]]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_args: object) -> None:
        pass


def track(count: int, **destination: str) -> list[str]:
    from penstock import Client, Segment

    with Client(Segment("WRITE_KEY", **destination)) as client:
        ids = [client.track("u1", "Wheel Installed", {"number": n}) for n in range(count)]
        ledger = client.close(timeout=30)
    assert ledger.delivered == count, ledger
    assert ledger.balanced, ledger
    return ids


def core() -> None:
    import penstock

    assert Path(penstock.__file__).is_relative_to(Path.cwd()), "not the installed package"
    assert Path(penstock.__file__).with_name("py.typed").exists()
    server = HTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ids = track(300, endpoint=f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()
    assert sorted(Sink.events) == sorted(ids)
    told = subprocess.run([BIN / "penstock", "doctor"], check=False, capture_output=True, text=True)
    assert told.returncode != 0
    assert "penstock[cli]" in told.stderr, told


def command(*arguments: str) -> str:
    return subprocess.check_output([BIN / "penstock", *arguments], text=True, timeout=60)


def everything() -> None:
    serve = [BIN / "penstock", "serve", "--port", "0", "--store", "store"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as collector:
        try:
            assert collector.stdout
            told = json.loads(collector.stdout.readline())
            address = told["url"].removeprefix("http://")
            to = f"collector://demo@{address}"
            command("send", "track", "--user-id", "u1", "--event", "Wheel Installed", "--to", to)
            for path in ("/", "/static/debugger.css"):
                with urllib.request.urlopen(told["debugger"] + path, timeout=30) as page:
                    assert page.read(), path
        finally:
            collector.terminate()
    stored = [json.loads(line) for line in command("events", "--store", "store").splitlines()]
    assert [event["event"] for event in stored] == ["Wheel Installed"], stored


{"core": core, "all": everything}[sys.argv[1]]()
print(f"the wheel works: {sys.argv[1]}")
