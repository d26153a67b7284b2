"""What is read from a request, and what is not, whatever the server: the desk and the visit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_servers import BROWSER, PAGE

from penstock import ConfigError
from penstock.identity import AnonymousCookie, CrossDomainLinker, DailySaltId, Placeholder
from penstock.scoping import Held
from penstock.testing import MemoryClient, captured_client
from penstock.web.desk import Desk
from penstock.web.head import Head, cleaned

if TYPE_CHECKING:
    from penstock.web.visit import Visit

DEVICE = "0b2c1c1e-1111-4111-8111-111111111111"


def head(
    path: str = "/", query: str = "", *, method: str = "GET", peer: str = "10.0.0.1", **headers: str
) -> Head:
    """A browser's request for a page."""
    named = {name.lower(): value for name, value in PAGE.items()}
    given_ = {name.replace("_", "-"): value for name, value in headers.items()}
    return Head(method, "http", path, query, peer, {**named, "host": "shop.example", **given_})


def visit(client: MemoryClient, request: Head, **options: Any) -> Visit:
    found = Desk(client, **options).receive(request)
    assert found is not None
    return found


def context(client: MemoryClient, request: Head, **options: Any) -> dict[str, Any]:
    return dict(visit(client, request, **options).context)


# -- the page --------------------------------------------------------------------------------


def test_the_facts_of_a_request(client: MemoryClient) -> None:
    """Address, agent, page, campaign, click ids, locale: each in its place."""
    request = head(
        "/caf%C3%A9",
        "utm_source=mail&utm_campaign=spring&utm_id=7&gclid=g1&token=secret",
        referer="https://other.example/from?token=secret#x",
        accept_language="de-AT,de;q=0.9",
    )
    assert context(client, request) == {
        "ip": "10.0.0.1",
        "userAgent": BROWSER,
        "page": {
            "url": "http://shop.example/caf%C3%A9?utm_source=mail&utm_campaign=spring&utm_id=7"
            "&gclid=g1",
            "path": "/café",
            "search": "?utm_source=mail&utm_campaign=spring&utm_id=7&gclid=g1",
            "referrer": "https://other.example/from",
        },
        "campaign": {"source": "mail", "name": "spring", "id": "7"},
        "clickIds": {"gclid": "g1"},
        "locale": "de-AT",
        "http": {"method": "GET", "path": "/café"},
    }


@pytest.mark.parametrize(
    ("policy", "search"),
    [("campaign", "?utm_source=a"), ("none", None), ("all", "?token=x&utm_source=a")],
)
def test_the_query_is_kept_as_far_as_the_policy_goes(
    client: MemoryClient, policy: Any, search: str | None
) -> None:
    """Tokens and names in it stay out unless somebody asks for them."""
    request = head("/", "token=x&utm_source=a", referer="http://shop.example/a?token=y")
    page = context(client, request, query=policy)["page"]
    assert page.get("search") == search
    assert page["url"] == "http://shop.example/" + (search or "")
    assert ("token=y" in page["referrer"]) is (policy == "all")


def test_of_several_values_the_first_counts_and_none_is_long(client: MemoryClient) -> None:
    """Empty ones say nothing."""
    query = "utm_source=&utm_source=a&utm_source=b&utm_term=" + "x" * 300 + "&fbclid="
    found = context(client, head("/", query))
    assert found["campaign"] == {"source": "a", "term": "x" * 255}
    assert "clickIds" not in found


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        ({}, "http://shop.example/"),
        ({"host": "Shop.Example:8080"}, "http://shop.example:8080/"),
        ({"host": "[2001:db8::1]:80"}, "http://[2001:db8::1]:80/"),
        ({"host": "evil.example/@x"}, None),
        ({"host": "a b"}, None),
        ({"host": ""}, None),
        ({"host": "x" * 400}, None),
        ({"x_forwarded_proto": "https", "x_forwarded_host": "www.shop.example"}, "https://www.shop.example/"),
        ({"x_forwarded_proto": "javascript"}, "http://shop.example/"),
    ],
)  # fmt: skip
def test_the_host_is_a_host_or_left_out(
    client: MemoryClient, headers: dict[str, str], url: str | None
) -> None:
    """What a trusted proxy forwards is believed; a header that is no host makes no URL."""
    found = context(client, head(**headers), trusted_proxies=["10.0.0.0/8"])
    assert found["page"].get("url") == url
    assert found["page"]["path"] == "/"


def test_nobody_else_forwards_a_host_or_a_scheme(client: MemoryClient) -> None:
    """Only the proxies that are yours."""
    request = head(x_forwarded_proto="https", x_forwarded_host="evil.example")
    assert context(client, request)["page"]["url"] == "http://shop.example/"


@pytest.mark.parametrize(
    "referer",
    ["javascript:alert(1)", "https://", "https://[broken", "about:blank", "https://a b/", "\x00"],
)
def test_a_referrer_is_a_page_or_left_out(client: MemoryClient, referer: str) -> None:
    """Schemes other than http and https say nothing."""
    assert "referrer" not in context(client, head(referer=referer))["page"]


def test_credentials_in_a_referrer_go(client: MemoryClient) -> None:
    """A password in a URL is nobody's business."""
    found = context(client, head(referer="https://kim:secret@other.example/x"))
    assert found["page"]["referrer"] == "https://other.example/x"


def test_the_address_is_behind_the_proxies(client: MemoryClient) -> None:
    """Acceptance 16: as `ClientIp` has it, and of an untrusted peer the peer's own."""
    request = head(x_forwarded_for="1.1.1.1, 198.51.100.7")
    assert context(client, request)["ip"] == "10.0.0.1"
    assert context(client, request, trusted_proxies=["10.0.0.0/8"])["ip"] == "198.51.100.7"
    anonymous = context(client, request, trusted_proxies=["10.0.0.0/8"], anonymize_ip=True)
    assert anonymous["ip"] == "198.51.100.0"


def test_the_response_s_status_is_known_once_it_is(client: MemoryClient) -> None:
    """Events of a background task or a streamed body have it."""
    found = visit(client, head())
    assert "status" not in found.context["http"]
    found.answered(503)
    assert found.context["http"] == {"method": "GET", "path": "/", "status": 503}


# -- what is skipped -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "skipped"),
    [
        ("GET", "/", False),
        ("OPTIONS", "/", True),
        ("GET", "/healthz", True),
        ("GET", "/healthz/deep", False),
        ("GET", "/static/a.css", True),
        ("GET", "/static", False),
    ],
)
def test_some_requests_have_no_context(
    client: MemoryClient, method: str, path: str, skipped: bool
) -> None:
    """Preflights, health checks, and what you name; a slash at the end means all below."""
    desk = Desk(client, skip_paths=["/healthz", "/static/"])
    assert (desk.receive(head(path, method=method)) is None) is skipped


# -- consent ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "options", "consent"),
    [
        ({}, {}, "full"),
        ({"sec_gpc": "1"}, {}, "anonymous"),
        ({"sec_gpc": "0"}, {}, "full"),
        ({"sec_gpc": "1"}, {"gpc": "off"}, "off"),
        ({"sec_gpc": "1"}, {"gpc": None}, "full"),
        ({"dnt": "1"}, {}, "full"),
        ({"dnt": "1"}, {"dnt": "anonymous"}, "anonymous"),
        ({"cookie": "no=1"}, {"opt_out_cookie": "no"}, "off"),
        ({"cookie": "no=0"}, {"opt_out_cookie": "no"}, "full"),
        ({"cookie": "no=false"}, {"opt_out_cookie": "no"}, "full"),
        ({"cookie": "no=1", "sec_gpc": "1"}, {"opt_out_cookie": "no"}, "off"),
        ({"sec_gpc": "1"}, {"consent": lambda _: "full"}, "full"),
        ({"sec_gpc": "1"}, {"consent": lambda _: None}, "anonymous"),
        ({"cookie": "c=yes"}, {"consent": lambda h: "full" if h.cookie("c") else "off"}, "full"),
        ({}, {"consent": lambda _: 1 / 0}, "anonymous"),
        ({}, {"consent": lambda _: "perhaps"}, "anonymous"),
    ],
)
def test_the_first_decisive_answer_is_the_consent(
    client: MemoryClient, headers: dict[str, str], options: dict[str, Any], consent: str
) -> None:
    """Application, opt-out cookie, GPC, DNT; a failing or odd answer is the careful one."""
    assert visit(client, head(**headers), **options).consent == consent


# -- bots ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "bot"),
    [
        ({}, False),
        ({"user_agent": ""}, True),
        ({"user_agent": "Googlebot/2.1"}, True),
        ({"user_agent": "curl/8.0"}, True),
        ({"user_agent": "Mozilla/5.0 HeadlessChrome/130"}, True),
        ({"user_agent": "OurProbe/1"}, True),
        ({"sec_purpose": "prefetch;prerender"}, True),
        ({"purpose": "prefetch"}, True),
    ],
)
def test_programs_are_told_from_people(
    client: MemoryClient, headers: dict[str, str], bot: bool
) -> None:
    """By their user agents, or because they fetch ahead."""
    assert visit(client, head(**headers), bots=["OurProbe"]).is_bot is bot


# -- the device ------------------------------------------------------------------------------

COOKIE = AnonymousCookie()


@pytest.mark.parametrize(
    ("method", "headers", "cache", "minted"),
    [
        ("GET", {}, "", True),
        ("HEAD", {}, "", True),
        ("GET", {}, "private, max-age=60", True),
        ("POST", {}, "", False),
        ("GET", {"sec_fetch_dest": "image"}, "", False),
        ("GET", {"sec_fetch_dest": "empty"}, "", False),
        ("GET", {"user_agent": "Googlebot/2.1"}, "", False),
        ("GET", {"sec_purpose": "prefetch"}, "", False),
        ("GET", {"sec_gpc": "1"}, "", False),
        ("GET", {}, "public, max-age=60", False),
        ("GET", {}, "s-maxage=60", False),
        ("GET", {}, "max-age=60", False),
        ("GET", {}, "max-age=0, must-revalidate", True),
        ("GET", {}, "no-cache, max-age=60", True),
        ("GET", {"cookie": f"anonymous_id={DEVICE}"}, "", False),
    ],
)
def test_a_cookie_is_minted_for_pages_only(
    client: MemoryClient, method: str, headers: dict[str, str], cache: str, minted: bool
) -> None:
    """Acceptance 17: none for bots, with GPC, from a public cache, for parts of a page."""
    found = visit(client, head(method=method, **headers), cookie=COOKIE).set_cookies(cache)
    assert [cookie.partition("=")[0] for cookie in found] == (["anonymous_id"] if minted else [])


def test_an_old_browser_says_by_accept_that_it_wants_a_page(client: MemoryClient) -> None:
    """Without ``Sec-Fetch-Dest``."""
    for accept, minted in (("text/html,*/*", True), ("image/avif", False), ("", False)):
        request = head(accept=accept)
        del request.headers["sec-fetch-dest"]  # type: ignore[attr-defined]
        assert bool(visit(client, request, cookie=COOKIE).set_cookies("")) is minted


def test_the_events_of_a_page_have_the_id_of_its_cookie(client: MemoryClient) -> None:
    """The one that is being set, or the one that came."""
    new = visit(client, head(), cookie=COOKIE)
    (header,) = new.set_cookies("")
    assert header == COOKIE.set_header(new.anonymous_id)
    old = visit(client, head(cookie=f"anonymous_id={DEVICE}"), cookie=COOKIE)
    assert old.anonymous_id == DEVICE


def test_a_handler_can_force_a_cookie(client: MemoryClient) -> None:
    """Where it is no page; not against consent and not for a bot."""
    for headers, forced in (({}, True), ({"sec_gpc": "1"}, False), ({"user_agent": ""}, False)):
        desk = Desk(client, cookie=COOKIE)
        found = desk.receive(head(method="POST", **headers))
        assert found is not None
        with Held(desk.scope(found)):
            assert (client.anonymous_id(create=True) is not None) is True
        assert bool(found.set_cookies("")) is forced


def test_a_websocket_gets_no_cookie(client: MemoryClient) -> None:
    """Its response is not ours to add to."""
    found = Desk(client, cookie=COOKIE).receive(head(), answers=False)
    assert found is not None
    found.keep_device()
    assert found.set_cookies("") == []


def test_ids_of_a_browser_s_sdk_are_taken_when_asked(client: MemoryClient) -> None:
    """And not otherwise."""
    request = head(cookie="ajs_anonymous_id=segment-device")
    assert visit(client, request, browser_cookies=True).known_device == "segment-device"
    assert visit(client, request).known_device is None


def test_tracing_headers_name_a_device_and_never_a_user(client: MemoryClient) -> None:
    """Anybody can write them, so they beat no login and are merged with nobody."""
    desk = Desk(client)
    request = head(x_posthog_distinct_id="u-victim", x_posthog_session_id="s1\r\n",
                   x_posthog_window_id="w1")  # fmt: skip
    found = desk.receive(request, lambda: "u1")
    assert found is not None
    assert found.user_id == "u1"
    assert found.known_device is None
    assert found.anonymous_id == "u-victim"
    assert (found.context["sessionId"], found.context["windowId"]) == ("s1", "w1")
    with Held(desk.scope(found)):
        client.track(event="e")
    assert (client.events[0].user_id, client.events[0].anonymous_id) == ("u1", None)
    strict = visit(client, request, trust_tracing_headers=False)
    assert strict.anonymous_id != "u-victim"
    assert "sessionId" not in strict.context


def test_without_cookies_an_id_is_computed(client: MemoryClient) -> None:
    """Dreamdata's placeholder keeps the address, a hash does not."""
    everybody = visit(client, head(), cookieless=Placeholder())
    assert (everybody.anonymous_id, everybody.context["ip"]) == ("cookieless", "10.0.0.1")
    hashed = visit(client, head(), cookieless=DailySaltId(secret="s" * 16))
    assert hashed.anonymous_id.startswith("cl_")
    assert "ip" not in hashed.context
    assert hashed.known_device is None
    assert hashed.set_cookies("") == []


class NoSalt:
    def salt(self, day: str, propose: bytes) -> bytes:
        raise OSError("secret host")


def test_what_fails_while_an_event_asks_costs_no_event(
    client: MemoryClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A store out of reach, a user that cannot be found: told once, by their kinds."""
    desk = Desk(client, cookieless=DailySaltId(NoSalt()))

    def find() -> str:
        raise RuntimeError("secret user")

    found = desk.receive(head(), find)
    assert found is not None
    with Held(desk.scope(found)):
        assert client.track(event="e")
    assert "secret" not in caplog.text
    assert {
        record.getMessage().partition("(")[2].partition(")")[0] for record in caplog.records
    } == {
        "user: RuntimeError",
        "device: OSError",
    }


def test_a_login_is_remembered_by_the_device(client: MemoryClient) -> None:
    """The next one is not linked again; a logout forgets and rotates."""
    desk = Desk(client, cookie=COOKIE)

    def serve(cookie: str, act: Any) -> list[str]:
        found = desk.receive(head(method="POST", cookie=cookie))
        assert found is not None
        with Held(desk.scope(found)):
            act()
        return found.set_cookies("")

    (flag,) = serve(f"anonymous_id={DEVICE}", lambda: client.login("u1"))
    name, _, value = flag.partition(";")[0].partition("=")
    assert name == "anonymous_id_linked"
    assert "u1" not in value
    both = f"anonymous_id={DEVICE}; anonymous_id_linked={value}"
    assert serve(both, lambda: client.login("u1")) == []
    assert serve(both, lambda: client.login("u2")) != []
    assert [event.anonymous_id for event in client.events] == [DEVICE, None, DEVICE]
    rotated, forgotten = serve(both, client.logout)
    assert rotated.startswith("anonymous_id=")
    assert DEVICE not in rotated
    assert forgotten.startswith("anonymous_id_linked=; Max-Age=0; ")


# -- options ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"query": "some"},
        {"gpc": "maybe"},
        {"dnt": True},
        {"trusted_proxies": "10.0.0.0/8"},
        {"trusted_proxies": ["nonsense"]},
        {"proxy_hops": -1},
        {"address_header": "x-real-ip"},
        {"cookie": COOKIE, "cookieless": Placeholder()},
        {"linker": CrossDomainLinker(["k" * 16], ["a.example"])},
        {"person_profiles": "never"},
    ],
)
def test_options_that_can_never_work_are_refused(
    client: MemoryClient, options: dict[str, Any]
) -> None:
    """When the middleware is made."""
    with pytest.raises(ConfigError):
        Desk(client, **options)


def test_an_unknown_option_is_refused(client: MemoryClient) -> None:
    """A misspelt one would otherwise do nothing, silently."""
    with pytest.raises(TypeError, match="coookie"):
        Desk(client, coookie=COOKIE)


# -- strangers -------------------------------------------------------------------------------

LATIN = st.text(st.characters(max_codepoint=255), max_size=300)


@given(
    path=LATIN,
    query=LATIN,
    headers=st.dictionaries(
        st.sampled_from(
            [
                *("host", "cookie", "user-agent", "referer", "accept-language", "forwarded"),
                *("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "sec-fetch-dest"),
                *("x-posthog-distinct-id", "x-posthog-session-id", "sec-gpc", "sec-purpose"),
            ]
        ),
        LATIN,
    ),
    peer=st.sampled_from(["", "10.0.0.1", "unix:", "x"]),
)
def test_any_request_is_received(path: str, query: str, headers: dict[str, str], peer: str) -> None:
    """Huge, binary, spoofed: a visit with clean facts, and an event that is accepted."""
    linker = CrossDomainLinker(["k" * 16], ["a.example"])
    with captured_client() as client:
        desk = Desk(
            client,
            cookie=COOKIE,
            linker=linker,
            browser_cookies=True,
            query="all",
            trusted_proxies=["10.0.0.0/8"],
        )
        found = desk.receive(Head("GET", "http", path, query, peer, headers))
        if found is None:
            return
        told = str(found.context)
        assert "\\x0" not in told
        assert "\\r" not in told.replace("\\\\", "")
        desk.redirect(found)
        for cookie in desk.answer(found, 200, ""):
            assert cookie.isprintable()
        with Held(desk.scope(found)):
            assert client.track(event="e")
        assert client.ledger().accepted == 1
        assert not client.ledger().coerced


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("plain", "plain"),
        ("caf\xc3\xa9", "café"),
        ("\xff\xfe", "\ufffd\ufffd"),
        ("a\r\nSet-Cookie: b", "aSet-Cookie: b"),
        ("\x00\x1b[31m", "[31m"),
        (" a ", "a"),
        ("x" * 5000, "x" * 1000),
    ],
)
def test_text_of_strangers_is_cleaned(text: str, found: str) -> None:
    """No control characters, UTF-8 where it is some, and a bound."""
    assert cleaned(text) == found


def test_huge_headers_cost_little_and_fit_an_event(client: MemoryClient) -> None:
    """A megabyte in each: the event stays small."""
    huge = "x" * 1_000_000
    names = ("cookie", "referer", "accept_language", "x_forwarded_for", "x_posthog_session_id")
    request = head("/" + huge, f"utm_source={huge}&{huge}", **dict.fromkeys(names, huge),
                   user_agent="U" + huge)  # fmt: skip
    found = visit(client, request, cookie=COOKIE, query="all", trusted_proxies=["10.0.0.0/8"])
    assert len(str(found.context)) < 12_000
