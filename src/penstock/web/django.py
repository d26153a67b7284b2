"""
Django, under WSGI and ASGI.

    MIDDLEWARE = ["penstock.web.django.AnalyticsMiddleware", ...]     # first
    ANALYTICS = {"CLIENT": "shop.analytics.client", "TRUSTED_PROXIES": ["10.0.0.0/8"]}

``CLIENT`` is a client, or the dotted path of one or of a function that gives one. The other keys
are the options of `penstock.web.Settings` in capitals.

Errors come by the signal ``got_request_exception``, which Django sends for what it answers with
500 and not for a 404, a refused permission or a bad request.

Source: the Django documentation, "Middleware" and "Signals"; django/core/handlers.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import ref

from penstock.errors import ConfigError
from penstock.scope import CURRENT
from penstock.scoping import Held, leave
from penstock.web.desk import Desk
from penstock.web.visit import Visit
from penstock.web.wsgi import head_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from penstock.client import Client
    from penstock.web.head import Head

    Request = Any
    Response = Any

_SIGNAL = "django.got_request_exception"
_STREAM = "django.streaming_content"
_SETTING = "ANALYTICS"
#: Where `django.contrib.auth` keeps the key of whoever is logged in, in the session.
_SESSION_KEY = "_auth_user_id"
#: Where a request keeps what was found of it before the view.
_EARLY = "_penstock_user"


class AnalyticsMiddleware:
    """
    Gives every request of a Django site its context.

    Args:
        get_response: Django's.
        client: Whose events they are; ``ANALYTICS["CLIENT"]`` otherwise.
        options: See `penstock.web.Settings`; those in ``ANALYTICS`` otherwise.

    Raises:
        ConfigError: There is no client, or an option can never work.

    .. versionadded:: 0.1
    """

    sync_capable: ClassVar[bool] = True
    async_capable: ClassVar[bool] = True

    def __init__(
        self,
        get_response: Callable[[Request], Any],
        client: Client | None = None,
        **options: Any,
    ) -> None:
        from asgiref.sync import iscoroutinefunction, markcoroutinefunction
        from django.core.signals import got_request_exception

        if client is None:
            client, options = _configured()
        self.get_response = get_response
        self._desk = Desk(client, **options)
        self._used = self._desk.used
        self._is_async = iscoroutinefunction(get_response)
        self._waits = iscoroutinefunction
        #: Called right before the view, when all middleware has seen the request.
        self.process_view = self._afind_user_early if self._is_async else self._find_user_early
        if self._is_async:
            markcoroutinefunction(self)
        got_request_exception.connect(self._failed_request, weak=True)

    def __call__(self, request: Request) -> Any:
        """Serve one request; under ASGI, as a coroutine."""
        if self._is_async:
            return self._acall(request)
        visit = self._visit(request)
        if visit is None:
            return self.get_response(request)
        moved = self._redirect(visit)
        if moved is not None:
            return moved
        token = CURRENT.set(self._desk.scope(visit))
        try:
            response = self.get_response(request)
            return self._answer(visit, response)
        finally:
            leave(token)

    async def _acall(self, request: Request) -> Response:
        visit = self._visit(request)
        if visit is None:
            return await self.get_response(request)
        moved = self._redirect(visit)
        if moved is not None:
            return moved
        token = CURRENT.set(self._desk.scope(visit))
        try:
            response = await self.get_response(request)
            return self._answer(visit, response)
        finally:
            leave(token)

    # -- coming in -------------------------------------------------------------------------

    def _visit(self, request: Request) -> Visit | None:
        try:
            if "penstock.visit" in request.META:
                return None
            head = head_of(request.META, self._used)
            if self._is_async:
                head = _as_asgi(head, request)
            visit = self._desk.receive(head, self._user_of(request))
            request.META["penstock.visit"] = True
        except Exception as error:  # noqa: BLE001 - the host is served, whatever we are not
            self._desk.failed("head", error)
            return None
        return visit

    def _user_of(self, request: Request) -> Callable[[], Any]:
        """Finds the user of a request that it does not keep alive."""
        where, own = ref(request), self._desk.settings.user

        def find() -> Any:
            known = where()
            if known is None:
                return None
            return own(known) if own is not None else _logged_in(known)

        return find

    async def _afind_user_early(
        self, request: Request, _view: Any, _args: Any, _kwargs: Any
    ) -> None:
        """Under ASGI a session may not be read when an event asks, since that may wait: now."""
        try:
            session = self._unread_session(request)
            if session is not None:
                request.__dict__[_EARLY] = await session.aget(_SESSION_KEY)
        except Exception as error:  # noqa: BLE001 - the view is served without a user
            self._desk.failed("user", error)

    def _find_user_early(self, request: Request, view: Any, _args: Any, _kwargs: Any) -> None:
        """The same for a view that is a coroutine, under WSGI; any other is asked late."""
        try:
            session = self._unread_session(request) if self._waits(view) else None
            if session is not None:
                request.__dict__[_EARLY] = session.get(_SESSION_KEY)
        except Exception as error:  # noqa: BLE001 - the view is served without a user
            self._desk.failed("user", error)

    def _unread_session(self, request: Request) -> Any:
        """Another copy of a session that came with the request and was not read yet."""
        from django.conf import settings

        session = request.__dict__.get("session")
        named = self._desk.settings.user is None and session is not None
        if not named or settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return None
        return None if "_session_cache" in session.__dict__ else _copy_of(session)

    # -- going out -------------------------------------------------------------------------

    def _redirect(self, visit: Visit) -> Response | None:
        headers = self._desk.redirect(visit)
        if headers is None:
            return None
        from django.http import HttpResponse

        response = HttpResponse(status=302)
        del response.headers["Content-Type"]
        for name, value in headers:
            if name == "Set-Cookie":
                _add_cookie(response, value)
            else:
                response.headers[name] = value
        return response

    def _answer(self, visit: Visit, response: Response) -> Response:
        try:
            kept = response.headers.get("Cache-Control", "")
            for cookie in self._desk.answer(visit, response.status_code, kept):
                _add_cookie(response, cookie)
            if response.streaming and getattr(response, "file_to_stream", None) is None:
                held = Held(CURRENT.get())
                stream = self._asteps if response.is_async else self._steps
                response.streaming_content = stream(response.streaming_content, held, visit)
        except Exception as error:  # noqa: BLE001 - the response goes out as it is
            self._desk.failed("answer", error)
        return response

    def _steps(self, pieces: Iterator[Any], held: Held, visit: Visit) -> Iterator[Any]:
        """A streamed body, each piece made inside the boundary."""
        while True:
            with held:
                try:
                    piece = next(pieces)
                except StopIteration:
                    return
                except BaseException as error:
                    self._desk.escaped(visit, error, _STREAM)
                    raise
            yield piece

    async def _asteps(
        self, pieces: AsyncIterator[Any], held: Held, visit: Visit
    ) -> AsyncIterator[Any]:
        while True:
            with held:
                try:
                    piece = await anext(pieces)
                except StopAsyncIteration:
                    return
                except BaseException as error:
                    self._desk.escaped(visit, error, _STREAM)
                    raise
            yield piece

    def _failed_request(self, sender: Any, **_: Any) -> None:
        """Django is about to answer 500; only for requests that this middleware received."""
        del sender
        scope, error = CURRENT.get(), sys.exc_info()[1]
        visit = None if scope is None else scope.boundary
        if error is None or not isinstance(visit, Visit):
            return
        if visit.settings is self._desk.settings:
            self._desk.escaped(visit, error, _SIGNAL)


def _logged_in(request: Request) -> Any:
    """
    The key of the user who is logged in, without a trace of having looked.

    A look at ``request.session`` would add ``Vary: Cookie`` to pages that are the same for all,
    and one at ``request.user`` keeps the user, so that the view's own look would no longer add
    it to a page that is not: caches would hand it to others. So an answer that is there already
    is taken, and else the session is read in a copy. The key in it is enough; the user is not
    loaded.
    """
    from django.utils.functional import LazyObject, empty

    held = request.__dict__
    user = held.get("user")
    if isinstance(user, LazyObject) and user.__dict__.get("_wrapped", empty) is empty:
        user = held.get("_acached_user")
    if user is not None:
        return user.pk if user.is_authenticated else None
    session = held.get("session")
    if session is None:
        return None
    read = session.__dict__.get("_session_cache")
    if read is not None:
        return read.get(_SESSION_KEY)
    return held[_EARLY] if _EARLY in held else _copy_of(session).get(_SESSION_KEY)


def _copy_of(session: Any) -> Any:
    return type(session)(session.session_key)


def _as_asgi(head: Head, request: Request) -> Head:
    """An ASGI request's META lacks the scheme."""
    scope = getattr(request, "scope", None)
    if scope is not None:
        head.scheme = scope.get("scheme", "http")
    return head


def _add_cookie(response: Response, header: str) -> None:
    """A ``Set-Cookie`` value as Django keeps cookies."""
    pair, *attributes = header.split("; ")
    name, _, value = pair.partition("=")
    response.cookies[name] = value
    for attribute in attributes:
        key, has_value, text = attribute.partition("=")
        response.cookies[name][key.lower()] = text if has_value else True


def _configured() -> tuple[Client, dict[str, Any]]:
    """Client and options in the site's settings."""
    from django.conf import settings

    given = dict(getattr(settings, _SETTING, {}))
    client = given.pop("CLIENT", None)
    if isinstance(client, str):
        from django.utils.module_loading import import_string

        client = import_string(client)
    if callable(client) and not hasattr(client, "track"):
        client = client()
    if client is None:
        raise ConfigError(f"{_SETTING}['CLIENT']", None, "give a client, or where to import it")
    return client, {name.lower(): value for name, value in given.items()}
