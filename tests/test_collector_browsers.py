"""Browsers and proxies: which pages may send, and whose word counts for an address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_kit import Bench, basic, track
from penstock.collector.address import Proxies
from penstock.collector.http.cors import Origins
from penstock.collector.http.incoming import Incoming
from penstock.collector.http.routes import INTAKES
from penstock.collector.refusal import Refusal
from penstock.errors import ConfigError

BODY = {"batch": [track(1)]}
SHOP = "https://shop.example"


def asking(origin: str, **more: str) -> dict[str, str]:
    """The head of a preflight."""
    return {"Origin": origin, "Access-Control-Request-Method": "POST", **more}


@pytest.mark.parametrize("path", INTAKES)
def test_every_intake_answers_a_preflight(path: str) -> None:
    """With what the page may send, for any page when a key says who sends."""
    wanted = {"Access-Control-Request-Headers": "authorization,content-type,x-posthog-anything"}
    reply = Bench("web=k").request("OPTIONS", path, headers=asking(SHOP, **wanted))
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["access-control-allow-origin"] == SHOP
    assert set(INTAKES[path].methods) < set(
        reply.headers["access-control-allow-methods"].split(", ")
    )
    assert "x-posthog-anything" in reply.headers["access-control-allow-headers"]
    assert "access-control-allow-private-network" not in reply.headers


def test_a_private_network_is_allowed_when_asked_for() -> None:
    """A page from the internet may reach a collector in the house if the browser asks."""
    headers = asking(SHOP, **{"Access-Control-Request-Private-Network": "true"})
    reply = Bench("web=k").request("OPTIONS", "/v1/batch", headers=headers)
    assert reply.headers["access-control-allow-private-network"] == "true"


def test_answers_to_pages_can_be_read_by_them() -> None:
    """Success and failure alike; nobody else gets these headers."""
    bench = Bench("web=k")
    for headers, status in ((basic("k"), 200), (basic("wrong"), 401), ({}, 401)):
        reply = bench.post("/v1/batch", BODY, {**headers, "Origin": SHOP})
        assert reply.status == status
        assert reply.headers["access-control-allow-origin"] == SHOP
        assert reply.headers["vary"] == "origin"
    assert "vary" not in bench.post("/v1/batch", BODY, basic("k")).headers
    assert bench.request("PUT", "/v1/batch", headers={"Origin": SHOP}).headers["vary"]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:3000", 200),
        ("http://127.0.0.1:8080", 200),
        ("http://[::1]", 200),
        ("http://localhost.evil.example", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
@pytest.mark.parametrize("path", ["/v1/batch", "/batch/", "/beacon/v1/batch"])
def test_an_open_collector_takes_pages_of_this_machine(path: str, origin: str, status: int) -> None:
    """Any page that somebody visits could write into it otherwise."""
    body = {**BODY, "api_key": "k", "writeKey": "k"}
    bench = Bench()
    assert bench.post(path, body, {"Origin": origin}).status == status
    preflight = bench.request("OPTIONS", path, headers=asking(origin))
    assert preflight.status == (204 if status == 200 else 403)
    assert len(bench.entries()) == (status == 200)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://shop.example", True),
        ("https://shop.example:8443", True),
        ("https://SHOP.example", True),
        ("https://a.b.test", True),
        ("https://b.test", False),
        ("https://ab.test", False),
        ("http://shop.example", False),
        ("https://shop.example.evil.test", False),
        ("https://shopxexample", False),
        ("https://exact.test:1", True),
        ("https://exact.test:12", False),
        ("", True),
    ],
)
def test_origins_are_matched_whole(origin: str, allowed: bool) -> None:
    """By scheme, host and, where it is named, port."""
    origins = Origins(["https://shop.example/", "https://*.b.test", "https://exact.test:1"])
    if allowed:
        assert bool(origins.headers(origin)) == bool(origin)
    else:
        with pytest.raises(Refusal):
            origins.headers(origin)


def test_options_without_an_origin_lists_the_methods() -> None:
    """Not every OPTIONS is a browser's."""
    reply = Bench().request("OPTIONS", "/capture/")
    assert (reply.status, reply.headers["allow"]) == (204, "GET, POST, OPTIONS")


# -- the client's address --------------------------------------------------------------------


def address(peer: str, *headers: tuple[str, str], trusted: tuple[str, ...] = ()) -> str:
    scope = {
        "method": "POST",
        "path": "/",
        "client": (peer, 1) if peer else None,
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
    }
    return Proxies(trusted).client(Incoming(scope))


NET = ("10.0.0.0/8", "::1")
XFF = "X-Forwarded-For"


@pytest.mark.parametrize(
    ("peer", "headers", "found"),
    [
        ("203.0.113.9", [(XFF, "198.51.100.1")], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [(XFF, "198.51.100.1")], "198.51.100.1"),
        ("10.0.0.1", [(XFF, "1.1.1.1, 198.51.100.1, 10.9.9.9")], "198.51.100.1"),
        ("10.0.0.1", [(XFF, "1.1.1.1"), (XFF, "198.51.100.1"), (XFF, "10.2.2.2")], "198.51.100.1"),
        ("10.0.0.1", [(XFF, "10.3.3.3, 10.2.2.2")], "10.3.3.3"),
        ("10.0.0.1", [(XFF, "1.1.1.1, garbage, 10.2.2.2")], "10.2.2.2"),
        ("10.0.0.1", [(XFF, "[2001:db8::7]:4711")], "2001:db8::7"),
        ("10.0.0.1", [(XFF, "198.51.100.1:4711")], "198.51.100.1"),
        ("::1", [("Forwarded", 'for=1.1.1.1, for="[2001:db8::7]:1";proto=https')], "2001:db8::7"),
        ("::1", [("Forwarded", "for=unknown")], "::1"),
        ("", [(XFF, "198.51.100.1")], ""),
    ],
)
def test_proxies_of_ours_are_believed_and_nobody_else(
    peer: str, headers: list[tuple[str, str]], found: str
) -> None:
    """From the right, up to the first address that is not a proxy's."""
    assert address(peer, *headers, trusted=NET) == found


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_any_header_gives_an_address(text: str) -> None:
    """Whatever a client makes up, what is stored is an address."""
    for name in (XFF, "Forwarded"):
        assert Proxies([address("10.0.0.1", (name, text), trusted=NET)])


def test_a_trusted_network_must_be_one() -> None:
    """Said at the start, not at the first request."""
    with pytest.raises(ConfigError, match="network"):
        Proxies(["proxy.internal"])


def test_the_address_is_stored_with_the_event() -> None:
    """As the proxies tell it."""
    bench = Bench(trusted_proxies=("203.0.113.0/24",))
    bench.post("/v1/batch", BODY, {**basic("k"), XFF: "6.6.6.6, 198.51.100.1"})
    assert bench.decoded()[0].events[0].ip == "198.51.100.1"
