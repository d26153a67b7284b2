"""The debugger about destinations: attempts in a story, ledgers, dead letters and their replay."""

from __future__ import annotations

import html
import http.client
import json
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode, urlsplit

import pytest
from click.testing import CliRunner

from collector_kit import basic, track
from collector_process import ServedCollector
from faults.rules import Always, Run, status
from faults.sink import FaultSink
from patience import wait_for
from penstock.cli.trace import trace_command
from penstock.collector.layout import Layout
from penstock.collector.routing import attempts
from penstock.collector.routing.attempts import Attempts, attempts_of
from penstock.collector.trace.story import trace
from penstock.delivery._job import Item, Job
from penstock.delivery._outcome import Death, Resolution
from penstock.dialects._types import Encoded
from penstock.journal.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.collector.routing.deliveries import Delivery

TOKEN = "a-token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing leaves this machine."""
    monkeypatch.setenv("PENSTOCK_NETWORK", "loopback")


class Shop(NamedTuple):
    """A collector with three destinations: one that is slow to say yes, one that says no."""

    collector: ServedCollector
    layout: Layout
    #: Says 503 to the first request.
    late: FaultSink
    #: Says 400 until it is lifted.
    strict: FaultSink
    refusal: Always

    def deliveries(self, message_id: str) -> dict[str, Delivery]:
        return {d.destination: d for d in trace(self.layout, message_id).deliveries}

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str]:
        where = urlsplit(self.collector.told["debugger"]).netloc
        connection = http.client.HTTPConnection(where, timeout=30)
        try:
            connection.request(method, path, body, {**BEARER, **headers})
            answer = connection.getresponse()
            return answer.status, html.unescape(answer.read().decode())
        finally:
            connection.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    refusal = Always(status(400))
    late = FaultSink().plan(Run(status(503))).start()
    strict = FaultSink().plan(refusal).start()
    (tmp_path / "c.toml").write_text(f"""
[sources.web]
key = "WK"

[destinations.late]
type = "webhook"
key = "whsec_loopback"
name = "Late"
endpoint = "{late.url}"
interval = 0.02

[destinations.strict]
type = "segment"
key = "WK_strict_SECRET"
name = "Strict"
endpoint = "{strict.url}"
interval = 0.02

[destinations.other]
type = "webhook"
key = "whsec_other"
name = "Other"
endpoint = "{late.url}"
only = {{ events = ["Never *"] }}
""")
    store = tmp_path / "store"
    options = ["--config", str(tmp_path / "c.toml"), "--debugger-token", TOKEN]
    made = Shop(
        ServedCollector(store, *options, debugger=True), Layout(store), late, strict, refusal
    )
    yield made
    code = made.collector.stop()
    late.close()
    strict.close()
    assert code == 0


def test_a_story_tells_every_attempt_and_a_dead_letter_can_be_replayed(shop: Shop) -> None:
    """From the page: found, read, put back, and delivered after all."""
    message = track(1)
    message_id = message["messageId"]
    assert shop.collector.post("/v1/batch", {"batch": [message]}, basic("WK")) == 200
    found = wait_for(
        lambda: (
            (d := shop.deliveries(message_id)).get("Late")
            and d["Late"].state == "delivered"
            and d["Strict"].state == "dead"
            and d
        ),
        "the deliveries",
    )
    assert [(one.fate, one.status) for one in found["Late"].tries] == [
        ("retry", 503),
        ("delivered", 200),
    ]
    strict = found["Strict"]
    assert (strict.reason, strict.status) == ("rejected", 400)
    assert strict.attempts >= 1
    assert [one.fate for one in strict.tries][-1] == "dead"

    _, story = shop.ask("GET", f"/event?id={message_id}")
    for word in ("Late", "HTTP 503: retry", "HTTP 200: delivered", "HTTP 400: dead", "rejected"):
        assert word in story
    _, ledger = shop.ask("GET", "/ledger")
    assert "1 rejected" in ledger
    assert ledger.count("holds") >= 2
    _, dead = shop.ask("GET", "/dead")
    assert message_id in dead
    assert "Order Completed" in dead
    for text in (story, ledger, dead):
        assert "SECRET" not in text
        assert "whsec" not in text

    shop.refusal.lift()
    (secret,) = set(re.findall(r'name="secret" value="(\w+)"', dead))
    form = {"secret": secret, "id": message_id, "destination": "Strict"}
    assert shop.ask("POST", "/dead/replay", urlencode({**form, "secret": "x"}))[0] == 403
    assert shop.ask("POST", "/dead/replay", urlencode(form))[0] == 303
    shop.strict.wait_for_events(1)
    assert shop.strict.accepted == {message_id}
    done = wait_for(
        lambda: (d := shop.deliveries(message_id)["Strict"]).state == "delivered" and d, "delivery"
    )
    assert [one.fate for one in done.tries] == ["dead", "delivered"]
    assert "There are none." in shop.ask("GET", "/dead")[1]
    assert shop.late.accepted == {message_id}


def test_what_waits_is_pending_and_what_is_not_for_it_is_not(shop: Shop) -> None:
    """A destination that is down keeps it; one whose filter leaves it out has nothing of it."""
    shop.strict.stop()
    message = track(2)
    assert shop.collector.post("/v1/batch", {"batch": [message]}, basic("WK")) == 200
    found = wait_for(
        lambda: (
            (d := shop.deliveries(message["messageId"])).get("Strict")
            and d["Strict"].tries
            and d["Late"].state == "delivered"
            and d
        ),
        "an attempt",
    )
    assert found["Strict"].state == "pending"
    assert {one.status for one in found["Strict"].tries} == {None}
    assert found.get("Other") is None or found["Other"].state == "elsewhere"


def test_the_command_line_tells_the_same_story(shop: Shop) -> None:
    """As JSON; an id that nobody knows is a failure."""
    message = track(3)
    assert shop.collector.post("/v1/batch", {"batch": [message, message]}, basic("WK")) == 200
    wait_for(
        lambda: (
            {d.state for d in shop.deliveries(message["messageId"]).values()}
            >= {"delivered", "dead"}
        ),
        "the deliveries",
    )
    options = ["--store", str(shop.layout.root)]
    result = CliRunner().invoke(trace_command, [message["messageId"], *options])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert sorted(one["verdict"] for one in told["tellings"]) == ["duplicate", "stored"]
    assert all(json.loads(one["raw"]) == message for one in told["tellings"])
    assert all(one["neutral"]["messageId"] == message["messageId"] for one in told["tellings"])
    assert {d["destination"] for d in told["deliveries"]} >= {"Late", "Strict"}
    unknown = CliRunner().invoke(trace_command, ["nobody-knows", *options])
    assert unknown.exit_code == 1


# -- the diary ------------------------------------------------------------------------------------


def job_of(*ids: str) -> Job:
    items = [
        Item(Record(n, 1, 0, 0, json.dumps({"messageId": name}).encode()), Encoded(b"{}", 0))
        for n, name in enumerate(ids, 1)
    ]
    job = Job(None, items, 0)  # type: ignore[arg-type]
    job.attempts = 1
    return job


def test_the_diary_tells_the_fate_of_each_message_of_a_request(tmp_path: Path) -> None:
    """Delivered, to be tried again, dead, and sent again in halves."""
    diary = Attempts(tmp_path, "Shop")
    job = job_of("a", "b", 'c"\u2028')
    one, two, three = job.items
    diary.note(job, Resolution([one], [Death("rejected", "no", [two])], [three]), 200)
    diary.note(job, Resolution(split=True), 413)
    fates = {name: [(x.fate, x.status) for x in attempts_of(tmp_path, name)] for name in "abx"}
    assert fates == {
        "a": [("delivered", 200), ("retry", 413)],
        "b": [("dead", 200), ("retry", 413)],
        "x": [],
    }
    assert len(list(attempts_of(tmp_path, 'c"\u2028'))) == 2


def test_the_diary_is_bounded_and_its_loss_is_nobodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files of a size; a torn line and a disk that refuses cost lines only."""
    monkeypatch.setattr(attempts, "MOST_BYTES", 2000)
    diary = Attempts(tmp_path, "Shop")
    for number in range(100):
        job = job_of(f"id-{number}")
        diary.note(job, Resolution(delivered=job.items), 200)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2 * 2200
    assert list(attempts_of(tmp_path, "id-99"))
    assert not list(attempts_of(tmp_path, "id-0"))
    with (tmp_path / "attempts.jsonl").open("ab") as file:
        file.write(b'{"at": 1, "ids": ["id-99')
    assert len(list(attempts_of(tmp_path, "id-99"))) == 1
    odd = job_of("x")
    odd.items = [Item(Record(1, 1, 0, 0, b"[1]"), Encoded(b"{}", 0))]
    diary.note(odd, Resolution(delivered=odd.items), 200)  # it is on a sender's thread
    Attempts(tmp_path / "gone", "Shop").note(job_of("x"), Resolution(delivered=job.items), 200)
