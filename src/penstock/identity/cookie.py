"""
The anonymous-id cookie: what a device is known by until somebody logs in.

Source: Dreamdata's guide to server-side tracking, "Anonymous id"; RFC 6265.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from uuid_utils import uuid4

from penstock.errors import ConfigError

#: Seconds. Some browsers keep no cookie for longer than 400 days.
YEAR_S = 31_536_000
#: Characters of a ``Cookie`` header that are looked at; servers allow some 8 KiB for all headers.
_MOST = 16_384

_is_value = re.compile(r"[A-Za-z0-9._~-]{8,128}").fullmatch
_is_name = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+").fullmatch
_is_domain = re.compile(r"\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+").fullmatch
_is_path = re.compile(r"/[A-Za-z0-9._~!$&'()*+,=:@/%-]*").fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymousCookie:
    """
    A cookie's name and attributes; checked when it is made.

    Attributes:
        name: The cookie's name. Dreamdata's script calls it ``dd_anonymous_id``.
        domain: ``.example.com`` shares it among the hosts below; None keeps it to the host. Never
            guessed: a guess may be a public suffix.
        path: Below which it is sent.
        max_age: Seconds a browser keeps it.
        same_site: ``Lax`` survives a visitor's way from another site.
        secure: Only over TLS. False is for a server on your own machine.
        http_only: Hidden from the page's scripts. False if they share the id.

    Raises:
        ConfigError: No browser would keep such a cookie.

    .. versionadded:: 0.1
    """

    name: str = "anonymous_id"
    domain: str | None = None
    path: str = "/"
    max_age: int = YEAR_S
    same_site: Literal["Lax", "Strict", "None"] = "Lax"
    secure: bool = True
    http_only: bool = True

    def __post_init__(self) -> None:
        """Refuse what no browser keeps, and what could end the header."""
        _check("name", self.name, bool(_is_name(self.name)), "must be a token of RFC 6265")
        domain = self.domain
        _check("domain", domain, domain is None or bool(_is_domain(domain)), "must be a host name")
        _check("path", self.path, bool(_is_path(self.path)), "must begin with a slash")
        _check("max_age", self.max_age, self.max_age > 0, "must be above 0 seconds")
        _check("same_site", self.same_site, self.same_site in {"Lax", "Strict", "None"}, "Lax, ...")
        safe = self.secure or self.same_site != "None"
        _check("secure", self.secure, safe, 'browsers want it with same_site="None"')
        prefixed = self.name.startswith("__Secure-")
        _check("secure", self.secure, self.secure or not prefixed, "the name's prefix asks for it")
        if self.name.startswith("__Host-"):
            alone = self.secure and self.domain is None and self.path == "/"
            _check("name", self.name, alone, "__Host- wants secure, path / and no domain")

    @classmethod
    def dreamdata(cls, domain: str | None = None) -> AnonymousCookie:
        """The cookie that Dreamdata's script and guide use."""
        return cls(name="dd_anonymous_id", domain=domain)

    def read(self, header: str) -> str | None:
        """
        The id in a ``Cookie`` header; None where there is none that could be ours.

        Anything at all may be in the header.
        """
        return valid_id(cookie_value(header, self.name))

    def mint(self) -> str:
        """A new id: a UUID v4, 36 characters."""
        return str(uuid4())

    def set_header(self, value: str) -> str:
        """
        The value of a ``Set-Cookie`` header.

        Raises:
            ValueError: *value* is no id of ours.
        """
        if not _is_value(value):
            raise ValueError("an anonymous id has 8 to 128 of A-Z a-z 0-9 . _ ~ -")
        return f"{self.name}={value}{self._attributes(self.max_age)}"

    def flag_name(self) -> str:
        """The name of the companion that remembers whom the device was linked to."""
        return f"{self.name}_linked"

    def flag_header(self, mark: str) -> str:
        """The ``Set-Cookie`` of the companion; an empty mark removes it."""
        return f"{self.flag_name()}={mark}{self._attributes(self.max_age if mark else 0)}"

    def _attributes(self, max_age: int) -> str:
        parts = [f"; Max-Age={max_age}", f"; Path={self.path}"]
        if self.domain is not None:
            parts.append(f"; Domain={self.domain}")
        parts.append(f"; SameSite={self.same_site}")
        if self.secure:
            parts.append("; Secure")
        if self.http_only:
            parts.append("; HttpOnly")
        return "".join(parts)


def cookie_value(header: str, name: str) -> str:
    """The value of the first cookie with this name, without quotes; empty when there is none."""
    if name not in header:
        return ""
    for part in header[:_MOST].split(";"):
        given, found, value = part.partition("=")
        if found and given.strip() == name:
            return value.strip().strip('"')
    return ""


def valid_id(value: str) -> str | None:
    """*value* if it could be an anonymous id: 8 to 128 unreserved characters."""
    return value if _is_value(value) else None


def _check(field: str, value: object, right: bool, reason: str) -> None:
    if not right:
        raise ConfigError(f"cookie.{field}", value, reason)
