"""
The client's address, also behind proxies.

A proxy appends the address it saw to ``X-Forwarded-For``, so only the end of that list can be
believed, and only as far as the proxies are ours. It is read from the right: the first address
that is not a proxy of ours is the client's.

Source: RFC 7239; MDN, X-Forwarded-For, "Selecting an IP address".
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.collector.incoming import Incoming

    Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Longest list looked at; a client can write what it likes at its left.
_MOST_HOPS = 32
_FOR = re.compile(r'for="?([^";,\s]*)"?', re.IGNORECASE)


class Proxies:
    """
    The networks whose machines tell the truth about where a request came from.

    Args:
        trusted: Addresses or networks: ``10.0.0.0/8``, ``::1``.

    Raises:
        ConfigError: One is neither.
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._networks = [_network(text) for text in trusted]

    def client(self, incoming: Incoming) -> str:
        """The address of whoever sent the request; empty when nothing is known of it."""
        peer = incoming.scope.get("client")
        address: str = peer[0] if peer else ""
        if not self._networks or not self._trusts(address):
            return address
        for hop in reversed(_hops(incoming)):
            found = _address(hop)
            if not found:
                break  # what lies left of garbage is no better
            address = found
            if not self._trusts(address):
                break
        return address

    def _trusts(self, address: str) -> bool:
        try:
            given = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(given in network for network in self._networks)


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ConfigError("trusted_proxies", text, "write an address or a network") from None


def _hops(incoming: Incoming) -> list[str]:
    """The end of the list; of ``Forwarded`` where there is no ``X-Forwarded-For``."""
    listed = incoming.header_list(b"x-forwarded-for")
    if listed:
        return listed.rsplit(",", _MOST_HOPS)[-_MOST_HOPS:]
    return _FOR.findall(incoming.header_list(b"forwarded"))[-_MOST_HOPS:]


def _address(hop: str) -> str:
    """An address without blanks, brackets and port; empty when it is none."""
    text = hop.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""
