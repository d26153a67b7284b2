"""
Who may see the pages, and what a browser is told about them.

On loopback anybody on the machine may look, unless a token is set; anywhere else a token is
needed. A page on the web must not get at them through somebody's browser: the ``Host`` has to be an
address, ``localhost`` or a name that was allowed (a rebound DNS name is none of these), other pages
may lead here and nothing else (no frames, no pictures, no streams), and a POST needs the page's own
secret and its own origin.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import secrets
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from penstock.collector.pages.forms import read_form

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Scope = Mapping[str, Any]
    Receive = Callable[[], Awaitable[Any]]
    Send = Callable[[Any], Awaitable[None]]

COOKIE = "penstock_debugger"
#: Without a session: the way to one, and what that page is made of.
_PUBLIC = ("/login", "/session", "/static/")
#: Seconds a form may take to arrive.
_FORM_S = 10.0
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = (
    (b"content-security-policy", _CSP.encode()),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Not "no-referrer": browsers would then say "Origin: null" even to ourselves.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Keeper:
    """
    Knows the token, as a digest.

    Args:
        digest: `penstock.collector.config.digest_of` the token; empty when none is needed.
    """

    def __init__(self, digest: str) -> None:
        self._digest = digest
        # Of this process, and not of the token: what is signed with it tells nothing of that.
        self._secret = secrets.token_bytes(32)

    @property
    def is_open(self) -> bool:
        """Whether no token is needed."""
        return not self._digest

    def knows(self, token: str) -> bool:
        """Whether this is the token; takes the same time however much of a guess is right."""
        given = hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
        return hmac.compare_digest(given, self._digest)

    @property
    def session(self) -> str:
        """The cookie's value, as long as this process lives."""
        return self._sign("session")

    @property
    def form_secret(self) -> str:
        """What a form of ours carries."""
        return self._sign("form")

    def _sign(self, what: str) -> str:
        return hmac.new(self._secret, what.encode(), hashlib.sha256).hexdigest()

    def admits(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request shows the token (Bearer) or the session (cookie)."""
        if self.is_open:
            return True
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() == "bearer" and self.knows(token.strip()):
            return True
        return hmac.compare_digest(_cookie(headers).encode(), self.session.encode())


def _cookie(headers: Mapping[bytes, bytes]) -> str:
    try:
        found = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


class Guard:
    """
    Lets requests through to an app.

    Args:
        app: The pages.
        keeper: Knows the token.
        names: Host names the pages may be asked for by, besides addresses and ``localhost``.
    """

    def __init__(self, app: Any, keeper: Keeper, names: tuple[str, ...] = ()) -> None:
        self._app = app
        self._keeper = keeper
        self._names = {name.lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 421, 401 or 403, or have the app answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        if not self._is_ours(headers.get(b"host", b"").decode("latin-1")):
            await _refuse(guarded, 421, "this is no name of the debugger")
        elif _is_foreign(headers):
            await _refuse(guarded, 403, "another page has no business here")
        elif not (scope["path"].startswith(_PUBLIC) or self._keeper.admits(headers)):
            await _unknown(guarded, headers)
        elif scope["method"] == "POST":
            await self._posted(scope, receive, guarded, headers)
        else:
            await self._app(scope, receive, guarded)

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name == "localhost" or name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    async def _posted(
        self, scope: Scope, receive: Receive, send: Send, headers: Mapping[bytes, bytes]
    ) -> None:
        """A form of ours, sent by a page of ours."""
        try:
            async with asyncio.timeout(_FORM_S):
                form = await read_form(receive)
        except TimeoutError:
            await _refuse(send, 408, "too slow")
            return
        if form is None:
            await _refuse(send, 413, "too large")
        elif not _is_same_origin(headers) or not hmac.compare_digest(
            form.get("secret", "").encode(), self._keeper.form_secret.encode()
        ):
            await _refuse(send, 403, "this form was not sent by a page of the debugger")
        else:
            await self._app({**scope, "form": form}, receive, send)


def _is_foreign(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a page of another origin asks, other than by a link that somebody follows."""
    site, mode = headers.get(b"sec-fetch-site"), headers.get(b"sec-fetch-mode")
    return site in {b"cross-site", b"same-site"} and mode != b"navigate"


def _is_same_origin(headers: Mapping[bytes, bytes]) -> bool:
    if headers.get(b"sec-fetch-site", b"same-origin") != b"same-origin":
        return False
    origin = headers.get(b"origin")
    return origin is None or origin.partition(b"://")[2] == headers.get(b"host")


async def _unknown(send: Send, headers: Mapping[bytes, bytes]) -> None:
    """A person is shown where to say the token, a program is told that it needs one."""
    if b"text/html" in headers.get(b"accept", b""):
        await _answer(send, 303, b"", ((b"location", b"/login"),))
    else:
        await _answer(send, 401, b"a token is needed\n", ((b"www-authenticate", b"Bearer"),))


async def _refuse(send: Send, status: int, why: str) -> None:
    await _answer(send, status, f"{why}\n".encode())


async def _answer(
    send: Send, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    told = [(b"content-type", b"text/plain; charset=utf-8"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})
