"""
The client's address, also behind proxies.

A proxy appends the address it saw to ``X-Forwarded-For``, so only the end of that list can be
believed, and only as far as the proxies are ours. It is read from the right: the first address
that is not a proxy of ours is the client's.

Source: RFC 7239; MDN, X-Forwarded-For, "Selecting an IP address".
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    Network = IPv4Network | IPv6Network

#: Longest list looked at; a client can write what it likes at its left.
_MOST_HOPS = 32
#: Longest text that can be an address with a zone, brackets and a port.
_LONGEST = 100
_FOR = re.compile(r'for="?([^";,\s]*)"?', re.IGNORECASE)
#: Bits of an address that name a network and not a household.
_KEPT_BITS = {4: 24, 6: 48}


class Proxies:
    """
    The networks whose machines tell the truth about where a request came from.

    Args:
        trusted: Addresses or networks: ``10.0.0.0/8``, ``::1``.

    Raises:
        ConfigError: One is neither.
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self.networks = [_network(text) for text in trusted]

    def origin(self, peer: str, forwarded_for: str = "", forwarded: str = "") -> str:
        """
        The address of whoever sent the request; empty when nothing is known of it.

        Args:
            peer: Who is at the other end of the socket.
            forwarded_for: All ``X-Forwarded-For`` headers, joined with commas.
            forwarded: All ``Forwarded`` headers, joined; used where there is none of the other.
        """
        if not self.networks or not self.trusts(peer):
            return peer
        address = peer
        for hop in reversed(hops_of(forwarded_for, forwarded)):
            found = address_of(hop)
            if not found:
                break  # what lies left of garbage is no better
            address = found
            if not self.trusts(address):
                break
        return address

    def trusts(self, address: str) -> bool:
        """Whether the machine at *address* is one of ours."""
        try:
            given = ip_address(address)
        except ValueError:
            return False
        mapped = getattr(given, "ipv4_mapped", None)  # a socket for both versions says it so
        return any((mapped or given) in network for network in self.networks)


def _network(text: str) -> Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise ConfigError("trusted_proxies", text, "write an address or a network") from None


def hops_of(forwarded_for: str, forwarded: str) -> list[str]:
    """The end of the list; of ``Forwarded`` where there is no ``X-Forwarded-For``."""
    if forwarded_for:
        return forwarded_for.rsplit(",", _MOST_HOPS)[-_MOST_HOPS:]
    return _FOR.findall(forwarded)[-_MOST_HOPS:]


def address_of(hop: str) -> str:
    """An address without blanks, brackets, port and zone; empty when it is none."""
    text = hop.strip()
    if len(text) > _LONGEST:
        return ""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text.partition("%")[0]))
    except ValueError:
        return ""


def network_of(address: str) -> str:
    """The network around an address, a /24 or a /48, as its first address; empty if it is none."""
    try:
        given = ip_address(address)
    except ValueError:
        return ""
    return str(ip_network((given, _KEPT_BITS[given.version]), strict=False).network_address)
