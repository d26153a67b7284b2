"""Which proxy a request goes through, and how a proxy's URL is shown."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from penstock.errors import ConfigError

_SCHEMES = ("http", "https")


def checked_proxy(url: str) -> str:
    """
    A proxy's URL with its scheme; ``host:port`` alone means http.

    Raises:
        ConfigError: It is no URL of an http or https proxy. A password is not shown.
    """
    text = url.strip()
    text = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(text)
        usable = parts.scheme in _SCHEMES and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError("proxy", masked(text), "must be an http:// or https:// URL")
    return text


def masked(url: str) -> str:
    """The URL without user name and password."""
    scheme, separator, rest = url.rpartition("://")
    authority, slash, path = rest.partition("/")
    user, at, place = authority.rpartition("@")
    return f"{scheme}{separator}{'***' if user else ''}{at}{place}{slash}{path}"


def credentials(url: str) -> str:
    """``user:password`` of the URL, decoded; empty when it has none."""
    user, at, _ = urlsplit(url).netloc.rpartition("@")
    return unquote(user) if at else ""


class ProxyRules:
    """
    The proxy for each destination.

    Args:
        proxy: One proxy for everything; ``""`` for none at all; None to follow the environment
            (``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY``, ``NO_PROXY``, in either case), which
            is read once, here.

    Raises:
        ConfigError: *proxy* is no URL of a proxy.
    """

    def __init__(self, proxy: str | None = None) -> None:
        self._environment: dict[str, str] = {}
        self._fixed = proxy
        if proxy is None:
            from urllib.request import getproxies_environment

            self._environment = getproxies_environment()
        elif proxy:
            self._fixed = checked_proxy(proxy)

    def proxy_for(self, scheme: str, host: str) -> str | None:
        """
        The proxy's URL for a server, or None to go straight to it.

        Args:
            scheme: ``http`` or ``https``.
            host: The server, with its port if it has one.

        Raises:
            ConfigError: The environment names a proxy of a kind that is not supported. Going
                around it in silence would be worse.
        """
        if self._fixed is not None:
            return self._fixed or None
        proxy = self._environment.get(scheme) or self._environment.get("all")
        if not proxy or self._bypassed(host):
            return None
        return checked_proxy(proxy)

    def _bypassed(self, host: str) -> bool:
        from urllib import request

        return bool(request.proxy_bypass_environment(host, self._environment))  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        if self._fixed is None:
            return "from the environment"
        return repr(masked(self._fixed)) if self._fixed else "none"
