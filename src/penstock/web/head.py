"""
A request's head, the same from every server: plain texts, and no more of them than are used.

Everything in it was written by a stranger. `Head.text` gives what may go into an event.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from penstock.identity.cookie import cookie_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Headers that are looked at, in lower case. A few more come from the settings.
USED = (
    *("cookie", "user-agent", "referer", "host", "accept", "accept-language"),
    *("sec-fetch-dest", "sec-gpc", "dnt", "sec-purpose", "purpose"),
    *("x-forwarded-for", "forwarded", "x-forwarded-proto", "x-forwarded-host"),
    *("x-posthog-distinct-id", "x-posthog-session-id", "x-posthog-window-id"),
)
#: Characters of a header that go into an event.
LONGEST = 1000

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Head:
    """
    What is known of a request before it is served.

    Args:
        method: In upper case.
        scheme: ``http`` or ``https``, as the server knows it.
        path: As it was asked for, percent-encoded.
        query: Without its question mark.
        peer: The address at the other end of the socket; empty where there is none.
        headers: ``{name in lower case: value}``, those of `USED` at least, as latin-1 texts;
            of several with one name, one list.
    """

    __slots__ = ("headers", "method", "path", "peer", "query", "scheme")

    def __init__(  # noqa: PLR0917 - the parts of a request line, in their order
        self,
        method: str,
        scheme: str,
        path: str,
        query: str,
        peer: str,
        headers: Mapping[str, str],
    ) -> None:
        self.method = method
        self.scheme = scheme
        self.path = path
        self.query = query
        self.peer = peer
        self.headers = headers

    def get(self, name: str) -> str:
        """A header as it came, as latin-1; empty when there is none."""
        return self.headers.get(name, "")

    def text(self, name: str, longest: int = LONGEST) -> str:
        """A header as it may go into an event; empty when nothing is left of it."""
        value = self.headers.get(name)
        return cleaned(value, longest) if value else ""

    def cookie(self, name: str) -> str:
        """The value of a cookie; empty when there is none."""
        return cookie_value(self.headers.get("cookie", ""), name)

    @property
    def is_navigation(self) -> bool:
        """Whether a browser asks for a page that somebody will see."""
        if self.method not in {"GET", "HEAD"}:
            return False
        meant = self.headers.get("sec-fetch-dest")
        if meant is not None:
            return meant == "document"
        return "text/html" in self.headers.get("accept", "")


def cleaned(value: str, longest: int = LONGEST) -> str:
    """
    Text of a stranger: no control characters, no broken ones, no blanks around, not too long.

    Args:
        value: A latin-1 text, as servers give headers; UTF-8 in it is read as what it is.
        longest: Characters that are kept.
    """
    value = value[: 4 * longest]
    if not value.isascii():
        value = value.encode("latin-1", "replace").decode("utf-8", "replace")
    return _CONTROL.sub("", value).strip()[:longest]


def joined(pairs: Iterable[tuple[bytes, bytes]], used: frozenset[bytes]) -> dict[str, str]:
    """The headers of *used* out of raw pairs with names in lower case."""
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in used:
            text = name.decode("latin-1")
            more = value.decode("latin-1")
            if text in found:
                more = f"{found[text]}{'; ' if text == 'cookie' else ', '}{more}"
            found[text] = more
    return found
