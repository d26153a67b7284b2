"""The anonymous-id cookie, and those of the vendors' browser SDKs."""

from __future__ import annotations

import base64
import json
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import ConfigError
from penstock.identity import AnonymousCookie, BrowserIds, browser_ids

ID = "0b2c1c1e-1111-4111-8111-111111111111"


def test_the_attributes_are_those_of_the_guide() -> None:
    """Acceptance 17: the whole header, attribute by attribute."""
    header = AnonymousCookie.dreamdata(".example.com").set_header(ID)
    assert header == (
        f"dd_anonymous_id={ID}; Max-Age=31536000; Path=/; Domain=.example.com; SameSite=Lax;"
        " Secure; HttpOnly"
    )
    assert SimpleCookie(header)["dd_anonymous_id"].value == ID


def test_a_cookie_of_one_host_names_no_domain() -> None:
    """None is guessed: a guess may be a public suffix."""
    cookie = AnonymousCookie(secure=False, http_only=False, same_site="Strict", path="/shop")
    assert cookie.set_header(ID) == (
        f"anonymous_id={ID}; Max-Age=31536000; Path=/shop; SameSite=Strict"
    )


def test_a_new_id_is_a_uuid4() -> None:
    """36 characters, and it passes our own reading."""
    cookie = AnonymousCookie()
    made = cookie.mint()
    assert (len(made), made[14]) == (36, "4")
    assert cookie.read(f"a=b; anonymous_id={made}; c=d") == made


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "a b"},
        {"name": ""},
        {"name": "x=\r\nSet-Cookie: y"},
        {"domain": "example"},
        {"domain": "example.com\r\nX: y"},
        {"domain": "127.0.0.1; Path=/"},
        {"path": "shop"},
        {"path": "/a; Secure"},
        {"max_age": 0},
        {"same_site": "lax"},
        {"same_site": "None", "secure": False},
        {"name": "__Secure-id", "secure": False},
        {"name": "__Host-id", "domain": ".example.com"},
        {"name": "__Host-id", "path": "/shop"},
    ],
)
def test_a_cookie_that_no_browser_keeps_is_refused(settings: dict[str, Any]) -> None:
    """When it is configured, not when it is sent; and nothing ends the header."""
    with pytest.raises(ConfigError):
        AnonymousCookie(**settings)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", None),
        (f"anonymous_id={ID}", ID),
        (f'x=1; anonymous_id="{ID}"; y=2', ID),
        (f"anonymous_id={ID}; anonymous_id=12345678", ID),
        (f"not_anonymous_id={ID}", None),
        ("anonymous_id=short", None),
        ("anonymous_id=" + "a" * 129, None),
        ("anonymous_id=a b c d e f g h", None),
        ("anonymous_id=%0d%0aSet-Cookie:x", None),
        ("anonymous_id", None),
        ("; ;;=;anonymous_id=" + ID, ID),
    ],
)
def test_only_what_could_be_an_id_is_read(header: str, found: str | None) -> None:
    """8 to 128 unreserved characters, of the first cookie of that name."""
    assert AnonymousCookie().read(header) == found


def test_an_oversized_header_is_read_up_to_a_bound() -> None:
    """A megabyte of cookies costs no more than 16 KiB of it."""
    cookie = AnonymousCookie()
    assert cookie.read(f"anonymous_id={ID};" + "x=y;" * 250_000) == ID
    assert cookie.read("x=y;" * 250_000 + f"anonymous_id={ID}") is None


@given(st.text(st.characters(max_codepoint=255)))
def test_any_header_is_read_or_ignored(text: str) -> None:
    """Whatever a stranger sends, the answer is an id or None."""
    cookie = AnonymousCookie()
    for header in (text, f"anonymous_id={text}", f"{text}; anonymous_id={ID}"):
        found = cookie.read(header)
        assert found is None or cookie.set_header(found)
        assert isinstance(browser_ids(header), BrowserIds)


@given(st.text())
def test_no_value_ends_the_header(value: str) -> None:
    """A header is made of ids only."""
    cookie = AnonymousCookie()
    try:
        header = cookie.set_header(value)
    except ValueError:
        return
    assert "\r" not in header
    assert "\n" not in header


def posthog(**told: Any) -> str:
    return f"ph_phc_KEY_posthog={quote(json.dumps(told))}"


def rudder(value: object) -> str:
    return "RS_ENC_v3_" + base64.b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (
            posthog(**{"distinct_id": "d1", "$device_id": "d1", "$sesid": [1, "s1", 2]}),
            BrowserIds("d1", None, "s1"),
        ),
        (posthog(**{"distinct_id": "u1", "$device_id": "d1"}), BrowserIds("d1", "u1", None)),
        (posthog(distinct_id="d1"), BrowserIds("d1", None, None)),
        (posthog(distinct_id=["x"]), BrowserIds()),
        (posthog(**{"distinct_id": "d1", "$sesid": [1]}), BrowserIds("d1", None, None)),
        ("ph_phc_KEY_posthog=%7Bbroken", BrowserIds()),
        ("ph_phc_KEY_posthog=[1,2]", BrowserIds()),
        ("x_posthog=1", BrowserIds()),
        ("ajs_anonymous_id=a-1; ajs_user_id=u1", BrowserIds("a-1", "u1", None)),
        ("ajs_anonymous_id=%22a-1%22", BrowserIds("a-1", None, None)),
        ("ajs_user_id=null", BrowserIds()),
        ("ajs_anonymous_id=%22broken", BrowserIds()),
        (f"rl_anonymous_id={rudder('r-1')}", BrowserIds("r-1", None, None)),
        (
            (
                f"rl_anonymous_id={rudder('r-1')}; rl_user_id={rudder('u1')};"
                f" rl_session={rudder({'id': 1772360431})}"
            ),
            BrowserIds("r-1", "u1", "1772360431"),
        ),
        ("rl_anonymous_id=RS_ENC_v3_!!!", BrowserIds()),
        ("ajs_anonymous_id=a%0d%0ab", BrowserIds()),
    ],
)
def test_ids_of_the_browser_sdks_are_read(header: str, found: BrowserIds) -> None:
    """PostHog's, Segment's and RudderStack's own formats, and nothing out of broken ones."""
    assert browser_ids(header) == found
