"""The middleware under a server that forks, loads the application first, and sends files itself."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from web_servers import DEADLINE, Served, wait_until

from faults.host import PACKAGE_ROOT

if TYPE_CHECKING:
    from faults.host import Host

APPS = Path(__file__).parent / "apps"


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_every_event_has_its_own_request(host: Host, worker: str) -> None:
    """Pages, files and streams of two forked workers; the error in the middle of one, too."""
    server = host.launch(
        *(sys.executable, "-m", "gunicorn", "web_shop:app", "--preload", "--workers", "2"),
        *("--worker-class", worker, "--bind", "127.0.0.1:0", "--no-control-socket"),
        environment={"PYTHONPATH": f"{PACKAGE_ROOT}:{APPS}"},
    )
    found = re.compile(r"127\.0\.0\.1:(\d+)")
    wait_until(lambda: found.search(server.output), "gunicorn")
    match = found.search(server.output)
    assert match is not None
    served = Served(int(match[1]))
    pages = ["/", "/file", "/stream", "/broken"] * 3
    for number, page in enumerate(pages):
        answer = served.get(page, {"Cookie": f"anonymous_id=visitor-{number:04d}"})
        assert answer.status == 200
        if page == "/file":
            assert answer.body == (APPS / "web_shop.py").read_bytes()
        if page == "/stream":
            assert answer.body == b"one two"
    count = len(pages) + 3 * 3  # two streams and an error per round
    host.sink.wait_for_events(count, DEADLINE)
    server.signal(signal.SIGTERM)
    assert server.wait().returncode == 0, server.output
    events = host.sink.events
    assert len(events) == count
    seen = {(event["event"], event["anonymousId"]) for event in events}
    wanted = {(page, f"visitor-{number:04d}") for number, page in enumerate(pages)}
    streams = {(f"{page} streamed", who) for page, who in wanted if page in {"/stream", "/broken"}}
    errors = {("Exception Captured", who) for page, who in wanted if page == "/broken"}
    assert seen == wanted | streams | errors
    for event in events:
        assert event["context"]["ip"] == "127.0.0.1"
