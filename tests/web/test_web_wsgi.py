"""WSGI, under wsgiref: plain applications, and Flask with and without its login."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Any
from wsgiref.util import FileWrapper

import pytest
from web_servers import BROWSER, PAGE, wait_until, wsgi_server

from penstock import ConfigError
from penstock.identity import AnonymousCookie, CrossDomainLinker
from penstock.scope import CURRENT
from penstock.web.wsgi import AnalyticsMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Caught
    from penstock.testing import MemoryClient

DEVICE = "0b2c1c1e-1111-4111-8111-111111111111"
COOKIE = AnonymousCookie(secure=False)


def text() -> list[tuple[str, str]]:
    """Headers; a new list each time, since wsgiref adds to the one it is given."""
    return [("Content-Type", "text/plain")]


class BrokenError(Exception):
    """Ours to find again."""


def test_an_event_has_its_request(client: MemoryClient) -> None:
    """Over real HTTP: the same facts as under ASGI, and the cookie's id."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        client.track(event="Checkout")
        start_response("200 OK", text())
        return [b"ok"]

    with wsgi_server(AnalyticsMiddleware(app, client, cookie=COOKIE)) as server:
        answer = server.get("/caf%C3%A9?utm_source=mail&token=x")
    device = (answer.one("set-cookie") or "").partition(";")[0].partition("=")[2]
    (event,) = client.events
    assert event.anonymous_id == device
    assert event.context == {
        "ip": "127.0.0.1",
        "userAgent": BROWSER,
        "page": {
            "url": f"http://127.0.0.1:{server.port}/caf%C3%A9?utm_source=mail",
            "path": "/café",
            "search": "?utm_source=mail",
        },
        "campaign": {"source": "mail"},
        "http": {"method": "GET", "path": "/café"},
        "personless": True,
    }


class Stream:
    """A body that a server drives, with everything an iterable may have."""

    def __init__(self, client: MemoryClient, *, breaks: str = "") -> None:
        self.client = client
        self.breaks = breaks
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        self.client.track(event="first piece")
        yield b"one"
        with self.client.context(tags={"inner": True}):
            yield b"two"
            self.client.track(event="third piece")
        if self.breaks == "piece":
            raise BrokenError
        yield b"three"

    def close(self) -> None:
        self.closed += 1
        self.client.track(event="close")
        if self.breaks == "close":
            raise BrokenError


@pytest.mark.parametrize("breaks", ["", "piece", "close"])
def test_a_streamed_body_belongs_to_the_request(
    client: MemoryClient, caught: list[Caught], breaks: str
) -> None:
    """Acceptance 14: pieces and ``close`` inside the boundary, though the server drives them."""
    stream = Stream(client, breaks=breaks)

    def app(environ: Any, start_response: Any) -> Stream:
        client.set_user("u1")
        start_response("200 OK", text())
        return stream

    with wsgi_server(AnalyticsMiddleware(app, client)) as server:
        answer = server.get("/")
        wait_until(lambda: stream.closed, "close")
    assert (answer.status, answer.body[:6]) == (200, b"onetwo")
    assert stream.closed == 1
    events = {event.event: event for event in client.events}
    assert set(events) == {"first piece", "third piece", "close"}
    assert {event.user_id for event in events.values()} == {"u1"}
    assert events["third piece"].context["tags"] == {"inner": True}
    assert "tags" not in events["close"].context
    assert [type(one.error) for one in caught] == ([BrokenError] if breaks else [])
    assert all(one.context["http"]["path"] == "/" for one in caught)


def test_a_body_may_be_driven_by_any_thread(client: MemoryClient) -> None:
    """And its thread is left as it was found."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", text())
        for number in range(3):
            client.track(event=str(number))
            yield b"x"

    body: Any = AnalyticsMiddleware(app, client)({"PATH_INFO": "/"}, lambda *_: None)
    assert CURRENT.get() is None
    left = []

    def drive() -> None:
        next(body)
        left.append(CURRENT.get())

    for _ in range(3):
        thread = threading.Thread(target=drive)
        thread.start()
        thread.join()
    assert left == [None] * 3
    assert len({event.anonymous_id for event in client.events}) == 1


def test_an_error_is_captured_and_goes_on(client: MemoryClient, caught: list[Caught]) -> None:
    """The very same object, and the server answers as ever."""
    error = BrokenError("secret")

    def app(environ: Any, start_response: Any) -> list[bytes]:
        raise error

    middleware = AnalyticsMiddleware(app, client)
    with pytest.raises(BrokenError) as raised:
        middleware({"PATH_INFO": "/"}, lambda *_: None)
    assert raised.value is error
    with wsgi_server(middleware) as server:
        assert server.get("/").status == 500
    assert caught[0].error is error
    assert caught[0].options["handled"] is False
    assert CURRENT.get() is None


@pytest.mark.parametrize(
    ("error", "captured"),
    [
        (SystemExit(), 0),
        (SystemExit(0), 0),
        (SystemExit(3), 1),
        (KeyboardInterrupt(), 0),
        (GeneratorExit(), 0),
    ],
)
def test_the_end_of_a_worker_is_no_error(
    client: MemoryClient, caught: list[Caught], error: BaseException, captured: int
) -> None:
    """Control flow passes through."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        raise error

    with pytest.raises(type(error)):
        AnalyticsMiddleware(app, client)({"PATH_INFO": "/"}, lambda *_: None)
    assert len(caught) == captured


def test_a_framework_s_error_page_is_captured_as_handled(
    client: MemoryClient, caught: list[Caught]
) -> None:
    """``start_response`` with an error status, while the error is being handled."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        try:
            raise BrokenError  # noqa: TRY301 - as a framework's view does
        except BrokenError as error:
            start_response("500 No", text(), (type(error), error, error.__traceback__))
        return [b"sorry"]

    with wsgi_server(AnalyticsMiddleware(app, client)) as server:
        assert server.get("/").body == b"sorry"
    assert [(type(one.error), one.options["handled"]) for one in caught] == [(BrokenError, True)]


def test_whole_bodies_and_files_are_the_server_s(client: MemoryClient) -> None:
    """A list keeps its length, a file wrapper its identity, and ``write`` its callable."""
    whole = [b"a", b"b"]
    file = FileWrapper(io.BytesIO(b"x"))
    file.fileno = lambda: 3  # type: ignore[attr-defined]
    environ = {"PATH_INFO": "/", "wsgi.file_wrapper": FileWrapper}
    for body in (whole, (b"a",), file):
        app = AnalyticsMiddleware(lambda _e, _s, body=body: body, client)
        assert app(dict(environ), lambda *_: None) is body

    written: list[bytes] = []

    def writes(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", text())(b"written")
        return []

    AnalyticsMiddleware(writes, client)(dict(environ), lambda *_: written.append)
    assert written == [b"written"]


def test_exc_info_is_passed_only_where_it_was(client: MemoryClient) -> None:
    """Servers tell the two calls apart."""
    calls: list[tuple[Any, ...]] = []
    given = text()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", given)
        start_response("500 No", text(), (None, None, None))
        return []

    AnalyticsMiddleware(app, client)({"PATH_INFO": "/"}, lambda *call: calls.append(call))
    assert [len(call) for call in calls] == [2, 3]
    assert calls[0][1] is given


def test_a_link_is_taken_and_stripped(client: MemoryClient) -> None:
    """As under ASGI."""
    linker = CrossDomainLinker(["k" * 16], ["127.0.0.1"])

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", text())
        return [b"page"]

    middleware = AnalyticsMiddleware(app, client, cookie=COOKIE, linker=linker)
    with wsgi_server(middleware) as server:
        url = linker.decorate(f"{server.url}//evil.example/a%20b?x=1", DEVICE, "s", BROWSER)
        moved = server.get(url.removeprefix(server.url))
        assert (moved.status, moved.one("location")) == (302, "/evil.example/a%20b?x=1")
        assert moved.one("set-cookie") == COOKIE.set_header(DEVICE)
        assert server.ask("POST", "/?pk_link=x", PAGE).body == b"page"


@pytest.mark.parametrize("environ", [{}, {"PATH_INFO": "/"}, {"REMOTE_ADDR": None}])
def test_an_odd_environ_is_served(client: MemoryClient, environ: dict[str, Any]) -> None:
    """Servers leave things out."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        assert client.track(event="e")
        return [b"ok"]

    assert AnalyticsMiddleware(app, client)(environ, lambda *_: None) == [b"ok"]


# -- Flask -----------------------------------------------------------------------------------


@pytest.fixture
def flask_app(client: MemoryClient) -> Any:
    """A site with pages that work, fail, stream and refuse."""
    from flask import Flask, Response, abort, session, stream_with_context

    from penstock.web.flask import Analytics

    app = Flask("shop")
    app.secret_key = "test"

    @app.get("/")
    def index() -> str:
        client.track(event="Index")
        return "ok"

    @app.get("/login/<user>")
    def log_in(user: str) -> str:
        session["user"] = user
        return "ok"

    @app.get("/boom")
    def boom() -> str:
        raise BrokenError

    @app.get("/refused/<int:status>")
    def refused(status: int) -> str:
        abort(status)

    @app.get("/stream")
    def stream() -> Response:
        client.set_user("u1")

        @stream_with_context
        def pieces() -> Iterator[str]:
            yield "one"
            client.track(event="streamed")
            raise BrokenError

        return Response(pieces())

    analytics = Analytics(client=client, cookie=COOKIE, user=lambda: session.get("user"))
    analytics.init_app(app)
    analytics.init_app(app)
    return app


def test_flask_events_have_their_request(client: MemoryClient, flask_app: Any) -> None:
    """The user comes out of Flask's session, when the event asks."""
    with wsgi_server(flask_app) as server:
        first = server.get("/")
        session = server.get("/login/u7").all("set-cookie")
        cookie = next(c for c in session if c.startswith("session=")).partition(";")[0]
        server.get("/", {"Cookie": cookie})
    assert first.one("set-cookie") == COOKIE.set_header(client.events[0].anonymous_id or "")
    assert first.one("vary") == "Cookie", "the application's own function looked at the session"
    assert [event.user_id for event in client.events] == [None, "u7"]
    assert client.events[0].context["page"]["path"] == "/"


def test_flask_errors_are_captured_with_their_request(
    client: MemoryClient, flask_app: Any, caught: list[Caught]
) -> None:
    """Acceptance 15: what nobody handled, and not ``abort``."""
    with wsgi_server(flask_app) as server:
        for path, status in (("/boom", 500), ("/refused/404", 404), ("/refused/403", 403)):
            assert server.get(path).status == status
        assert server.get("/nowhere").status == 404
    ((error, options, scope),) = caught
    assert isinstance(error, BrokenError)
    assert (options["handled"], options["source"]) == (False, "flask.got_request_exception")
    assert scope is not None
    assert scope.context is not None
    assert scope.context["page"]["path"] == "/boom"


def test_flask_streams_have_their_request(
    client: MemoryClient, flask_app: Any, caught: list[Caught]
) -> None:
    """Acceptance 14: also the error in the middle of one."""
    with wsgi_server(flask_app) as server:
        assert server.get("/stream").status == 200
        wait_until(lambda: caught, "the error")
    client.assert_tracked("streamed", user_id="u1")
    assert isinstance(caught[0].error, BrokenError)
    assert caught[0].scope is not None
    assert caught[0].scope.user_id == "u1"


def test_flask_login_is_found_by_itself(client: MemoryClient) -> None:
    """When the first event asks, without loading a user that the page does not need."""
    from flask import Flask
    from flask_login import LoginManager, UserMixin, current_user, login_user

    from penstock.web.flask import Analytics

    class User(UserMixin):
        id = "u8"

    app = Flask("shop")
    app.secret_key = "test"
    loaded: list[str] = []

    def load(key: str) -> User:
        loaded.append(key)
        return User()

    LoginManager(app).user_loader(load)
    Analytics(app, client)

    @app.get("/login")
    def log_in() -> str:
        client.track(event="before")
        login_user(User())
        client.track(event="after")
        return "ok"

    @app.get("/same")
    def same_for_all() -> str:
        client.track(event="same")
        return "ok"

    @app.get("/own")
    def own() -> str:
        client.track(event="own")
        return f"Hello {current_user.get_id()}"

    with wsgi_server(app) as server:
        answer = server.get("/login")
        session = next(c for c in answer.all("set-cookie") if c.startswith("session="))
        cookie = {"Cookie": session.partition(";")[0]}
        pages = [server.get(page, cookie) for page in ("/same", "/own")]
    assert [(event.event, event.user_id) for event in client.events] == [
        ("before", None),
        ("after", "u8"),
        ("same", "u8"),
        ("own", "u8"),
    ]
    assert pages[1].body == b"Hello u8"
    assert [page.one("vary") for page in pages] == ["Cookie"] * 2, "Flask-Login itself looks"
    assert loaded == ["u8"], "only for the page that asks"


def test_flask_without_a_client_is_refused() -> None:
    """When it is set up."""
    from flask import Flask

    from penstock.web.flask import Analytics

    with pytest.raises(ConfigError, match="client"):
        Analytics(Flask("shop"))
