"""
Links that carry the anonymous id from one of your domains to another.

A cookie ends at its domain. A raw id in a URL would end up in histories, logs and ``Referer``
headers, and could be handed to somebody else; so a link carries a token that is signed, lives for
two minutes, names the host it comes from and the one it goes to and is bound to the browser, and
the page that receives it redirects at once to the same URL without it.

Source: Dreamdata's guide to cross-domain tracking, which suggests all of that; itsdangerous.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import quote, unquote_plus, urlsplit, urlunsplit

from penstock._log import ERROR, Log
from penstock._nobody import is_nobodys
from penstock.errors import ConfigError, MissingExtraError
from penstock.identity.cookie import valid_id
from penstock.scope import current_boundary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from penstock._boundary import Boundary

#: Seconds that the clocks of two hosts may differ by.
_SKEW_S = 30.0
#: Characters of a token; ours have some 300.
_LONGEST_TOKEN = 1024
#: Tokens remembered as used, for as long as they could be used again.
_MOST_SEEN = 100_000
#: Bytes of a key: what SHA-256 has.
_LEAST_KEY = 16
#: What may stand in a path or a query as it is; a backslash and a control character may not,
#: since browsers read the one as a slash and skip the other.
_SAFE = "/%:@!$&'()*+,;=~-._?[]"


class TokenStore(Protocol):
    """Where hosts share tokens, so that a link carries random text and nothing to read."""

    def put(self, token: str, payload: str, ttl: float) -> None:
        """Keep *payload* for *ttl* seconds."""
        ...

    def take(self, token: str) -> str | None:
        """The payload, once; None where there is none (any more)."""
        ...


class Arrival(NamedTuple):
    """What came in with a link."""

    #: The id it carried; None where the token was not valid.
    anonymous_id: str | None
    #: Where to redirect to: a path and query of this host.
    location: str


class CrossDomainLinker:
    """
    Decorates links to your other domains, and reads what came in with one.

    Args:
        keys: Secrets of at least 16 bytes that all your hosts share. The first signs, all verify:
            to rotate, put a new one in front and take the last away a day later.
        linked_domains: Hosts that links may be decorated for; ``.example.org`` stands for a
            domain and every host below it.
        ttl: Seconds a token lives.
        parameter: The URL parameter.
        token_store: Keeps what tokens mean, so that they say nothing themselves.
        on_conflict: What to do when the visitor has an id here already: ``keep`` it, which is
            what the guide says, or ``alias`` the two, once.
        clock: Seconds since 1970, for tests.

    Raises:
        ConfigError: A key is too short, there is none, or a domain is none.
        MissingExtraError: itsdangerous is not installed.

    .. versionadded:: 0.1
    """

    def __init__(
        self,
        keys: Sequence[str | bytes],
        linked_domains: Iterable[str],
        *,
        ttl: float = 120.0,
        parameter: str = "pk_link",
        token_store: TokenStore | None = None,
        on_conflict: str = "keep",
        clock: Callable[[], float] = time.time,
    ) -> None:
        raw = [key.encode() if isinstance(key, str) else key for key in keys]
        if not raw or min(map(len, raw)) < _LEAST_KEY:
            raise ConfigError("keys", f"{len(raw)} keys", f"each has {_LEAST_KEY} bytes or more")
        if on_conflict not in {"keep", "alias"}:
            raise ConfigError("on_conflict", on_conflict, "must be 'keep' or 'alias'")
        self._domains = frozenset(_domain(name) for name in linked_domains)
        self._keys = raw
        self._signer = _signer(raw)
        self._store = token_store
        self._ttl = ttl
        self._clock = clock
        self._seen = _Seen()
        self._log = Log(None, verbose=False)
        self.parameter = parameter
        self.on_conflict = on_conflict

    # -- going out -------------------------------------------------------------------------

    def decorate_url(self, url: str) -> str:
        """
        *url* with the current visitor's id, where it may have one.

        It is left as it is when it leads elsewhere than to a linked domain, when the visitor is
        a bot, has no id of their own, or did not agree to everything.

        .. versionadded:: 0.1
        """
        boundary = current_boundary()
        device = None if boundary is None else boundary.known_device
        if boundary is None or device is None or getattr(boundary, "is_bot", False):
            return url
        return self.decorate(url, device, _host_of(boundary), _agent_of(boundary))

    def decorate(self, url: str, anonymous_id: str, source: str, user_agent: str) -> str:
        """
        *url* with this id; as it is when it may not have one.

        Args:
            url: An absolute URL. Its fragment and other parameters stay.
            anonymous_id: Whose it is.
            source: The host this link is on.
            user_agent: The visitor's, to which the token is bound.
        """
        try:
            parts = urlsplit(url)
            target = (parts.hostname or "").rstrip(".")
        except ValueError:
            return url
        fits = parts.scheme in {"http", "https"} and self._links_to(target)
        if not fits or is_nobodys(anonymous_id) or valid_id(anonymous_id) is None:
            return url
        try:
            token = self._token(anonymous_id, source, target, user_agent)
        except Exception as error:  # noqa: BLE001 - a store out of reach costs no page
            self._failed(error)
            return url
        kept = without_parameter(parts.query, self.parameter)
        query = f"{kept}&{self.parameter}={token}" if kept else f"{self.parameter}={token}"
        return urlunsplit(parts._replace(query=query))

    def _links_to(self, host: str) -> bool:
        parts = host.split(".")
        below = {"." + ".".join(parts[place:]) for place in range(len(parts))}
        return host in self._domains or not below.isdisjoint(self._domains)

    def _token(self, device: str, source: str, target: str, user_agent: str) -> str:
        payload = {
            "a": device,
            "s": source,
            "d": target,
            "t": int(self._clock()),
            "n": secrets.token_urlsafe(9),
            "u": self._bound_to(user_agent, self._keys[0]),
        }
        signed: str = self._signer.dumps(payload)
        if self._store is None:
            return signed
        token = secrets.token_urlsafe(24)
        self._store.put(token, signed, self._ttl + _SKEW_S)
        return token

    @staticmethod
    def _bound_to(user_agent: str, key: bytes) -> str:
        given = user_agent.encode("utf-8", "surrogatepass")
        return hmac.new(key, given, sha256).hexdigest()[:16]

    # -- coming in -------------------------------------------------------------------------

    def arrival(self, path: str, query: str, host: str, user_agent: str) -> Arrival | None:
        """
        What a request for a page came in with; None where the parameter is absent.

        A token can be used once. One that is not valid is ignored, and taken out of the URL
        nonetheless.

        Args:
            path: The path as it was asked for, still percent-encoded.
            query: The query, without its question mark.
            host: The host that was asked, without port.
            user_agent: The visitor's.
        """
        if self.parameter not in query:
            return None
        found = parameter_of(query, self.parameter)
        if found is None:
            return None
        kept = without_parameter(query, self.parameter)
        location = local_url(path, kept)
        return Arrival(self.verify(found, host, user_agent), location)

    def verify(self, token: str, host: str, user_agent: str) -> str | None:
        """The id a token carries; None unless all of it is right. Takes the token's only use."""
        payload = self._read(token)
        if payload is None:
            return None
        device, nonce = payload.get("a"), payload.get("n")
        made, now = payload.get("t"), self._clock()
        fits = isinstance(made, int) and -_SKEW_S <= now - made <= self._ttl + _SKEW_S
        meant = payload.get("d") == host.rstrip(".").lower()
        bound = any(
            hmac.compare_digest(str(payload.get("u")), self._bound_to(user_agent, key))
            for key in self._keys
        )
        if not (fits and meant and bound) or not isinstance(device, str) or is_nobodys(device):
            return None
        if not self._seen.first(str(nonce), now + self._ttl + 2 * _SKEW_S, now):
            return None
        return valid_id(device)

    def _read(self, token: str) -> dict[str, Any] | None:
        if not 0 < len(token) <= _LONGEST_TOKEN or not token.isascii():
            return None
        signed = token if self._store is None else self._taken(self._store, token)
        try:
            payload = self._signer.loads(signed)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it is not ours
            return None
        return payload if isinstance(payload, dict) else None

    def _taken(self, store: TokenStore, token: str) -> str:
        try:
            return store.take(token) or ""
        except Exception as error:  # noqa: BLE001 - the page is shown, the visitor is new
            self._failed(error)
            return ""

    def _failed(self, error: BaseException) -> None:
        self._log.say(ERROR, "store", "the token store failed: %s", type(error).__name__)

    def __repr__(self) -> str:
        """Where links may lead; no key."""
        return f"<CrossDomainLinker to {', '.join(sorted(self._domains))}>"


class _Seen:
    """Nonces that were used, until they could not be used anyway."""

    def __init__(self) -> None:
        self._until: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    def first(self, nonce: str, until: float, now: float) -> bool:
        with self._lock:
            while self._until:
                oldest = next(iter(self._until))
                if self._until[oldest] > now and len(self._until) < _MOST_SEEN:
                    break
                del self._until[oldest]
            if nonce in self._until:
                return False
            self._until[nonce] = until
            return True


def _signer(keys: list[bytes]) -> Any:
    try:
        from itsdangerous import URLSafeSerializer
    except ImportError:
        raise MissingExtraError("itsdangerous", "identity") from None
    return URLSafeSerializer(
        keys[::-1],  # itsdangerous signs with the last
        salt=b"penstock.link.v1",
        signer_kwargs={"key_derivation": "hmac", "digest_method": sha256},
    )


def _domain(name: str) -> str:
    lowered = name.lower().rstrip(".")
    if not lowered.strip(".") or any(c in lowered for c in "/:@ *"):
        raise ConfigError("linked_domains", name, "write a host name, or .example.org for all")
    return lowered


def _host_of(boundary: Boundary) -> str:
    host: str = getattr(boundary, "host", "")
    return host


def _agent_of(boundary: Boundary) -> str:
    agent: str = getattr(boundary, "user_agent", "")
    return agent


def parameter_of(query: str, name: str) -> str | None:
    """The first value of a parameter; None where it is absent."""
    for part in query.split("&"):
        given, _, value = part.partition("=")
        if unquote_plus(given) == name:
            return unquote_plus(value)
    return None


def without_parameter(query: str, name: str) -> str:
    """*query* without this parameter; everything else stays to the letter."""
    parts = query.split("&") if query else []
    return "&".join(part for part in parts if unquote_plus(part.partition("=")[0]) != name)


def local_url(path: str, query: str) -> str:
    """
    A URL of this host and no other, for a ``Location`` header.

    Two slashes at its front would begin with a host name, so there is one; what a browser reads
    as a slash, or does not read at all, is encoded.
    """
    clean = "/" + quote(path.lstrip("/\\"), safe=_SAFE.replace("?", ""))
    kept = quote(query, safe=_SAFE)
    return f"{clean}?{kept}" if kept else clean
