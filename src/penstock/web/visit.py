"""
One web request as a boundary: its facts are read when the first event asks for them.

A request that captures nothing pays for the head and a few comparisons.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from penstock._boundary import Boundary, id_text
from penstock.identity.browsers import browser_ids
from penstock.web import page
from penstock.web.bots import is_bot
from penstock.web.head import LONGEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock._boundary import Consent, User
    from penstock.web.head import Head
    from penstock.web.settings import Settings

_lives = re.compile(r"max-age\s*=\s*\"?0*[1-9]").search
_is_locale = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,4}").fullmatch


class Visit(Boundary):
    """
    What a web request says of itself.

    Args:
        settings: The middleware's.
        head: The request's.
        consent: What the visitor agreed to.
        user: Finds the user.
        answers: Whether the response can carry a cookie; a websocket's cannot.
        tell: Told what failed, and how: nothing raises into the event that asked.
    """

    def __init__(
        self,
        settings: Settings,
        head: Head,
        consent: Consent = "full",
        user: User = None,
        *,
        answers: bool = True,
        tell: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        super().__init__(user_id=user, consent=consent)
        self.settings = settings
        self.head = head
        self.person_profiles = settings.person_profiles
        self.status = 0
        self._answers = answers
        self._tell = tell
        self._new_cookie = False
        self._flag: str | None = None

    # -- facts -----------------------------------------------------------------------------

    @cached_property
    def user_agent(self) -> str:
        """As it may go into an event."""
        return self.head.text("user-agent")

    @cached_property
    def is_bot(self) -> bool:
        """Whether a program asks, or a browser that fetches ahead."""
        return is_bot(self.head, self.user_agent, self.settings.bots)

    @cached_property
    def ip(self) -> str:
        """The client's address; empty where it is not known."""
        return self.settings.client_ip.find(self.head.peer, self.head.get)

    @cached_property
    def _believed(self) -> bool:
        """Whether a proxy of ours says what was asked for."""
        return self.settings.client_ip.trusts(self.head.peer)

    @cached_property
    def authority(self) -> str:
        """The host that was asked for, with its port."""
        return page.host_of(self.head, forwarded=self._believed)

    @property
    def host(self) -> str:
        """The host name that was asked for."""
        return page.without_port(self.authority)

    def failed(self, what: str, error: BaseException) -> None:
        """See `Boundary.failed`."""
        if self._tell is not None:
            self._tell(what, error)

    def find_facts(self) -> dict[str, Any]:
        """The context of this request."""
        try:
            return self._read_facts()
        except Exception as error:  # noqa: BLE001 - the event goes without
            self.failed("facts", error)
            return {}

    def _read_facts(self) -> dict[str, Any]:
        head, policy = self.head, self.settings.query
        scheme = page.scheme_of(head, forwarded=self._believed)
        campaign, clicks = page.campaign_and_clicks(head.query) if head.query else ({}, {})
        seen = page.page_of(head, self.authority, scheme, policy)
        facts: dict[str, Any] = {
            "ip": self.ip if self._tells_ip() else "",
            "userAgent": self.user_agent,
            "page": seen,
            "campaign": campaign,
            "clickIds": clicks,
            "locale": self._locale(),
            "http": {"method": head.method, "path": seen["path"]},
            "sessionId": self._traced("x-posthog-session-id"),
            "windowId": self._traced("x-posthog-window-id"),
        }
        if self.status:
            facts["http"]["status"] = self.status
        return {name: value for name, value in facts.items() if value}

    def _tells_ip(self) -> bool:
        cookieless = self.settings.cookieless
        return cookieless is None or cookieless.keeps_ip

    def _locale(self) -> str:
        first = self.head.get("accept-language").partition(",")[0].partition(";")[0].strip()
        return first if _is_locale(first) else ""

    def _traced(self, name: str) -> str:
        """What PostHog's browser SDK says of itself."""
        return self.head.text(name, LONGEST) if self.settings.trust_tracing_headers else ""

    def answered(self, status: int) -> None:
        """The response begins."""
        self.status = status
        if self._facts is not None:
            self.put({"http": {**self._facts.get("http", {}), "status": status}})

    # -- the device ------------------------------------------------------------------------

    @property
    def anonymous_id(self) -> str:
        """What the browser SDK says is used for events without a user, and merged with nobody."""
        if self.consent == "full":
            told = id_text(self._traced("x-posthog-distinct-id"))
            if told is not None:
                return told
        return super().anonymous_id

    def device(self) -> str | None:
        """The cookie's id, found or made once."""
        if "device" not in self._ids:
            found, minted = None, False
            try:
                found = self._find_device()
                if found is None and self._may_mint():
                    found, minted = self._mint(), True
            except Exception as error:  # noqa: BLE001 - a salt's store may be out of reach
                self.failed("device", error)
            if self._ids.setdefault("device", found) is found:
                self._new_cookie = self._new_cookie or minted
        return self._ids["device"]

    def _mint(self) -> str | None:
        cookie = self.settings.cookie
        return None if cookie is None else cookie.mint()

    def _find_device(self) -> str | None:
        settings = self.settings
        if settings.cookieless is not None:
            return settings.cookieless.id_for(self.host, self.ip, self.user_agent)
        cookies = self.head.get("cookie")
        found = settings.cookie.read(cookies) if settings.cookie is not None else None
        if found is None and settings.browser_cookies and cookies:
            found = browser_ids(cookies).anonymous_id
        return found

    def _may_mint(self) -> bool:
        """On a page that somebody sees: requests beside it would each make another id."""
        return self.settings.cookie is not None and self._may_keep() and self.head.is_navigation

    def _may_keep(self) -> bool:
        return self._answers and self.consent == "full" and not self.is_bot

    def keep_device(self) -> None:
        """Give the visitor a cookie even where that is not a page."""
        cookie = self.settings.cookie
        if cookie is not None and self.device() is None and self._may_keep():
            self.set_device(cookie.mint())

    def set_device(self, anonymous_id: str) -> None:
        """Use an id that came from elsewhere, and have the browser keep it."""
        super().set_device(anonymous_id)
        self._new_cookie = True

    def rotate_device(self) -> None:
        """Another id from here on; what it was linked to is forgotten."""
        cookie = self.settings.cookie
        if cookie is not None and self.consent == "full" and self._answers:
            self.set_device(cookie.mint())
            self._flag = ""
        self._ids.pop("made up", None)

    # -- what it was linked to -------------------------------------------------------------

    @property
    def link_mark(self) -> str:
        """The mark of the last link of this device; see `penstock.identity._login`."""
        cookie = self.settings.cookie
        return "" if cookie is None else self.head.cookie(cookie.flag_name())

    def remember_link(self, mark: str) -> None:
        """Have the device remember whom it was linked to."""
        self._flag = mark

    def set_cookies(self, cache_control: str) -> list[str]:
        """
        The ``Set-Cookie`` values of the response.

        None where a shared cache would keep the response and hand one visitor's id to all.
        """
        cookie = self.settings.cookie
        if cookie is None or not self._answers or self.consent != "full":
            return []
        device = self.device()
        if not (self._new_cookie or self._flag is not None) or is_shared(cache_control):
            return []
        found = []
        if self._new_cookie and device is not None:
            found.append(cookie.set_header(device))
        if self._flag or (self._flag == "" and self.link_mark):
            found.append(cookie.flag_header(self._flag))
        return found


def is_shared(cache_control: str) -> bool:
    """
    Whether a response says that a cache of many may keep it.

    A lifetime alone says so, too, unless it is meant for the visitor's own cache (RFC 9111, 3).
    """
    lowered = cache_control.lower()
    if "public" in lowered or "s-maxage" in lowered:
        return True
    kept = _lives(lowered) is not None
    return kept and not any(word in lowered for word in ("private", "no-store", "no-cache"))
