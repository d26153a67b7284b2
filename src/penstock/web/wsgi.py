"""
WSGI: anything that is a callable of environ and start_response.

    app = AnalyticsMiddleware(app, client)

A server may iterate over the body on another thread, long after the application returned; the
boundary is entered again for each piece and for ``close``.

Source: PEP 3333.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from penstock.scoping import Held
from penstock.web.desk import Desk
from penstock.web.head import Head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from penstock.client import Client
    from penstock.web.visit import Visit

    Environ = dict[str, Any]
    StartResponse = Callable[..., Callable[[bytes], object]]
    App = Callable[[Environ, StartResponse], Iterable[bytes]]

#: Set in a request's environ by the first of several of these middlewares.
MARK = "penstock.visit"
_SOURCE = "wsgi.application"


class AnalyticsMiddleware:
    """
    Gives every request of a WSGI application its context.

    Args:
        app: The application.
        client: Whose events they are.
        options: See `penstock.web.Settings`.

    Raises:
        ConfigError: An option can never work.

    .. versionadded:: 0.1
    """

    def __init__(self, app: App, client: Client, **options: Any) -> None:
        self.app = app
        self.desk = Desk(client, **options)
        self._used = _variables(self.desk.used)
        self._find_user = self.desk.settings.user

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        visit = self._visit(environ)
        if visit is None:
            return self.app(environ, start_response)
        headers = self.desk.redirect(visit)
        if headers is not None:
            start_response("302 Found", headers)
            return [b""]
        held = Held(self.desk.scope(visit))
        try:
            with held:
                body = self.app(environ, self._answering(visit, start_response))
        except BaseException as error:
            with held:
                self.desk.escaped(visit, error, _SOURCE)
            raise
        if _is_whole(body, environ):
            return body
        return _Pieces(body, held, self.desk, visit)

    def _visit(self, environ: Environ) -> Visit | None:
        if MARK in environ:
            return None
        try:
            head = _head(environ, self._used)
            find = self._find_user
            user = None if find is None else lambda: find(environ)
        except Exception as error:  # noqa: BLE001 - an odd server's environ
            self.desk.failed("head", error)
            return None
        environ[MARK] = visit = self.desk.receive(head, user)
        return visit

    def _answering(self, visit: Visit, start_response: StartResponse) -> StartResponse:
        """*start_response*, with a cookie besides if need be."""

        def answering(
            status: str, headers: list[tuple[str, str]], *exc_info: Any
        ) -> Callable[[bytes], object]:
            return start_response(status, self._answer(visit, status, headers), *exc_info)

        return answering

    def _answer(
        self, visit: Visit, status: str, headers: list[tuple[str, str]]
    ) -> list[tuple[str, str]]:
        try:
            code = int(status[:3])
            kept = ", ".join(v for name, v in headers if name.lower() == "cache-control")
            cookies = self.desk.answer(visit, code, kept)
            if code in self.desk.settings.capture_status_codes:
                self.desk.answered_badly(visit, sys.exc_info()[1], _SOURCE)
            return [*headers, *(("Set-Cookie", one) for one in cookies)] if cookies else headers
        except Exception as error:  # noqa: BLE001 - the response goes out as it is
            self.desk.failed("answer", error)
            return headers


class _Pieces:
    """A body whose pieces are made inside the boundary."""

    def __init__(self, body: Iterable[bytes], held: Held, desk: Desk, visit: Visit) -> None:
        self._body = body
        self._held = held
        self._desk = desk
        self._visit = visit
        self._steps: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        """Itself: a server asks once."""
        return self

    def __next__(self) -> bytes:
        """The next piece; the caller's own scope is back when it has it."""
        with self._held:
            try:
                if self._steps is None:
                    self._steps = iter(self._body)
                return next(self._steps)
            except StopIteration:
                raise
            except BaseException as error:
                self._desk.escaped(self._visit, error, _SOURCE)
                raise

    def close(self) -> None:
        """Tell the application that the server is done with it."""
        close = getattr(self._body, "close", None)
        if close is None:
            return
        with self._held:
            try:
                close()
            except BaseException as error:
                self._desk.escaped(self._visit, error, _SOURCE)
                raise


def _is_whole(body: Iterable[bytes], environ: Environ) -> bool:
    """
    Whether the server is to have the body itself.

    Lists are complete, and servers look at their length; a file wrapper is known by its identity.
    """
    if type(body) in {list, tuple}:
        return True
    return "wsgi.file_wrapper" in environ and hasattr(body, "fileno")


@lru_cache(maxsize=8)
def _variables(used: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """``((variable of the environ, header), ...)``."""
    return tuple((f"HTTP_{name.upper().replace('-', '_')}", name) for name in used)


def head_of(environ: Environ, used: tuple[str, ...]) -> Head:
    """The head of a request that a WSGI-like server gave, with the headers in *used*."""
    return _head(environ, _variables(used))


def _head(environ: Environ, used: tuple[tuple[str, str], ...]) -> Head:
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return Head(
        environ.get("REQUEST_METHOD", "GET"),
        environ.get("wsgi.url_scheme", "http"),
        quote(path.encode("latin-1", "replace")) if path != "/" else path,
        environ.get("QUERY_STRING", ""),
        environ.get("REMOTE_ADDR") or "",
        {name: environ[variable] for variable, name in used if variable in environ},
    )
