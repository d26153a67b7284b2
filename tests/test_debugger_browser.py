"""The debugger in a real browser: live, by keyboard, in the dark, and hostile events are inert."""

from __future__ import annotations

import json
import os
import re
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from browser import chromium, complaints, require_chromium, set_dark
from collector_kit import basic, track
from collector_process import ServedCollector
from faults.rules import Run, poison, status
from faults.sink import FaultSink
from patience import wait_for
from penstock.collector.layout import Layout
from penstock.collector.trace.story import trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver.chrome.webdriver import WebDriver

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
TOKEN = "a-token-of-the-tests"
#: Where the pictures of the manual are made; else they are made and thrown away.
PICTURES = os.environ.get("PENSTOCK_SCREENSHOTS")
#: Bytes of a picture: they are in the repository.
MOST_PICTURE = 150_000

HOSTILE = (
    "<script>window.hacked = 1</script>",
    "\"><img src=x onerror='window.hacked = 2'>",
    "</td></tr></table><svg onload=window.hacked=3>",
    "javascript:window.hacked=4",
    "{{ 7 * 7 }}{% raw %}",
    "'-alert(1)-'\u202e\u2028\u0000\x1b[31m",
)


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedCollector]:
    require_chromium()
    served = ServedCollector(tmp_path_factory.mktemp("store"), workers=2, debugger=True)
    yield served
    assert served.stop() == 0


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    with chromium(tmp_path_factory.mktemp("profile")) as made:
        yield made


@pytest.fixture
def browser(chrome: WebDriver, collector: ServedCollector) -> Iterator[WebDriver]:
    """On the first page; whatever the console complains of fails the test."""
    set_dark(chrome, dark=False)
    chrome.get(url(collector))
    wait_for(lambda: "Live" in text_of(chrome, "#state"), "the stream")
    yield chrome
    assert complaints(chrome) == []


def url(collector: ServedCollector, path: str = "/") -> str:
    return str(collector.told["debugger"]) + path


def text_of(browser: WebDriver, selector: str) -> str:
    """What a person reads there."""
    script = "const x = document.querySelector(arguments[0]); return x ? x.innerText : ''"
    return str(browser.execute_script(script, selector))


def texts_of(browser: WebDriver, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map((x) => x.innerText)"
    found: list[str] = browser.execute_script(script, selector)
    return found


def send(collector: ServedCollector, *messages: dict[str, Any]) -> None:
    assert collector.post("/v1/batch", {"batch": messages}) == 200


def named(name: str, number: int = 0, **more: Any) -> dict[str, Any]:
    """A track with a name, an id of its own, and no other time than now."""
    return {**track(number), "messageId": f"id-{name}-{number}", "event": name, **more}


def test_an_event_is_seen_within_a_second_and_its_verdict_follows(
    browser: WebDriver, collector: ServedCollector
) -> None:
    """Without a reload; a repetition and an item that is no event are seen, too."""
    behind: list[float] = []
    for number in range(5):  # a busy machine may hold up one or two
        began, name = time.monotonic(), f"Seen At Once {number}"
        send(collector, named(name), {"type": "zoo"})
        wait_for(lambda: name in texts_of(browser, "#events td:nth-child(5)"), "the event")  # noqa: B023
        behind.append(time.monotonic() - began)
    assert statistics.median(behind) < 1
    wait_for(lambda: "quarantined" in texts_of(browser, "#events .verdict"), "the bad item")
    wait_for(lambda: "stored" in texts_of(browser, "#events .verdict"), "the verdict")
    send(collector, named("Seen At Once 0"))
    wait_for(lambda: "duplicate" in texts_of(browser, "#events .verdict"), "the repetition")
    wait_for(lambda: int(text_of(browser, "#total").replace(",", "")) >= 3, "the chart")
    assert browser.execute_script("return document.querySelectorAll('#chart rect.stored').length")


def test_the_stream_is_paused_and_goes_on(browser: WebDriver, collector: ServedCollector) -> None:
    """By keyboard; what came meanwhile is counted, and shown afterwards."""
    press(browser, "p")
    send(collector, named("While Paused"))
    wait_for(lambda: "waiting" in text_of(browser, "#state") and "0 waiting" not in
             text_of(browser, "#state"), "the count")  # fmt: skip
    assert "While Paused" not in texts_of(browser, "#events td:nth-child(5)")
    press(browser, "p")
    wait_for(lambda: "While Paused" in texts_of(browser, "#events td:nth-child(5)"), "the event")


def test_filters_hold_for_what_is_stored_and_for_what_comes(
    browser: WebDriver, collector: ServedCollector
) -> None:
    """Search, type, event, user and verdict, one at a time."""
    send(collector, named("Wanted", 1, userId="someone"), named("Other", 1, userId="nobody"))
    wait_for(lambda: "Wanted" in texts_of(browser, "#events td:nth-child(5)"), "the event")
    for query in ("event=Wanted", "q=wanted", "user=someone", "q=someone&type=track"):
        browser.get(url(collector, f"/?{query}"))
        wait_for(lambda: "Live" in text_of(browser, "#state"), "the stream")
        assert set(texts_of(browser, "#events td:nth-child(5)")) == {"Wanted"}
        before = len(texts_of(browser, "#events tr"))
        number = 100 + len(query)
        send(
            collector,
            named("Wanted", number, userId="someone"),
            named("Other", number, userId="nobody"),
        )
        wait_for(lambda n=before: len(texts_of(browser, "#events tr")) > n, "the next one")
        assert set(texts_of(browser, "#events td:nth-child(5)")) == {"Wanted"}
    browser.get(url(collector, "/?verdict=duplicate"))
    wait_for(lambda: "Live" in text_of(browser, "#state"), "the stream")
    send(collector, named("Wanted", 1), named("Wanted", 777))
    wait_for(lambda: "Wanted" in texts_of(browser, "#events td:nth-child(5)"), "the repetition")
    assert set(texts_of(browser, "#events .verdict")) == {"duplicate"}


def test_everything_is_reached_by_keyboard(browser: WebDriver, collector: ServedCollector) -> None:
    """From row to row, into a story, and to the search; focus can be seen."""
    send(collector, named("By Key", 1), named("By Key", 2))
    wait_for(lambda: texts_of(browser, "#events td:nth-child(5)").count("By Key") >= 2, "events")
    wait_for(lambda: "received" not in texts_of(browser, "#events .verdict"), "the verdicts")
    press(browser, "j")
    first = active(browser)
    press(browser, "j")
    second = active(browser)
    assert first.startswith("A:")
    assert second.startswith("A:")
    assert first != second
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert browser.execute_script(outline) == "solid"
    press(browser, "k")
    assert active(browser) == first
    press(browser, "/")
    assert active(browser).startswith("INPUT:")
    press(browser, "j")  # typed, now
    assert browser.execute_script("return document.activeElement.value") == "j"
    press(browser, "\ue00c")  # Escape
    press(browser, "j")
    press(browser, "\ue007")  # Enter
    wait_for(lambda: "/event?id=" in browser.current_url, "the story")
    browser.get(url(collector))
    press(browser, "\ue004")  # Tab: the first thing is the way past the header
    assert active(browser).endswith("#main")
    wait_for(lambda: "Live" in text_of(browser, "#state"), "the stream")


def active(browser: WebDriver) -> str:
    script = "const x = document.activeElement; return x.tagName + ':' + (x.href || x.id)"
    return str(browser.execute_script(script))


def press(browser: WebDriver, key: str) -> None:
    from selenium.webdriver import ActionChains

    ActionChains(browser).send_keys(key).perform()


def test_a_script_in_every_field_is_inert(browser: WebDriver, collector: ServedCollector) -> None:
    """Live and reloaded, on every page, in the story, and where it is shown as it came."""
    for number, evil in enumerate(HOSTILE):
        message = {
            "type": "track", "messageId": f"evil-{number}-{evil}", "userId": evil,
            "anonymousId": evil, "event": evil, "timestamp": evil,
            "properties": {evil: evil, "nested": [{evil: [evil]}]},
            "context": {"library": {"name": evil, "version": evil}, evil: evil},
            "integrations": {evil: evil}, evil: evil,
        }  # fmt: skip
        page = {**message, "type": "page", "name": evil, "category": evil}
        group = {**message, "type": "group", "groupId": evil, "traits": {evil: evil}}
        bad = {**message, "type": evil}
        ids = {"messageId": f"page-{number}-{evil}"}, {"messageId": f"group-{number}-{evil}"}
        body = {"batch": [message, {**page, **ids[0]}, {**group, **ids[1]}, bad]}
        headers = {**basic("k"), "User-Agent": "".join(c for c in evil if 31 < ord(c) < 127)}
        assert collector.post("/v1/batch", body, headers) == 200
    last = HOSTILE[0]
    wait_for(lambda: last in texts_of(browser, "#events td:nth-child(5)"), "the events")
    wait_for(lambda: "received" not in texts_of(browser, "#events .verdict"), "the verdicts")
    links = "return [...document.querySelectorAll('#events a')].map((x) => x.href)"
    stories = [link for link in browser.execute_script(links) if "evil-" in link]
    assert len(stories) >= len(HOSTILE)
    others = [url(collector, path) for path in ("/", "/quarantine", "/sources", "/?q=" + last)]
    for page_url in [browser.current_url, *others, *stories]:
        browser.get(page_url)
        assert browser.execute_script("return window.hacked") is None
        assert not browser.find_elements(
            "css selector", "main img, main script, main svg:not(#chart)"
        )
        assert not browser.find_elements("css selector", "a[href^='javascript' i]")
    assert "<script>window.hacked = 1</script>" in browser.find_element("css selector", "main").text


def test_nothing_but_the_debugger_is_asked(browser: WebDriver, collector: ServedCollector) -> None:
    """It works with no network: whatever a page needs comes from where it came from."""
    script = "return performance.getEntriesByType('resource').map((x) => x.name)"
    for path in ("/", "/quarantine", "/sources", "/ledger", "/dead"):
        browser.get(url(collector, path))
        asked = browser.execute_script(script)
        assert asked
        assert all(name.startswith(url(collector)) for name in asked)
    browser.get(url(collector))
    wait_for(lambda: "Live" in text_of(browser, "#state"), "the stream")


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_has_the_contrast_of_wcag_aa(
    browser: WebDriver, collector: ServedCollector, *, dark: bool
) -> None:
    """4.5 to 1 at least, in the light and in the dark, for every text on every page."""
    set_dark(browser, dark)
    send(collector, named("Contrast", 5), named("Contrast", 5), {"type": "zoo"})
    wait_for(lambda: "duplicate" in texts_of(browser, "#events .verdict"), "the verdicts")
    seen = 0
    for path in ("/", "/event?id=id-Contrast-5", "/quarantine", "/sources", "/ledger", "/dead"):
        browser.get(url(collector, path))
        for text, colour, paper in browser.execute_script(_COLOURS):
            seen += 1
            assert contrast(colour, paper) >= 4.5, (path, text, colour, paper)
    assert seen > 100
    background = "return getComputedStyle(document.body).backgroundColor"
    assert (luminance(browser.execute_script(background)) < 0.1) == dark


#: Every text with its colour and the first background beneath it that is not transparent.
_COLOURS = """
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const text = walker.currentNode.textContent.trim();
  const element = walker.currentNode.parentElement;
  if (!text || !element.checkVisibility() || element.closest("title, datalist")) continue;
  const style = getComputedStyle(element);
  const inside = element.namespaceURI.endsWith("svg");
  let under = element;
  let paper = "rgba(0, 0, 0, 0)";
  while (under && paper.endsWith(", 0)")) {
    paper = getComputedStyle(under).backgroundColor;
    under = under.parentElement;
  }
  found.push([text, inside ? style.fill : style.color, paper]);
}
return found;
"""


def luminance(colour: str) -> float:
    """Relative luminance of ``rgb(...)``. Source: WCAG 2.2, "relative luminance"."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Source: WCAG 2.2, "contrast ratio"."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_names_and_roles_are_there_for_who_does_not_see(browser: WebDriver) -> None:
    """A language, a title, one heading, labels, headers of columns, and a status that is told."""
    script = """
    return {
      language: document.documentElement.lang, title: document.title,
      headings: document.querySelectorAll("h1").length,
      unlabelled: [...document.querySelectorAll("input:not([type=hidden]), select")]
        .filter((x) => !x.labels.length).length,
      columns: [...document.querySelectorAll("th")].every((x) => x.scope === "col"),
      status: document.querySelector("#state").getAttribute("role"),
      chart: document.querySelector("#chart").getAttribute("aria-label"),
    }
    """
    found = browser.execute_script(script)
    assert found.pop("title").startswith("Events")
    assert found.pop("chart")
    assert found == {
        "language": "en", "headings": 1, "unlabelled": 0, "columns": True, "status": "status",
    }  # fmt: skip


def test_a_debugger_with_a_token_lets_in_who_has_it(chrome: WebDriver, tmp_path: Path) -> None:
    """And nobody else; who leaves is out."""
    served = ServedCollector(tmp_path / "store", "--debugger-token", TOKEN, debugger=True)
    try:
        chrome.get(url(served))
        assert chrome.current_url.endswith("/login")
        for token, there in (("not the token", "/login?wrong"), (TOKEN, "/")):
            chrome.find_element("name", "token").send_keys(token + "\ue007")
            wait_for(lambda end=there: chrome.current_url.endswith(end), "the next page")
        wait_for(lambda: "Live" in text_of(chrome, "#state"), "the stream")
        chrome.find_element("css selector", "header button").click()
        wait_for(lambda: chrome.current_url.endswith("/login"), "the way out")
        chrome.get(url(served))
        assert chrome.current_url.endswith("/login")
        complaints(chrome)
    finally:
        assert served.stop() == 0


def test_the_list_comes_back_after_the_debugger_died(
    browser: WebDriver, collector: ServedCollector
) -> None:
    """Its process is started again, and the page finds it by itself."""
    (pid,) = collector.running("debugger")
    os.kill(pid, 9)
    wait_for(lambda: collector.running("debugger") not in ([], [pid]), "its successor")
    wait_for(lambda: "Live" in text_of(browser, "#state"), "the stream")
    send(collector, named("After Death"))
    wait_for(lambda: "After Death" in texts_of(browser, "#events td:nth-child(5)"), "the event")
    complaints(browser)  # the connection was lost, as was meant


# -- the manual's pictures ---------------------------------------------------------------------

_SHOP = ("Product Viewed", "Product Added", "Checkout Started", "Order Completed")


def test_the_pictures_of_the_manual_can_be_made(
    chrome: WebDriver, tmp_path: Path, sink: FaultSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``PENSTOCK_SCREENSHOTS=docs/images`` makes them anew; else they are only tried."""
    monkeypatch.setenv("PENSTOCK_NETWORK", "loopback")
    folder = Path(PICTURES) if PICTURES else tmp_path / "images"
    folder.mkdir(exist_ok=True)
    sink.plan(Run(status(503)))
    strict = FaultSink().plan(poison({"Product Viewed"})).start()
    (tmp_path / "c.toml").write_text(_SOURCES.format(product=sink.url, crm=strict.url))
    options = ["--config", str(tmp_path / "c.toml")]
    served = ServedCollector(tmp_path / "store", *options, debugger=True)
    try:
        for number in range(60):
            _visit(served, number)
        layout = Layout(tmp_path / "store")
        fates = {"delivered", "dead"}
        wait_for(lambda: {d.state for d in trace(layout, _id(44)).deliveries} == fates, "fates")
        for name, path, dark, script in _SHOTS:
            set_dark(chrome, dark)
            chrome.get(url(served, path))
            chrome.execute_script(script)
            if path == "/":
                wait_for(lambda: "Live" in text_of(chrome, "#state"), "the stream")
                wait_for(lambda: "received" not in texts_of(chrome, "#events .verdict"), "verdicts")
            picture = folder / f"{name}.png"
            assert chrome.save_screenshot(str(picture))
            assert picture.read_bytes().startswith(b"\x89PNG")
            assert picture.stat().st_size < MOST_PICTURE
    finally:
        strict.close()
        assert served.stop() == 0


def _id(number: int) -> str:
    return f"0195500a-2222-7000-8000-{number:012d}"


_SOURCES = """
[sources.web]
key = "WK_web"
[sources.shop]
key = "WK_shop"
[destinations.product]
type = "posthog"
key = "phc_loopback"
name = "Product"
endpoint = "{product}"
[destinations.crm]
type = "segment"
key = "WK_loopback"
name = "CRM"
endpoint = "{crm}"
batch_size = 4
"""
#: Name, path, whether it is dark, and what is done first.
_SHOTS = (
    ("debugger-events", "/", False, ""),
    ("debugger-dark", "/", True, ""),
    ("debugger-event", f"/event?id={_id(44)}", False, ""),
    ("debugger-destinations", f"/event?id={_id(44)}", False, "scrollTo(0, 1e6)"),
)


def _visit(served: ServedCollector, number: int) -> None:
    name = _SHOP[number % 4]
    message = {
        "type": "track", "messageId": _id(number),
        "userId": f"u-{number % 7}", "event": name,
        "properties": {"product": f"sku-{number}", "price": 49.5, "currency": "EUR"},
        "context": {"library": {"name": "analytics.js", "version": "2.1.0"}},
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
    }  # fmt: skip
    batch = [message, message] if number % 9 == 4 else [message]
    if number % 13 == 6:
        batch.append({"type": "track", "userId": "u-3", "properties": {"price": 1}})
    source = "web" if number % 3 else "shop"
    assert (
        served.post("/v1/batch", json.loads(json.dumps({"batch": batch})), basic(f"WK_{source}"))
        == 200
    )
