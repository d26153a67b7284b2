"""
Who a visitor is, before and after they say so.

Names only; each is imported when it is first used. docs/identity.md is the manual.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.identity.browsers import BrowserIds, browser_ids
    from penstock.identity.client_ip import ClientIp
    from penstock.identity.cookie import AnonymousCookie
    from penstock.identity.cookieless import DailySaltId, MemorySalts, Placeholder, SaltStore
    from penstock.identity.links import CrossDomainLinker, TokenStore

#: ``{name: module}``.
_HOMES = {
    "AnonymousCookie": "cookie",
    "BrowserIds": "browsers",
    "ClientIp": "client_ip",
    "CrossDomainLinker": "links",
    "DailySaltId": "cookieless",
    "MemorySalts": "cookieless",
    "Placeholder": "cookieless",
    "SaltStore": "cookieless",
    "TokenStore": "links",
    "browser_ids": "browsers",
}


def __getattr__(name: str) -> object:
    """Import a public name from its module."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'penstock.identity' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"penstock.identity.{home}"), name)
    globals()[name] = value
    return value


__all__ = [
    "AnonymousCookie",
    "BrowserIds",
    "ClientIp",
    "CrossDomainLinker",
    "DailySaltId",
    "MemorySalts",
    "Placeholder",
    "SaltStore",
    "TokenStore",
    "browser_ids",
]
