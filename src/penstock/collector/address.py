"""The client's address, as a request to the collector tells it; see `penstock.addresses`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock import addresses

if TYPE_CHECKING:
    from penstock.collector.http.incoming import Incoming


class Proxies(addresses.Proxies):
    """The networks whose machines tell the truth about where a request came from."""

    def client(self, incoming: Incoming) -> str:
        """The address of whoever sent the request; empty when nothing is known of it."""
        peer = incoming.scope.get("client")
        address: str = peer[0] if peer else ""
        if not self.networks:
            return address
        listed = incoming.header_list(b"x-forwarded-for")
        return self.origin(address, listed, incoming.header_list(b"forwarded"))
