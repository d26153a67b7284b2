"""Links between domains: who may read them, how often, and where the redirect leads."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clock import Clock
from penstock import ConfigError, MissingExtraError
from penstock.identity import CrossDomainLinker
from penstock.identity.links import local_url, parameter_of, without_parameter
from penstock.testing import captured_client

KEYS = ["k" * 16]
DEVICE = "0b2c1c1e-1111-4111-8111-111111111111"
AGENT = "Browser/1"
URL = "https://other.example/landing?a=1&b=%20x#part"


@pytest.fixture
def clock() -> Clock:
    return Clock(1_772_360_431.0)


@pytest.fixture
def linker(clock: Clock) -> CrossDomainLinker:
    return CrossDomainLinker(KEYS, ["other.example", ".third.example"], clock=clock)


def token_in(url: str) -> str:
    return parse_qs(urlsplit(url).query)["pk_link"][0]


def made(linker: CrossDomainLinker, url: str = URL) -> str:
    return token_in(linker.decorate(url, DEVICE, "shop.example", AGENT))


def test_a_link_carries_the_id_to_its_host_once(linker: CrossDomainLinker) -> None:
    """The rest of the URL stays to the letter; the token says the id to whom it is for."""
    url = linker.decorate(URL, DEVICE, "shop.example", AGENT)
    token = token_in(url)
    assert url == f"https://other.example/landing?a=1&b=%20x&pk_link={token}#part"
    assert DEVICE not in url
    assert linker.verify(token, "other.example", AGENT) == DEVICE
    assert linker.verify(token, "other.example", AGENT) is None, "Acceptance 18: reused"


def test_an_existing_token_is_replaced(linker: CrossDomainLinker) -> None:
    """A link that was decorated before carries one token."""
    twice = linker.decorate(linker.decorate(URL, DEVICE, "s", AGENT), DEVICE, "s", AGENT)
    assert twice.count("pk_link") == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "https://other.example.evil.example/",
        "https://evilother.example/",
        "https://other.example@evil.example/",
        "//evil.example/",
        "/relative?x",
        "javascript:alert(1)//other.example",
        "ftp://other.example/",
        "mailto:kim@other.example",
        "https://[broken/",
        "",
        "https://",
    ],
)
def test_links_elsewhere_are_left_as_they_are(linker: CrossDomainLinker, url: str) -> None:
    """Only http and https to a linked domain: nobody else gets an id."""
    assert linker.decorate(url, DEVICE, "shop.example", AGENT) == url


@pytest.mark.parametrize("host", ["third.example", "a.third.example", "a.b.third.example"])
def test_a_dot_stands_for_all_below(linker: CrossDomainLinker, host: str) -> None:
    """``.third.example`` is the domain and its hosts."""
    url = linker.decorate(f"http://{host}/", DEVICE, "shop.example", AGENT)
    assert linker.verify(token_in(url), host, AGENT) == DEVICE


@pytest.mark.parametrize("device", ["cookieless", "cl_" + "a" * 22, "short", "has blanks in it"])
def test_nobodys_id_is_carried_nowhere(linker: CrossDomainLinker, device: str) -> None:
    """Nor one that no cookie would keep."""
    assert linker.decorate(URL, device, "shop.example", AGENT) == URL


def test_a_tampered_token_is_ignored(linker: CrossDomainLinker) -> None:
    """Acceptance 18: whichever character is changed."""
    token = made(linker)
    for place in range(0, len(token), 7):
        other = "A" if token[place] != "A" else "B"
        assert (
            linker.verify(token[:place] + other + token[place + 1 :], "other.example", AGENT)
            is None
        )
    assert linker.verify(token, "other.example", AGENT) == DEVICE


@pytest.mark.parametrize(
    ("seconds", "valid"), [(149, True), (151, False), (-29, True), (-31, False)]
)
def test_a_token_expires(
    linker: CrossDomainLinker, clock: Clock, seconds: float, valid: bool
) -> None:
    """Acceptance 18: after two minutes and the clocks' difference; from the future likewise."""
    token = made(linker)
    clock.now += seconds
    assert (linker.verify(token, "other.example", AGENT) == DEVICE) is valid


def test_a_token_is_for_one_host_and_one_browser(linker: CrossDomainLinker) -> None:
    """Acceptance 18: the wrong ones do not use it up."""
    token = made(linker)
    assert linker.verify(token, "evil.example", AGENT) is None
    assert linker.verify(token, "other.example", "Another/2") is None
    assert linker.verify(token, "other.example", AGENT) == DEVICE


def test_keys_rotate(clock: Clock) -> None:
    """The first signs, all verify, and one that was taken away verifies nothing."""
    old = CrossDomainLinker(["o" * 16], ["other.example"], clock=clock)
    both = CrossDomainLinker(["n" * 16, "o" * 16], ["other.example"], clock=clock)
    new = CrossDomainLinker([b"n" * 16], ["other.example"], clock=clock)
    assert both.verify(made(old), "other.example", AGENT) == DEVICE
    assert new.verify(made(both), "other.example", AGENT) == DEVICE
    assert new.verify(made(old), "other.example", AGENT) is None


def test_a_store_hides_what_a_token_means(clock: Clock) -> None:
    """The link carries random text, which the store gives its meaning, once."""
    kept: dict[str, str] = {}

    class Store:
        def put(self, token: str, payload: str, ttl: float) -> None:
            assert ttl == 150.0
            kept[token] = payload

        def take(self, token: str) -> str | None:
            return kept.pop(token, None)

    linker = CrossDomainLinker(KEYS, ["other.example"], token_store=Store(), clock=clock)
    token = made(linker)
    assert len(token) == 32
    assert linker.verify("unknown", "other.example", AGENT) is None
    assert linker.verify(token, "other.example", AGENT) == DEVICE
    assert linker.verify(token, "other.example", AGENT) is None


def test_a_store_out_of_reach_costs_no_page(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Links go out as they are, and tokens that come in are ignored; both are told."""

    class Broken:
        def put(self, token: str, payload: str, ttl: float) -> None:
            raise OSError("secret host")

        def take(self, token: str) -> str | None:
            raise OSError("secret host")

    linker = CrossDomainLinker(KEYS, ["other.example"], token_store=Broken(), clock=clock)
    assert linker.decorate(URL, DEVICE, "shop.example", AGENT) == URL
    assert linker.verify("token", "other.example", AGENT) is None
    assert caplog.messages == ["the token store failed: OSError"]


def test_one_of_many_at_once_uses_a_token(linker: CrossDomainLinker) -> None:
    """Two requests with one link: the second is somebody who was handed it."""
    token, found = made(linker), []

    def read() -> None:
        found.append(linker.verify(token, "other.example", AGENT))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found, key=str) == [DEVICE, *[None] * 7]


@given(st.text(max_size=3000))
def test_any_token_is_valid_or_ignored(token: str) -> None:
    """Whatever stands in a URL."""
    linker = CrossDomainLinker(KEYS, ["other.example"])
    assert linker.verify(token, "other.example", AGENT) is None


@given(st.text(st.characters(max_codepoint=0x2FFF)), st.text(st.characters(max_codepoint=255)))
def test_the_redirect_never_leaves_the_host(path: str, query: str) -> None:
    """Acceptance 18: ``//host``, backslashes, control characters: browsers stay where they are."""
    for start in ("", "/", "//", "/\\", "\\\\", "/\t/", "https://evil.example/", "//evil.example"):
        location = local_url(start + path, query)
        assert location.startswith("/")
        assert not location.startswith("//")
        assert location.isascii()
        assert location.isprintable()
        assert "\\" not in location
        assert " " not in location
        assert urlsplit(urljoin("https://shop.example/x", location)).netloc == "shop.example"


@given(st.lists(st.sampled_from(["a=1", "pk_link=x", "pk%5Flink=y", "b=%20", "", "c"])))
def test_stripping_takes_the_parameter_and_nothing_else(parts: list[str]) -> None:
    """However it is spelt; everything else stays in its order."""
    query = "&".join(parts)
    kept = without_parameter(query, "pk_link")
    assert parameter_of(kept, "pk_link") is None
    assert kept == "&".join(part for part in parts if "link" not in part)


def test_a_linker_decorates_for_the_current_visitor(linker: CrossDomainLinker) -> None:
    """With full consent and an id of their own; else the link stays as it is."""
    assert linker.decorate_url(URL) == URL
    with captured_client() as client:
        with client.request_context():
            assert linker.decorate_url(URL) == URL
        with client.request_context(anonymous_id=DEVICE, consent="anonymous"):
            assert linker.decorate_url(URL) == URL
        with client.request_context(anonymous_id=DEVICE):
            assert linker.verify(token_in(linker.decorate_url(URL)), "other.example", "") == DEVICE


@pytest.mark.parametrize(
    "arguments",
    [
        ([], ["a.example"], {}),
        (["short"], ["a.example"], {}),
        (KEYS, ["https://a.example"], {}),
        (KEYS, ["."], {}),
        (KEYS, ["a.example"], {"on_conflict": "merge"}),
    ],
)
def test_what_can_never_work_is_refused(arguments: Any) -> None:
    """When the linker is made; and no key is in what is said."""
    keys, domains, options = arguments
    with pytest.raises(ConfigError) as refused:
        CrossDomainLinker(keys, domains, **options)
    assert "short" not in str(refused.value)


def test_the_keys_are_in_no_repr(linker: CrossDomainLinker) -> None:
    """They end up in logs."""
    assert repr(linker) == "<CrossDomainLinker to .third.example, other.example>"


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else of identity needs it."""
    monkeypatch.setitem(__import__("sys").modules, "itsdangerous", None)
    with pytest.raises(MissingExtraError, match=r"penstock\[identity\]"):
        CrossDomainLinker(KEYS, ["a.example"])
