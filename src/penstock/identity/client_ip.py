"""Which of the addresses in a request is the client's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.addresses import Proxies, address_of, hops_of, network_of
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class ClientIp:
    """
    Finds the client's address, believing nobody but the proxies that are yours.

    Args:
        trusted_proxies: Their addresses or networks. Without them it is the socket's other end,
            whatever the headers say.
        hops: How many proxies of yours every request passes, where their addresses are not
            known: the address the outermost of them saw.
        header: A header with one address that your proxy writes, such as ``cf-connecting-ip``.
            Read from a trusted proxy only.
        anonymize: Keep the network only: a /24, or a /48 of IPv6.

    Raises:
        ConfigError: A network is none, *hops* is negative, or *header* comes without proxies.

    .. versionadded:: 0.1
    """

    def __init__(
        self,
        trusted_proxies: Iterable[str] = (),
        *,
        hops: int = 0,
        header: str | None = None,
        anonymize: bool = False,
    ) -> None:
        self.proxies = Proxies(trusted_proxies)
        if hops < 0:
            raise ConfigError("proxy_hops", hops, "must be 0 or more")
        if header and not self.proxies.networks:
            raise ConfigError(
                "address_header", header, "needs trusted_proxies: anybody can send it"
            )
        self._hops = hops
        self._header = header.lower() if header else None
        self._anonymize = anonymize

    @property
    def header(self) -> str | None:
        """The header with one address, in lower case."""
        return self._header

    def trusts(self, peer: str) -> bool:
        """Whether what the other end of the socket forwards may be believed."""
        return self._hops > 0 or self.proxies.trusts(peer)

    def find(self, peer: str, header: Callable[[str], str]) -> str:
        """
        The client's address.

        Args:
            peer: Who is at the other end of the socket; empty where that is a local socket.
            header: Gives a header by its name in lower case, of several one list; or "".

        Returns:
            An address, or an empty text where nothing is known.
        """
        found = address_of(self._raw(peer, header))
        return network_of(found) if self._anonymize and found else found

    def _raw(self, peer: str, header: Callable[[str], str]) -> str:
        if self._hops:
            listed = hops_of(header("x-forwarded-for"), header("forwarded"))
            told = address_of(listed[-self._hops]) if len(listed) >= self._hops else ""
            return told or peer
        if self._header is not None and self.proxies.trusts(peer):
            told = address_of(header(self._header))
            if told:
                return told
        if not self.proxies.networks:
            return peer
        return self.proxies.origin(peer, header("x-forwarded-for"), header("forwarded"))
