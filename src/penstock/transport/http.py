"""
The real transport: urllib3, one request in, one response out.

Import this on the thread that sends: it brings urllib3, ssl and the email parser with it, some
15 ms that a host program should not spend on start-up.

No retries happen here (`penstock.delivery` decides), no cookies are kept, and nothing but the
host's name reaches a log. A redirect is followed only within its origin, at most `MAX_REDIRECTS`
times, and never by turning a POST into a GET.
"""

from __future__ import annotations

import os
from email.utils import formatdate
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, ProxyManager
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import Timeout, make_headers, parse_url

from penstock.transport import gate
from penstock.transport._connection import POOLS, until, waited
from penstock.transport._trouble import as_transport_error
from penstock.transport._types import Response, TransportError
from penstock.transport.proxy import ProxyRules, credentials, masked
from penstock.transport.tls import Tls

if TYPE_CHECKING:
    from collections.abc import Callable
    from ssl import SSLContext
    from urllib.parse import SplitResult

    from penstock.transport._types import Request

MAX_REDIRECTS = 3
#: More of an answer's body is not read, in bytes. PostHog's verdicts on a full batch take 25 KB.
MAX_RESPONSE_BYTES = 1024 * 1024

_PIECE_BYTES = 64 * 1024
_PROXY_REFUSED = 407
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: "See other" asks for a GET of another page.
_SEE_OTHER = 303


class HttpTransport:
    """
    HTTP and HTTPS with connections kept alive; safe for several threads, and across a fork.

    Args:
        proxy: URL of one proxy for everything; ``""`` for none; None to follow the environment.
        tls: How to trust servers; None for the system's certificates.
        max_idle: Connections kept per host while nobody uses them.
        max_response_bytes: More of an answer's body is not read.

    Raises:
        ConfigError: *proxy* is no URL of a proxy.
    """

    def __init__(
        self,
        proxy: str | None = None,
        tls: Tls | None = None,
        *,
        max_idle: int = 16,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
    ) -> None:
        self._rules = ProxyRules(proxy)
        self._tls = tls or Tls()
        self._max_idle = max_idle
        self._max_response_bytes = max_response_bytes
        self._context: SSLContext | None = None
        self._managers: dict[str, ProxyManager] = {}
        self._pools: dict[str, HTTPConnectionPool] = {}
        self._pid = os.getpid()

    def __repr__(self) -> str:
        """The proxy without its password."""
        return f"HttpTransport(proxy {self._rules!r})"

    def send(self, request: Request, timeout: float) -> Response:
        """
        Carry *request* and read the whole answer; give up after *timeout* seconds in all.

        Raises:
            TransportError: No complete response came.
        """
        gate.check(request.url)
        deadline = monotonic() + timeout
        method, url = request.method, request.url
        for _ in range(MAX_REDIRECTS + 1):
            with until(deadline):
                response = self._exchange(method, url, request)
            target = _redirect(method, url, response)
            if target is None:
                break
            url = target
        return response

    def close(self) -> None:
        """Close idle connections; a later `send` opens new ones."""
        managers, self._managers = self._managers, {}
        pools, self._pools = self._pools, {}
        if self._pid == os.getpid():
            for manager in managers.values():
                manager.clear()
            for pool in pools.values():
                pool.close()

    def _exchange(self, method: str, url: str, request: Request) -> Response:
        try:
            target = _target(url)
            proxy = self._rules.proxy_for(target.scheme, target.netloc)
            self._let_go_of_a_parents()
            answer = self._urlopen(proxy, target)(
                method,
                url if proxy else target.path,
                body=request.body or None,
                headers=dict(request.headers),
                timeout=_NO_TIMEOUT,
                retries=False,
                redirect=False,
                preload_content=False,
            )
            response = _read(answer, self._max_response_bytes)
        except (HTTPError, OSError, ValueError) as error:
            raise as_transport_error(error) from None
        if proxy and response.status == _PROXY_REFUSED:
            raise TransportError("proxy", "the proxy answered 407")
        return response

    def _let_go_of_a_parents(self) -> None:
        """After a fork: the sockets are the parent's, and letting go of them closes our copies."""
        if self._pid != os.getpid():
            self._managers, self._pools, self._pid = {}, {}, os.getpid()

    def _urlopen(self, proxy: str | None, target: _Target) -> Callable[..., BaseHTTPResponse]:
        """How urllib3 makes a request; a manager's own way takes a tenth more of an exchange."""
        if proxy is None:
            return self._pool(target).urlopen
        return self._manager(proxy, target.scheme).urlopen

    def _pool(self, target: _Target) -> HTTPConnectionPool:
        """Connections straight to a server."""
        pool = self._pools.get(target.origin)
        if pool is None:
            options: dict[str, Any] = {"maxsize": self._max_idle}
            if target.scheme == "https":
                options["ssl_context"] = self._ssl_context()
            made = POOLS[target.scheme](target.host, target.port, **options)
            pool = self._pools.setdefault(target.origin, made)
        return pool

    def _manager(self, proxy: str, scheme: str) -> ProxyManager:
        """Connections by way of a proxy."""
        secure = "https" in (scheme, urlsplit(proxy).scheme)
        key = f"{proxy} {secure}"
        manager = self._managers.get(key)
        if manager is None:
            manager = self._managers.setdefault(key, self._new_manager(proxy, secure=secure))
        return manager

    def _new_manager(self, proxy: str, *, secure: bool) -> ProxyManager:
        options: dict[str, Any] = {"maxsize": self._max_idle, "retries": False}
        if secure:
            options["ssl_context"] = self._ssl_context()
        user = credentials(proxy)
        headers = make_headers(proxy_basic_auth=user) if user else {}
        address = masked(proxy).replace("***@", "")
        if address.startswith("https:"):
            options["proxy_ssl_context"] = self._ssl_context()
        manager = ProxyManager(address, proxy_headers=headers, **options)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def _ssl_context(self) -> SSLContext:
        if self._context is None:
            try:
                self._context = self._tls.context()
            except OSError:
                raise TransportError("tls", "a certificate file cannot be used") from None
        return self._context


class _Target(NamedTuple):
    """What a URL says about where to send a request."""

    scheme: str
    #: The server, with its port if the URL has one.
    netloc: str
    origin: str
    host: str
    port: int | None
    #: With the query.
    path: str


@lru_cache(maxsize=64)
def _target(url: str) -> _Target:
    """
    A URL's parts: destinations have few.

    Raises:
        LocationParseError: It is no URL of a server.
    """
    parts = parse_url(url)
    if parts.scheme not in POOLS or not parts.host:
        raise LocationParseError(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    return _Target(
        parts.scheme, parts.netloc or "", origin, parts.host, parts.port, parts.request_uri
    )


#: urllib3's own clocks are off; ours is in `penstock.transport._connection`.
_NO_TIMEOUT = Timeout(total=None, connect=None, read=None)


def _read(answer: BaseHTTPResponse, max_bytes: int) -> Response:
    """Read the body up to *max_bytes*; a connection with more to come is not used again."""
    pieces: list[bytes] = []
    size = 0
    try:
        while size < max_bytes:
            left = answer.length_remaining or _PIECE_BYTES
            piece = answer.read(min(_PIECE_BYTES, left, max_bytes - size))
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
            if answer.length_remaining == 0 and "content-encoding" not in answer.headers:
                break  # asking for more costs a tenth of an exchange
        else:
            answer.close()
    except BaseException:
        answer.close()
        raise
    answer.release_conn()
    headers = {name.lower(): value for name, value in answer.headers.items()}
    if "date" not in headers:  # RFC 9110, 6.6.1: then who has a clock dates it
        headers["date"] = formatdate(usegmt=True)
    return Response(answer.status, headers, b"".join(pieces), waited())


def _redirect(method: str, url: str, response: Response) -> str | None:
    """Where to send the same request again; None when the response is the answer."""
    location = response.headers.get("location")
    if response.status not in _REDIRECTS or not location:
        return None
    if response.status == _SEE_OTHER and method != "GET":
        return None
    try:
        target = urljoin(url, location)
        return target if _origin(urlsplit(target)) == _origin(urlsplit(url)) else None
    except ValueError:
        return None


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    """Scheme, host and port; a user name in a URL makes it another origin."""
    default = {"http": 80, "https": 443}.get(parts.scheme)
    host = parts.hostname if parts.username is None else parts.netloc
    return parts.scheme, host, parts.port or default
