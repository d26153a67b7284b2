"""
Destinations written as URLs, for ``PENSTOCK_URL`` and the command line.

    segment://WRITE_KEY@                           the vendor's own address
    rudderstack://KEY@data-plane.example?gzip=0    a host of yours, https
    posthog://phc_KEY@eu.i.posthog.com?capture_mode=v1
    segment+http://KEY@10.0.0.7:8080/prefix        plain http, said aloud
    collector://KEY@127.0.0.1:8765                 http on loopback, https elsewhere
    webhook://SECRET@hooks.example/path            the whole address: nothing is added to it

Parameters are the constructor's own names; ``gzip=1`` and ``gzip=0`` are short for
``compression``. A key with special characters is percent-encoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.destinations.collector import Collector
from penstock.destinations.dreamdata import Dreamdata
from penstock.destinations.posthog import PostHog
from penstock.destinations.rudderstack import RudderStack
from penstock.destinations.segment import Segment
from penstock.destinations.webhook import Webhook
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from urllib.parse import SplitResult

    from penstock.destinations._base import Destination

#: What the part before ``://`` may be.
VENDORS: dict[str, type[Destination]] = {
    "segment": Segment,
    "rudderstack": RudderStack,
    "dreamdata": Dreamdata,
    "posthog": PostHog,
    "collector": Collector,
    "webhook": Webhook,
}

_TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def destinations_from_urls(text: str) -> tuple[Destination, ...]:
    """Every destination in *text*, where blanks or commas stand between them."""
    return tuple(destination_from_url(url) for url in text.replace(",", " ").split())


def destination_from_url(url: str) -> Destination:
    """
    The destination that *url* describes.

    Raises:
        ConfigError: It describes none; names the field, and shows no key.
    """
    from urllib.parse import unquote

    parts = _split(url)
    vendor, _, scheme = parts.scheme.partition("+")
    key, at, place = parts.netloc.rpartition("@")
    if vendor not in VENDORS or scheme not in ("", "http", "https"):
        known = ", ".join(f"{name}://" for name in VENDORS)
        raise ConfigError("url", f"{parts.scheme}://…", f"must start with one of {known}")
    if not at:
        raise ConfigError("url", f"{parts.scheme}://…", f"needs its key: {parts.scheme}://KEY@")
    if parts.fragment:
        raise ConfigError("url", f"{parts.scheme}://…", "has a fragment; encode '#' as %23")
    options = _options(vendor, parts.query)
    if place:
        scheme = scheme or _scheme(vendor, parts.hostname or "")
        options["endpoint"] = f"{scheme}://{place}{parts.path}"
    elif vendor == "webhook":
        raise ConfigError("url", "webhook://…", "needs a host: webhook://SECRET@HOST/PATH")
    make: Callable[..., Destination] = VENDORS[vendor]
    return make(unquote(key), **options)


def _split(url: str) -> SplitResult:
    from urllib.parse import urlsplit

    try:
        return urlsplit(url.strip())
    except ValueError:  # its words would quote the key
        raise ConfigError("url", "…", "is not a URL") from None


def _scheme(vendor: str, host: str) -> str:
    octets = host.split(".")
    loopback = octets[0] == "127" and all(octet.isdigit() for octet in octets)
    local = loopback or host in ("localhost", "::1")
    return "http" if vendor in ("collector", "webhook") and local else "https"


def _options(vendor: str, query: str) -> dict[str, Any]:
    """Constructor arguments of a query string."""
    from urllib.parse import parse_qsl

    options: dict[str, Any] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if _OF_ONE_VENDOR.get(name, vendor) != vendor:
            raise ConfigError(name, text, f"is no parameter of {vendor}")
        field = "compression" if name == "gzip" else name
        if field in options:
            raise ConfigError(name, text, "is given twice")
        options[field] = _value(name, text)
    return options


def _value(name: str, text: str) -> Any:
    if name not in _READERS:
        raise ConfigError(name, text, "is no parameter of a destination")
    try:
        return _READERS[name](text)
    except (KeyError, ValueError):
        raise ConfigError(name, text, "cannot be read") from None


def _flag(text: str) -> bool:
    return _TRUTH[text.lower()]


#: Parameters that only one vendor has.
_OF_ONE_VENDOR = {
    "no_proxy_support": "rudderstack",
    "capture_mode": "posthog",
    "historical_migration": "posthog",
    "group_type": "posthog",
    "alias_direction": "posthog",
    "geoip": "posthog",
    "is_server": "posthog",
    "format": "webhook",
}
_READERS: dict[str, Callable[[str], Any]] = {
    "name": str,
    "batch_size": int,
    "interval": float,
    "max_message_bytes": int,
    "max_batch_bytes": int,
    "compression": str,
    "gzip": lambda text: "gzip" if _flag(text) else None,
    "timeout": float,
    "no_proxy_support": _flag,
    "capture_mode": str,
    "historical_migration": _flag,
    "group_type": str,
    "alias_direction": str,
    "geoip": _flag,
    "is_server": _flag,
    "format": str,
}
