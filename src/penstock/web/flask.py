"""
Flask.

    analytics = Analytics(app, client)          # or analytics.init_app(app)

The application's WSGI side is wrapped, so a streamed body belongs to the request. Errors come by
Flask's signal ``got_request_exception``, which is sent for what nobody handled and not for
``abort(404)``.

Source: the Flask documentation, "Signals" and "Application Factories".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.errors import ConfigError
from penstock.scope import current_boundary
from penstock.web.visit import Visit
from penstock.web.wsgi import AnalyticsMiddleware

if TYPE_CHECKING:
    from penstock.client import Client

_SIGNAL = "flask.got_request_exception"
_NAME = "penstock"


class Analytics:
    """
    Gives every request of a Flask application its context.

    With Flask-Login the user is found by itself, when the first event asks.

    Args:
        app: The application; or call `init_app` later.
        client: Whose events they are.
        options: See `penstock.web.Settings`. ``user`` is called with nothing: Flask's
            ``session`` and ``g`` are there.

    Raises:
        ConfigError: There is no client, or an option can never work.

    .. versionadded:: 0.1
    """

    def __init__(self, app: Any = None, client: Client | None = None, **options: Any) -> None:
        self.client = client
        self._options = options
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Any, client: Client | None = None) -> None:
        """Wrap *app*; a second time does nothing."""
        from flask import got_request_exception

        client = client or self.client
        if client is None:
            raise ConfigError("client", None, "give one to Analytics or to init_app")
        if _NAME in app.extensions:
            return
        own = self._options.get("user")
        find = _flask_login if own is None else own
        options = {**self._options, "user": lambda _environ: find()}
        middleware = AnalyticsMiddleware(app.wsgi_app, client, **options)
        app.extensions[_NAME] = self
        app.wsgi_app = middleware

        def failed(_app: Any, exception: BaseException, **_: Any) -> None:
            boundary = current_boundary()
            visit = boundary if isinstance(boundary, Visit) else None
            middleware.desk.escaped(visit, exception, _SIGNAL)

        got_request_exception.connect(failed, app, weak=False)


def _session() -> Any:
    """The session of the current request; Flask's own ``session`` notes that it was asked for."""
    from flask import globals as contexts

    for name in ("request_ctx", "app_ctx"):  # from Flask 3.2 on the second has it
        context: Any = vars(contexts).get(name)
        if context:
            held = vars(context._get_current_object())  # noqa: SLF001 - as werkzeug documents it
            found = held.get("_session", held.get("session"))
            if found is not None:
                return found
    return None


def _flask_login() -> Any:
    """
    The id of the user who is logged in, where the application uses Flask-Login.

    Without a trace of having looked: a user that Flask-Login was made to load would be there for
    the view, whose own look would no longer add ``Vary: Cookie`` to the response.
    """
    from flask import current_app, g, has_app_context

    if not has_app_context() or not hasattr(current_app, "login_manager"):
        return None
    user = g.get("_login_user")
    if user is not None:
        return user.get_id() if user.is_authenticated else None
    session = _session()
    return dict.get(session, "_user_id") if isinstance(session, dict) else None
