"""Which address is the client's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import ConfigError
from penstock.identity import ClientIp

OURS = ("10.0.0.0/8", "2001:db8:ffff::/48")
BEHIND = {"trusted_proxies": OURS}
CLOUD = {"trusted_proxies": OURS, "header": "CF-Connecting-IP"}
XFF, CF = "x-forwarded-for", "cf-connecting-ip"


def found(peer: str, headers: dict[str, str], **settings: Any) -> str:
    return ClientIp(**settings).find(peer, lambda name: headers.get(name, ""))


@pytest.mark.parametrize(
    ("peer", "headers", "settings", "address"),
    [
        # Nobody is believed who is not configured.
        ("203.0.113.9", {XFF: "1.1.1.1"}, {}, "203.0.113.9"),
        ("203.0.113.9", {XFF: "1.1.1.1"}, BEHIND, "203.0.113.9"),
        ("203.0.113.9", {"forwarded": "for=1.1.1.1"}, BEHIND, "203.0.113.9"),
        ("203.0.113.9", {CF: "1.1.1.1"}, {}, "203.0.113.9"),
        # From the right, as far as the proxies are ours.
        ("10.0.0.1", {XFF: "1.1.1.1, 198.51.100.7"}, BEHIND, "198.51.100.7"),
        ("10.0.0.1", {XFF: "1.1.1.1, 198.51.100.7, 10.2.2.2"}, BEHIND, "198.51.100.7"),
        ("10.0.0.1", {XFF: "10.3.3.3, 10.2.2.2"}, BEHIND, "10.3.3.3"),
        ("10.0.0.1", {XFF: "<script>, 10.2.2.2"}, BEHIND, "10.2.2.2"),
        # Ports, brackets, zones.
        ("10.0.0.1", {XFF: "[2001:db8::7]:4711"}, BEHIND, "2001:db8::7"),
        ("10.0.0.1", {XFF: "198.51.100.7:4711"}, BEHIND, "198.51.100.7"),
        ("10.0.0.1", {XFF: "fe80::1%eth0"}, BEHIND, "fe80::1"),
        ("2001:db8:ffff::1", {"forwarded": 'for="[2001:db8::7]:1"'}, BEHIND, "2001:db8::7"),
        ("::ffff:10.0.0.1", {XFF: "198.51.100.7"}, BEHIND, "198.51.100.7"),
        # By the number of hops.
        ("10.0.0.1", {XFF: "1.1.1.1, 198.51.100.7, 10.2.2.2"}, {"hops": 2}, "198.51.100.7"),
        ("10.0.0.1", {XFF: "198.51.100.7"}, {"hops": 2}, "10.0.0.1"),
        ("10.0.0.1", {XFF: "nonsense"}, {"hops": 1}, "10.0.0.1"),
        # By a header of the proxy's.
        ("10.0.0.1", {CF: "198.51.100.7"}, CLOUD, "198.51.100.7"),
        ("203.0.113.9", {CF: "198.51.100.7"}, CLOUD, "203.0.113.9"),
        ("10.0.0.1", {CF: "x", XFF: "198.51.100.7"}, CLOUD, "198.51.100.7"),
        # The network only.
        ("203.0.113.9", {}, {"anonymize": True}, "203.0.113.0"),
        ("2001:db8:1:2:3::4", {}, {"anonymize": True}, "2001:db8:1::"),
        # No address at all.
        ("", {XFF: "1.1.1.1"}, BEHIND, ""),
        ("unix:", {}, {}, ""),
        ("testclient", {}, {}, ""),
    ],
)  # fmt: skip
def test_the_address_is_the_clients(
    peer: str, headers: dict[str, str], settings: dict[str, Any], address: str
) -> None:
    """Acceptance 16: no spoofed header is believed, the walk is from the right, IPv6 has ports."""
    assert found(peer, headers, **settings) == address


@pytest.mark.parametrize(
    "settings",
    [{"trusted_proxies": ["proxy.internal"]}, {"hops": -1}, {"header": "x-real-ip"}],
)
def test_what_would_believe_anybody_is_refused(settings: dict[str, Any]) -> None:
    """Said when the server starts."""
    with pytest.raises(ConfigError):
        ClientIp(**settings)


@given(st.text(st.characters(max_codepoint=255), max_size=200), st.integers(0, 3))
def test_any_header_gives_an_address_or_nothing(text: str, hops: int) -> None:
    """Whatever a client makes up, what goes into an event is an address."""
    import ipaddress

    for name in (XFF, "forwarded", "x-real-ip"):
        settings: dict[str, Any] = {"trusted_proxies": OURS, "header": "x-real-ip", "hops": hops}
        address = found("10.0.0.1", {name: text}, **settings)
        assert ipaddress.ip_address(address)
