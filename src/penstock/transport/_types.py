"""The seam between delivery and the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping


class Request(NamedTuple):
    """One HTTP request, ready to send; the body is already compressed if it is to be."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        """Neither headers (keys) nor body (payload) are shown."""
        return f"Request({self.method} {self.url}, {len(self.body)} bytes)"


class Response(NamedTuple):
    """What came back."""

    status: int
    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes
    #: Seconds the server took, where the transport can tell that from what this program took.
    waited_s: float | None = None

    def __repr__(self) -> str:
        """The body is not shown: servers echo what they were sent."""
        return f"Response({self.status}, {len(self.body)} bytes)"


class TransportError(Exception):
    """
    No response: the network, TLS or the server failed before one was complete.

    Args:
        kind: ``timeout``, ``dns``, ``connect``, ``tls``, ``proxy``, ``reset``, ``protocol``, or
            ``denied`` by `penstock.transport.gate`: no retry will mend that.
        detail: Words of the lower layer, without address parameters or bodies.
    """

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind
        self.detail = detail


@runtime_checkable
class Transport(Protocol):
    """
    Anything that can carry a request; `penstock.testing` has one in memory.

    Implementations are called from several threads at once and must be safe for that.
    """

    def send(self, request: Request, timeout: float) -> Response:
        """
        Carry *request*; give up after *timeout* seconds in all.

        Raises:
            TransportError: No complete response came.
        """
        ...

    def close(self) -> None:
        """Release connections; a later `send` may open new ones."""
        ...
