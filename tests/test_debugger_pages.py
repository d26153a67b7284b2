"""Who may see the debugger, what its answers say to a browser, and what they never show."""

from __future__ import annotations

import asyncio
import hmac
import html
import http.client
import json
import os
import re
import signal
import socket
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from collector_kit import Reply, basic, call, track
from collector_process import ServedCollector
from patience import DEADLINE, wait_for
from penstock.collector import CollectorConfig, Debugger
from penstock.collector.config import digest_of
from penstock.collector.layout import Layout
from penstock.collector.pages.app import Pages
from penstock.collector.pages.follower import Follower
from penstock.collector.pages.guard import COOKIE, Guard, Keeper
from penstock.collector.processes.listeners import listening_beside
from penstock.collector.trace.masking import masked, masked_text
from penstock.errors import ConfigError
from store_kit import lane, send

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "a-token-of-the-tests"
PAGES = ("/", "/event?id=m", "/quarantine", "/sources", "/ledger", "/dead")
HOST = {"Host": "127.0.0.1:8766"}


class Site:
    """The pages of a store, without a socket."""

    def __init__(self, root: Path, token: str = "", names: tuple[str, ...] = ()) -> None:
        digest = digest_of(token) if token else ""
        config = CollectorConfig(store=root, debugger=Debugger(token=digest, names=names))
        self.layout = Layout(root)
        self.keeper = Keeper(digest)
        self.follower = Follower(self.layout)
        self.app = Guard(Pages(config, self.follower, self.keeper).app, self.keeper, names)

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, b"", headers)

    def post(self, path: str, form: dict[str, str], **headers: str) -> Reply:
        return self.ask("POST", path, urlencode(form).encode(), headers)

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        whole = {**HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
        where, _, query = path.partition("?")
        return asyncio.run(call(self.app, method, where, body, whole, query))  # type: ignore[arg-type]


def write(root: Path, *messages: object, **head: Any) -> None:
    log = lane(Layout(root))
    send(log, *messages, **head)
    log.close()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("store"))


# -- what every answer says ----------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PAGES, "/login", "/static/debugger.js", "/nowhere", "/stream/x"])
def test_every_answer_is_locked_down(site: Site, path: str) -> None:
    """No script but ours, no frame, no cache, no other origin; templates obey that themselves."""
    reply = site.get(path)
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "trusted-types 'none'" in policy
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in reply.headers
    if reply.headers["content-type"].startswith("text/html"):
        text = reply.body.decode()
        assert re.findall(r"<script[^>]*>", text) == ['<script src="/static/debugger.js" defer>']
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", text)


def test_a_store_that_is_not_there_yet_is_shown_empty(tmp_path: Path) -> None:
    """Nothing is made by looking."""
    site = Site(tmp_path / "none")
    assert [site.get(path).status for path in PAGES] == [200] * len(PAGES)
    assert not (tmp_path / "none").exists()


# -- who may look ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PAGES, "/stream"])
def test_with_a_token_nobody_sees_anything_without(tmp_path: Path, path: str) -> None:
    """A browser is sent to say it, a program is told; a wrong one is none."""
    site = Site(tmp_path, TOKEN)
    assert site.get(path).status == 401
    reply = site.get(path, Accept="text/html")
    assert (reply.status, reply.headers["location"]) == (303, "/login")
    assert site.get(path, Authorization="Bearer wrong").status == 401
    assert site.get(path, Cookie=f"{COOKIE}=wrong").status == 401
    assert site.get(path, Cookie=f"{COOKIE}=").status == 401
    assert site.get("/login").status == 200
    if path != "/stream":
        assert site.get(path, Authorization=f"Bearer {TOKEN}").status == 200


def test_the_token_opens_a_session_that_tells_nothing_of_it(tmp_path: Path) -> None:
    """The cookie is for this site and for no script, and another process's is none."""
    site = Site(tmp_path, TOKEN)
    secret = site.keeper.form_secret
    wrong = site.post("/session", {"secret": secret, "token": "no"})
    assert wrong.headers["location"] == "/login?wrong"
    assert "set-cookie" not in wrong.headers
    reply = site.post("/session", {"secret": secret, "token": TOKEN})
    cookie = reply.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    value = cookie.split(";")[0]
    assert site.get("/", Cookie=value).status == 200
    assert Site(tmp_path, TOKEN).get("/", Cookie=value).status == 401
    everything = b"".join(site.get(path, Cookie=value).body for path in ("/", "/login"))
    assert TOKEN not in everything.decode() + cookie
    assert digest_of(TOKEN) not in everything.decode() + cookie


def test_secrets_are_compared_in_constant_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Token, session and the form's secret: each through `hmac.compare_digest`, never ``==``."""
    compared: list[int] = []
    real = hmac.compare_digest

    def counted(one: Any, other: Any) -> bool:
        compared.append(1)
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    site = Site(tmp_path, TOKEN)
    for number, ask in enumerate(
        (
            lambda: site.keeper.knows("wrong"),
            lambda: site.get("/", Authorization="Bearer wrong"),
            lambda: site.post("/session", {"secret": "wrong", "token": TOKEN}),
        ),
        1,
    ):
        ask()
        assert len(compared) >= number


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8766", 200),
        ("localhost", 200),
        ("[::1]:8766", 200),
        ("debugger.example", 200),
        ("DEBUGGER.example:443", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("", 421),
        ("[", 421),
    ],
)
def test_a_rebound_name_gets_nothing(tmp_path: Path, host: str, status: int) -> None:
    """A page on the web that points its own name at this machine is not answered."""
    site = Site(tmp_path, names=("debugger.example",))
    assert site.get("/", Host=host).status == status


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        ({}, {}),
        ({}, {"secret": "wrong"}),
        ({"Origin": "http://evil.example"}, None),
        ({"Origin": "null"}, None),
        ({"Sec-Fetch-Site": "cross-site"}, None),
        ({"Sec-Fetch-Site": "same-site"}, None),
    ],
)
def test_a_form_of_another_page_is_not_taken(
    site: Site, headers: dict[str, str], form: dict[str, str] | None
) -> None:
    """Without the page's secret or from another origin, nothing is done."""
    secret = {"secret": site.keeper.form_secret}
    sent = secret if form is None else form
    assert site.post("/dead/replay", sent, **headers).status == 403
    own = {"Origin": "http://127.0.0.1:8766", "Sec-Fetch-Site": "same-origin"}
    assert site.post("/dead/replay", secret, **own).status == 303
    assert site.get("/dead/replay").status == 405


@pytest.mark.parametrize("path", ["/", "/stream", "/static/icon.svg", "/event?id=m"])
def test_another_page_may_lead_here_and_nothing_else(site: Site, path: str) -> None:
    """A link is fine; a picture, a script or a stream of another page is not."""
    for where in ("cross-site", "same-site"):
        foreign = {"Sec-Fetch-Site": where}
        assert site.get(path, **foreign, **{"Sec-Fetch-Mode": "no-cors"}).status == 403
        assert site.get(path, **foreign, **{"Sec-Fetch-Mode": "cors"}).status == 403
        if path != "/stream":
            assert site.get(path, **foreign, **{"Sec-Fetch-Mode": "navigate"}).status == 200


def test_a_form_is_bounded(site: Site) -> None:
    """In bytes and in fields."""
    assert site.post("/dead/replay", {"secret": "x" * 100_000}).status == 413
    assert site.post("/dead/replay", {f"f{n}": "x" for n in range(1000)}).status == 413


@pytest.mark.parametrize(
    "settings",
    [
        {"host": "0.0.0.0"},
        {"host": "debugger.example"},
        {"port": 70_000},
        {"port": -1},
    ],
)
def test_a_debugger_that_others_can_reach_needs_a_token(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """It says so before it listens."""
    with pytest.raises(ConfigError):
        CollectorConfig(store=tmp_path, debugger=Debugger(**settings)).checked()


def test_a_token_that_can_be_guessed_is_none(tmp_path: Path) -> None:
    """Sixteen characters at least; the error does not repeat it."""
    with pytest.raises(ConfigError) as caught:
        digest_of("short")
    assert "short" not in str(caught.value)
    debugger = Debugger(host="0.0.0.0", token=digest_of(TOKEN))
    CollectorConfig(store=tmp_path, debugger=debugger).checked()


# -- what is shown, and what never is -----------------------------------------------------------


def test_keys_are_masked_wherever_events_are_shown(tmp_path: Path) -> None:
    """In the story, in quarantine, in properties, and inside of JSON in a string."""
    key = "phc_SECRETSECRETSECRET"
    inner = json.dumps({"api_key": key, "token": key})
    fine = {
        **track(1),
        "writeKey": key,
        "api_key": key,
        "properties": {"token": key, "$token": key, "inner": inner, "list": [{"write_key": key}]},
        "context": {"apiKey": key},
    }
    write(tmp_path, fine, {**fine, "type": "zoo", "messageId": "bad"})
    site = Site(tmp_path)
    site.follower.step()
    for path in (f"/event?id={fine['messageId']}", "/event?id=bad", "/quarantine", "/"):
        text = html.unescape(site.get(path).body.decode())
        assert "SECRET" not in text, path
    shown = html.unescape(site.get(f"/event?id={fine['messageId']}").body.decode())
    assert "phc_…" in shown


@hypothesis.given(st.text(), st.text(alphabet="abcdefXYZ0189_-", min_size=5))
def test_masking_leaves_the_rest_as_it_is(around: str, key: str) -> None:
    """Whatever stands around a key stays; of the key, four characters at most."""
    text = json.dumps({"a": around, "writeKey": key, "b": [around]})
    found = json.loads(masked_text(text))
    shown = (key[:4] if len(key) > 8 else "") + "…"
    assert found["writeKey"] == shown
    assert masked({"x": [{"api_key": key}], "y": around}) == {
        "x": [{"api_key": shown}],
        "y": around,
    }
    if '"' not in around and "=" not in around:
        assert found == {"a": around, "writeKey": shown, "b": [around]}


EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&{{7*7}}"


@pytest.mark.parametrize("name", ["q", "source", "type", "event", "user", "verdict", "id", "reason",
                                  "destination", "replayed", "after", "wrong"])  # fmt: skip
def test_what_is_asked_comes_back_as_text(site: Site, name: str) -> None:
    """No parameter of any page becomes markup."""
    for path in ("/", "/event", "/quarantine", "/sources", "/ledger", "/dead", "/login"):
        reply = site.get(f"{path}?{name}={quote(EVIL)}")
        assert reply.status == 200
        text = reply.body.decode()
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "49" not in re.findall(r"value=\"(.*?)\"", text)


@hypothesis.settings(max_examples=40)
@hypothesis.given(data=st.data())
def test_any_query_gets_a_page(shared_site: Site, data: Any) -> None:
    """Whatever is asked, in whatever bytes: an answer that is documented, never a crash."""
    path = data.draw(st.sampled_from(["/", "/event", "/quarantine", "/dead", "/static/x", "/x"]))
    query = data.draw(st.binary(max_size=60)).decode("latin-1")
    assert shared_site.get(f"{path}?{query}").status in {200, 404}


def test_an_event_of_a_million_letters_costs_no_million_letters(tmp_path: Path) -> None:
    """In memory and on the pages, each name is cut; in the story, so is the item."""
    wide = "w" * 1_000_000
    write(tmp_path, track(1, event=wide), {"type": "zoo", "messageId": wide, "more": wide})
    site = Site(tmp_path)
    site.follower.step()
    for seen in site.follower.ring._held.values():
        assert len(msgspec.json.encode(seen.arrival)) < 2000
    assert len(site.get("/").body) < 20_000
    for path in ("/quarantine", f"/event?id={track(1)['messageId']}"):
        assert len(site.get(path).body) < 300_000


def test_an_id_that_comes_all_the_time_has_a_story_with_an_end(tmp_path: Path) -> None:
    """The newest of a thousand repetitions, and a word that there are more."""
    for _ in range(10):
        write(tmp_path, *[track(1)] * 10)
    log = lane(Layout(tmp_path))
    for _ in range(200):
        send(log, track(1))
    log.close()
    text = Site(tmp_path).get(f"/event?id={track(1)['messageId']}").body.decode()
    assert "repetitions may be missing" in text
    assert text.count("<section") == 21  # twenty of them, and the destinations


def test_files_are_only_those_of_the_pages(site: Site) -> None:
    """No path leads out."""
    for name in ("../app.py", "..%2Fapp.py", "%2e%2e/guard.py", "debugger.css/../../app.py", ""):
        assert site.get(f"/static/{name}").status == 404


def test_trouble_with_the_store_is_said_and_not_told(tmp_path: Path) -> None:
    """A damaged ledger is 503, with no word of what is in it."""
    site = Site(tmp_path)
    (tmp_path / "sealed.json").write_text("SECRET")
    reply = site.get("/ledger")
    assert reply.status == 503
    assert b"SECRET" not in reply.body


# -- as a process --------------------------------------------------------------------------------


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[ServedCollector]:
    served = ServedCollector(tmp_path / "store", debugger=True)
    yield served
    assert served.stop() == 0


def opened(collector: ServedCollector, path: str, buffer: int = 0) -> socket.socket:
    """A request that was sent and of which nothing was read."""
    made = socket.socket()
    if buffer:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    made.settimeout(DEADLINE)
    host, port = urlsplit(collector.told["debugger"]).netloc.split(":")
    made.connect((host, int(port)))
    made.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    return made


def until(stream: socket.socket, word: bytes) -> bytes:
    """Read until *word* came."""
    found = b""
    while word not in found:
        part = stream.recv(65536)
        assert part, found
        found += part
    return found


def page(collector: ServedCollector, path: str) -> str:
    connection = http.client.HTTPConnection(urlsplit(collector.told["debugger"]).netloc, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        return answer.read().decode()
    finally:
        connection.close()


def test_events_are_streamed_under_a_second_behind(collector: ServedCollector) -> None:
    """The half of twenty, measured from before each was sent; a busy machine may hold up one."""
    behind: list[float] = []
    with opened(collector, "/stream") as stream:
        until(stream, b"retry")
        for number in range(20):
            began = time.monotonic()
            assert collector.post("/v1/batch", {"batch": [track(number)]}) == 200
            until(stream, track(number)["messageId"].encode())
            behind.append(time.monotonic() - began)
    assert statistics.median(behind) < 1


def test_a_viewer_that_does_not_read_costs_nobody_anything(collector: ServedCollector) -> None:
    """Memory stays flat, others see everything, and it is told how much it missed."""
    (pid,) = wait_for(lambda: collector.running("debugger"), "the debugger")
    with opened(collector, "/stream", buffer=4096) as slow, opened(collector, "/stream") as quick:
        until(slow, b"retry")
        until(quick, b"retry")
        before, sent = 0, 0
        for batch in range(60):
            wide = [track(batch * 100 + n, event=f"Wide {'x' * 100}") for n in range(100)]
            assert collector.post("/v1/batch", {"batch": wide}) == 200
            sent += 100
            until(quick, wide[-1]["messageId"].encode())
            before = before or resident(pid) if batch == 20 else before
        assert resident(pid) - before < 20 * 1024
        assert b"event: dropped" in until(slow, b"event: dropped")


def resident(pid: int) -> int:
    """KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0])


def test_events_are_taken_while_the_debugger_hangs(collector: ServedCollector) -> None:
    """It is a process of its own, and nobody waits for it."""
    (pid,) = wait_for(lambda: collector.running("debugger"), "the debugger")
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        for number in range(200):
            assert collector.post("/v1/batch", {"batch": [track(number)]}) == 200
        assert time.monotonic() - began < 20
        wait_for(lambda: 'fate="stored"} 200.0' in collector.get("/metrics")[1], "the store")
    finally:
        os.kill(pid, signal.SIGCONT)


def test_it_goes_behind_whoever_takes_events(collector: ServedCollector) -> None:
    """The scheduler is told so."""
    (pid,) = wait_for(lambda: collector.running("debugger"), "the debugger")
    theirs = os.getpriority(os.PRIO_PROCESS, collector.pipeline)
    wait_for(lambda: os.getpriority(os.PRIO_PROCESS, pid) == min(19, theirs + 5), "its niceness")


def test_viewers_do_not_hold_up_the_end(collector: ServedCollector) -> None:
    """A stream ends when the collector does, cleanly and at once."""
    with opened(collector, "/stream") as stream:
        until(stream, b"retry")
        collector.process.send_signal(signal.SIGTERM)
        while stream.recv(65536):
            pass
    assert collector.process.wait(DEADLINE) == 0
    assert collector.process.stderr
    told = collector.process.stderr.read().decode()
    assert "Cancel" not in told  # as the server says of a stream that had to be cut off


def test_a_story_is_told_with_everything_there_is(collector: ServedCollector) -> None:
    """Sent twice in one batch: the request, the item as it came, both verdicts, the file."""
    message = track(5)
    headers = {**basic("k"), "User-Agent": "shop/7"}
    assert collector.post("/v1/batch", {"batch": [message, message]}, headers) == 200
    wait_for(lambda: 'fate="duplicates"} 1.0' in collector.get("/metrics")[1], "sealing")
    text = html.unescape(page(collector, f"/event?id={message['messageId']}"))
    for word in ("stored", "duplicate", "shop/7", "/v1/batch", "fresh/events/", "item 2 of 2"):
        assert word in text
    assert json.dumps(message["properties"]) in text


def test_the_debugger_can_be_left_out(tmp_path: Path) -> None:
    """``--no-debugger`` starts no process."""
    served = ServedCollector(tmp_path / "store")
    try:
        assert served.told["debugger"] == ""
        assert not served.running("debugger")
    finally:
        assert served.stop() == 0


def test_a_port_that_is_taken_is_no_trouble_unless_it_was_asked_for() -> None:
    """The default gives way to a free one, a wish is refused."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with listening_beside(Debugger(), port) as made:
            assert made.getsockname()[1] != port
        wished = listening_beside(Debugger(port=port), 0)
        with pytest.raises(ConfigError, match="cannot listen"), wished:
            pass
