"""
Which pages may send events, and how a browser is told.

A browser asks before it sends (a *preflight*) or sends and hides the answer from the page; both
are settled by headers that repeat the page's origin. No cookie of ours exists, so letting a page
send credentials gives it nothing; browsers' beacons insist on it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from penstock.collector.http.answers import Answer
from penstock.collector.refusal import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from penstock.collector.http.answers import Headers

#: What an open collector takes: pages of this machine.
LOOPBACK = ("http://localhost", "http://127.0.0.1", "http://[::1]", "https://localhost")
#: Every page; right where a key says who sends.
ANY = ("*",)

_HEADER_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,1000}")
#: Headers that SDKs in browsers send, for one that does not ask for any by name.
_HEADERS = b"authorization, content-type, content-encoding, anonymousid"
#: Seconds a browser may remember a preflight's answer; no browser keeps it longer.
_REMEMBER = b"7200"


class Origins:
    """
    The origins whose pages may send events.

    Args:
        allowed: ``*``, or origins such as ``https://shop.example``. ``https://*.shop.example``
            means all hosts below it, and an origin without a port means every port.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        patterns = [_pattern(origin) for origin in allowed]
        self._allowed = re.compile("|".join(patterns) or r"(?!)")

    def headers(self, origin: str) -> Headers:
        """
        The headers for the answer to a page of *origin*; empty means it is not a page.

        Raises:
            Refusal: Its pages may not send.
        """
        if not origin:
            return ()
        if not self._allowed.fullmatch(origin.lower()):
            raise Refusal(Reason.ORIGIN)
        return (
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-allow-credentials", b"true"),
            (b"access-control-expose-headers", b"retry-after, posthog-request-id"),
            (b"vary", b"origin"),
        )

    def preflight(self, headers: Mapping[bytes, bytes], methods: Iterable[str]) -> Answer:
        """
        Answer OPTIONS.

        Args:
            headers: The request's.
            methods: What the route can do.

        Raises:
            Refusal: See `headers`.
        """
        allow = ", ".join([*methods, "OPTIONS"]).encode()
        origin = headers.get(b"origin", b"").decode("latin-1")
        granted = [(b"allow", allow), *self.headers(origin)]
        if origin:
            wanted = headers.get(b"access-control-request-headers", b"")
            asked = wanted if _HEADER_NAMES.fullmatch(wanted) else _HEADERS
            granted += [
                (b"access-control-allow-methods", allow),
                (b"access-control-allow-headers", asked),
                (b"access-control-max-age", _REMEMBER),
            ]
        if headers.get(b"access-control-request-private-network") == b"true" and origin:
            granted.append((b"access-control-allow-private-network", b"true"))
        return Answer(204, granted, b"")


def _pattern(origin: str) -> str:
    if origin == "*":
        return ".*"
    scheme, _, host = origin.lower().rstrip("/").partition("://")
    wild = host.startswith("*.")
    named = (r"[a-z0-9.-]+\." if wild else "") + re.escape(host[2:] if wild else host)
    port = "" if re.search(r":\d+$", host) else r"(?::\d+)?"
    return f"{re.escape(scheme)}://{named}{port}"
