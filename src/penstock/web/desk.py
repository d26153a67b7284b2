"""
The reception of requests: what every integration does, whatever the server.

Nothing here raises into the host. What fails is told once a minute in the log, by its kind, and
the request is served as if the middleware were not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock._log import ERROR, Log
from penstock._reporting import is_error, report
from penstock.scope import Scope
from penstock.web.head import USED
from penstock.web.settings import Settings
from penstock.web.visit import Visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock._boundary import Consent, User
    from penstock.client import Client
    from penstock.web.head import Head

_CONSENTS = frozenset({"off", "anonymous", "full"})
#: What an opt-out cookie says when it does not opt out.
_NO_OPT_OUT = frozenset({"", "0", "false"})


class Desk:
    """
    Receives requests for one middleware.

    Args:
        client: Whose events they are.
        options: See `Settings`; or one of these as ``settings``.

    Raises:
        ConfigError: An option can never work.
        TypeError: An option is none.
    """

    def __init__(self, client: Client, **options: Any) -> None:
        given = options.pop("settings", None)
        if given is not None and options:
            raise TypeError("give settings or single options, not both")
        self.client = client
        self.settings: Settings = given or Settings(**options)
        self._log = Log(client.config.logger, verbose=False)
        paths = self.settings.skip_paths
        self._skipped_paths = frozenset(path for path in paths if not path.endswith("/"))
        self._skipped_below = tuple(path for path in paths if path.endswith("/"))
        self._skipped_methods = frozenset(self.settings.skip_methods)
        more = self.settings.client_ip.header
        #: Headers an integration has to bring, in lower case.
        self.used = (*USED, *(name for name in (more,) if name))

    def receive(self, head: Head, user: User = None, *, answers: bool = True) -> Visit | None:
        """
        A request comes in.

        Args:
            head: What is known of it.
            user: Finds its user, when asked.
            answers: Whether its response has headers.

        Returns:
            Its boundary; None where it is to be served without one.
        """
        try:
            if self._skips(head):
                return None
            consent = self._consent(head)
            return Visit(self.settings, head, consent, user, answers=answers, tell=self.failed)
        except Exception as error:  # noqa: BLE001 - the host is served, whatever we are not
            self.failed("receive", error)
            return None

    def _skips(self, head: Head) -> bool:
        if head.method in self._skipped_methods or head.path in self._skipped_paths:
            return True
        return bool(self._skipped_below) and head.path.startswith(self._skipped_below)

    def _consent(self, head: Head) -> Consent:
        """The first decisive answer."""
        settings = self.settings
        if settings.consent is not None:
            told = self._asked_consent(settings.consent, head)
            if told is not None:
                return told
        out = settings.opt_out_cookie
        if out is not None and head.cookie(out).lower() not in _NO_OPT_OUT:
            return "off"
        if settings.gpc is not None and head.get("sec-gpc").strip() == "1":
            return settings.gpc
        if settings.dnt is not None and head.get("dnt").strip() == "1":
            return settings.dnt
        return "full"

    def _asked_consent(self, ask: Callable[[Head], Consent | None], head: Head) -> Consent | None:
        """The application's answer; where it fails, the careful one."""
        try:
            told = ask(head)
        except Exception as error:  # noqa: BLE001 - the host's code
            self.failed("consent", error)
            return "anonymous"
        return told if told is None or told in _CONSENTS else "anonymous"

    @staticmethod
    def scope(visit: Visit) -> Scope:
        """What events of this visit see first."""
        return Scope(boundary=visit)

    # -- answering ---------------------------------------------------------------------------

    def redirect(self, visit: Visit) -> list[tuple[str, str]] | None:
        """
        The headers of a redirect to the same page without the link's token.

        None where the request did not come with one, which is nearly always.
        """
        linker = self.settings.linker
        if linker is None or linker.parameter not in visit.head.query:
            return None
        try:
            head = visit.head
            if not head.is_navigation:
                return None
            arrival = linker.arrival(head.path, head.query, visit.host, visit.user_agent)
            if arrival is None:
                return None
            if arrival.anonymous_id is not None and visit.consent == "full" and not visit.is_bot:
                self._arrived(visit, arrival.anonymous_id)
            headers = [
                ("Location", arrival.location),
                ("Cache-Control", "no-store"),
                ("Referrer-Policy", "no-referrer"),
                ("Content-Length", "0"),
            ]
            return [*headers, *(("Set-Cookie", one) for one in visit.set_cookies("no-store"))]
        except Exception as error:  # noqa: BLE001 - the page is shown with its parameter
            self.failed("link", error)
            return None

    def _arrived(self, visit: Visit, anonymous_id: str) -> None:
        """An id came with a link: it is taken where the visitor has none here."""
        cookie, linker = self.settings.cookie, self.settings.linker
        own = None if cookie is None else cookie.read(visit.head.get("cookie"))
        if own is None:
            visit.set_device(anonymous_id)
        elif own != anonymous_id and linker is not None and linker.on_conflict == "alias":
            self.client.alias(user_id=own, previous_id=anonymous_id)

    def answer(self, visit: Visit, status: int, cache_control: str) -> list[str]:
        """The response begins: the ``Set-Cookie`` values it gets besides its own."""
        try:
            visit.answered(status)
            return visit.set_cookies(cache_control)
        except Exception as error:  # noqa: BLE001 - the response goes out as it is
            self.failed("answer", error)
            return []

    # -- errors ------------------------------------------------------------------------------

    def escaped(self, visit: Visit | None, error: BaseException, source: str) -> None:
        """An error left the application, or reached its framework's last handler."""
        try:
            if not self.settings.capture_errors or not is_error(error):
                return
            if visit is not None and not visit.status:
                visit.answered(500)
            self._report(visit, error, source, handled=False)
        except Exception as failure:  # noqa: BLE001 - the host's own error is the one that counts
            self.failed("escaped", failure)

    def answered_badly(self, visit: Visit, error: BaseException | None, source: str) -> None:
        """A framework made an answer of an error: one that says the server failed is captured."""
        settings = self.settings
        if error is None or not settings.capture_errors:
            return
        if visit.status in settings.capture_status_codes:
            self._report(visit, error, source, handled=True)

    def _report(
        self, visit: Visit | None, error: BaseException, source: str, *, handled: bool
    ) -> None:
        request = None if visit is None else visit.head
        report(
            self.client,
            error,
            handled=handled,
            mechanism="middleware",
            source=source,
            request=request,
        )

    def failed(self, what: str, error: BaseException) -> None:
        """Tell that something of ours or of the host's went wrong: its kind, never its text."""
        text = "the web middleware failed (%s: %s); the request is served without it"
        self._log.say(ERROR, f"web:{what}", text, what, type(error).__name__)
