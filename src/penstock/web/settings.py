"""The options of every web integration, written once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from penstock.errors import ConfigError
from penstock.identity.client_ip import ClientIp

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from penstock._boundary import Consent
    from penstock.identity.cookie import AnonymousCookie
    from penstock.identity.links import CrossDomainLinker
    from penstock.web.head import Head

#: Asked by load balancers and orchestrators many times a minute.
HEALTH_PATHS = ("/health", "/healthz", "/livez", "/readyz", "/ping", "/favicon.ico")
#: Answers that say that the server failed.
SERVER_ERRORS = frozenset(range(500, 600))


class VisitorIds(Protocol):
    """Makes anonymous ids without a cookie; see `penstock.identity`."""

    keeps_ip: bool

    def id_for(self, site: str, ip: str, user_agent: str) -> str:
        """The id of a visitor of *site*."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    What a middleware does; checked when it is made.

    Attributes:
        trusted_proxies: Addresses or networks of your proxies. Only from these is anything
            believed that ``X-Forwarded-*`` headers say.
        proxy_hops: How many proxies of yours a request passes, where their addresses are not
            known.
        address_header: A header with the client's address that your proxy writes, such as
            ``cf-connecting-ip``.
        anonymize_ip: Keep the network of an address only: a /24, or a /48 of IPv6.
        query: What is kept of a URL's query: ``campaign`` (utm parameters and click ids),
            ``none`` or ``all``. Queries carry tokens and names.
        skip_paths: Requests without a context. One that ends in a slash means all below it.
        skip_methods: The same by method.
        consent: Asked first, with the request's `Head`; None leaves it to the rest. When it
            raises, the answer is ``anonymous``.
        opt_out_cookie: A cookie that says no, unless it is empty, ``0`` or ``false``: ``off``.
        gpc: What ``Sec-GPC: 1`` means; None ignores it.
        dnt: What ``DNT: 1`` means; it is obsolete, and ignored by default.
        bots: Further words in a user agent that tell a program from a person.
        trust_tracing_headers: Take the ids PostHog's browser SDK sends in ``X-POSTHOG-*``, as
            an anonymous id and a session. Anybody can write them.
        browser_cookies: Take the anonymous ids that the vendors' browser SDKs keep.
        cookie: The anonymous-id cookie; none is set or read without it.
        cookieless: Ids without a cookie instead.
        linker: Reads the links that come from your other domains.
        user: Finds the user's id when the first event needs it: ASGI calls it with the scope,
            WSGI and Lambda with the environ and the event, Django with the request, Flask with
            nothing.
        capture_errors: Capture what leaves the application, and what its framework answered
            with an error status.
        capture_status_codes: The statuses that count as errors.
        asyncio_errors: ASGI only: capture what nobody catches in the server's event loop, from the
            first request on; see `Client.install_asyncio`.
        person_profiles: ``always`` gives visitors with a cookie a profile at PostHog before they
            log in.
        flush_timeout: Seconds for delivery when a server stops or a function is frozen.

    Raises:
        ConfigError: A value can never work, or two do not go together.

    .. versionadded:: 0.1
    """

    trusted_proxies: Sequence[str] = ()
    proxy_hops: int = 0
    address_header: str | None = None
    anonymize_ip: bool = False
    query: Literal["campaign", "none", "all"] = "campaign"
    skip_paths: Sequence[str] = HEALTH_PATHS
    skip_methods: Collection[str] = frozenset({"OPTIONS"})
    consent: Callable[[Head], Consent | None] | None = None
    opt_out_cookie: str | None = None
    gpc: Consent | None = "anonymous"
    dnt: Consent | None = None
    bots: Sequence[str] = ()
    trust_tracing_headers: bool = True
    browser_cookies: bool = False
    cookie: AnonymousCookie | None = None
    cookieless: VisitorIds | None = None
    linker: CrossDomainLinker | None = None
    user: Callable[..., Any] | None = None
    capture_errors: bool = True
    capture_status_codes: Collection[int] = SERVER_ERRORS
    asyncio_errors: bool = False
    person_profiles: Literal["identified_only", "always"] = "identified_only"
    flush_timeout: float = 2.0
    client_ip: ClientIp = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what can never work."""
        consents = ("off", "anonymous", "full", None)
        _one_of("query", self.query, ("campaign", "none", "all"))
        _one_of("gpc", self.gpc, consents)
        _one_of("dnt", self.dnt, consents)
        _one_of("person_profiles", self.person_profiles, ("identified_only", "always"))
        if isinstance(self.trusted_proxies, str):
            raise ConfigError("trusted_proxies", self.trusted_proxies, "must be a list")
        if self.cookie is not None and self.cookieless is not None:
            raise ConfigError("cookieless", self.cookieless, "has no use beside a cookie")
        if self.linker is not None and self.cookie is None:
            raise ConfigError("linker", self.linker, "needs a cookie to keep what comes in")
        found = ClientIp(
            self.trusted_proxies,
            hops=self.proxy_hops,
            header=self.address_header,
            anonymize=self.anonymize_ip,
        )
        object.__setattr__(self, "client_ip", found)


def _one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise ConfigError(name, value, f"must be one of {', '.join(map(repr, allowed))}")
