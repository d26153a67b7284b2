"""ASGI, under uvicorn: an application of one's own, Starlette and FastAPI."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import BackgroundTasks, FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from web_servers import BROWSER, PAGE, Answer, asgi_server, wait_until

from penstock.identity import AnonymousCookie, CrossDomainLinker
from penstock.scope import CURRENT
from penstock.web.asgi import AnalyticsMiddleware

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conftest import Caught
    from penstock.testing import MemoryClient

DEVICE = "0b2c1c1e-1111-4111-8111-111111111111"
COOKIE = AnonymousCookie(secure=False)


def starlette(client: MemoryClient, *routes: Any, **options: Any) -> Starlette:
    """An application with our middleware, as its documentation says to add one."""
    ours = Middleware(AnalyticsMiddleware, client=client, **options)
    return Starlette(routes=list(routes), middleware=[ours])


def test_an_event_has_its_request(client: MemoryClient) -> None:
    """Over real HTTP: address, agent, URL, campaign, and an id that is the cookie's."""

    async def checkout(_: Any) -> PlainTextResponse:
        client.track(event="Checkout")
        return PlainTextResponse("ok")

    app = starlette(client, Route("/checkout", checkout), cookie=COOKIE)
    with asgi_server(app) as server:
        answer = server.get("/checkout?utm_source=mail&token=x")
        assert (answer.status, answer.body) == (200, b"ok")
        device = (answer.one("set-cookie") or "").partition(";")[0].partition("=")[2]
        server.get("/checkout", {"Cookie": f"anonymous_id={device}"})
    first, second = client.events
    assert first.context == {
        "ip": "127.0.0.1",
        "userAgent": BROWSER,
        "page": {
            "url": f"http://127.0.0.1:{server.port}/checkout?utm_source=mail",
            "path": "/checkout",
            "search": "?utm_source=mail",
        },
        "campaign": {"source": "mail"},
        "http": {"method": "GET", "path": "/checkout"},
        "personless": True,
    }
    assert first.anonymous_id == second.anonymous_id == device


def test_a_user_set_in_a_thread_pool_is_seen_by_the_middleware(client: MemoryClient) -> None:
    """Acceptance 13: FastAPI runs plain functions there; the background task sees it, too."""
    app = FastAPI()

    def later() -> None:
        client.track(event="background")

    @app.get("/")
    def endpoint(tasks: BackgroundTasks) -> dict[str, bool]:
        client.set_user("u1")
        tasks.add_task(later)
        return {"ok": True}

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)
        if scope["type"] == "http":
            client.track(event="after")

    with asgi_server(AnalyticsMiddleware(outer, client)) as server:
        assert server.get("/").status == 200
        wait_until(lambda: len(client.events) == 2, "both events")
    assert [(event.event, event.user_id) for event in client.events] == [
        ("background", "u1"),
        ("after", "u1"),
    ]
    assert {event.context["http"]["status"] for event in client.events} == {200}


def test_concurrent_requests_are_isolated(client: MemoryClient) -> None:
    """Acceptance 13: thirty at once, interleaved by the loop."""

    async def endpoint(request: Any) -> PlainTextResponse:
        number = request.query_params["n"]
        client.set_user(number)
        await asyncio.sleep(0.01)  # the others run meanwhile: that is the subject
        client.track(event=number)
        return PlainTextResponse(number)

    import concurrent.futures

    with asgi_server(starlette(client, Route("/", endpoint))) as server:
        with concurrent.futures.ThreadPoolExecutor(30) as pool:
            list(pool.map(lambda n: server.get(f"/?n={n}"), range(30)))
    assert len(client.events) == 30
    assert all(event.event == event.user_id for event in client.events)


def test_the_user_is_found_by_the_scope(client: MemoryClient) -> None:
    """``user=`` is called with what the application's own middleware put there."""

    async def endpoint(request: Any) -> PlainTextResponse:
        request.scope["user_key"] = 42
        client.track(event="e")
        return PlainTextResponse("ok")

    app = starlette(client, Route("/", endpoint), user=lambda scope: scope["user_key"])
    with asgi_server(app) as server:
        server.get("/")
    client.assert_tracked("e", user_id="42")


# -- errors ----------------------------------------------------------------------------------


class BrokenError(Exception):
    """Ours to find again."""


async def fails(_: Any) -> None:
    raise BrokenError("secret")


async def missing(_: Any) -> None:
    raise HTTPException(404)


async def refused(_: Any) -> None:
    raise HTTPException(403)


async def unavailable(_: Any) -> None:
    raise HTTPException(503)


async def plain_500(_: Any) -> PlainTextResponse:
    return PlainTextResponse("no", 500)


async def hangs_up(_: Any) -> None:
    raise asyncio.CancelledError


def test_an_error_is_captured_and_goes_on(client: MemoryClient, caught: list[Caught]) -> None:
    """Starlette answers 500 as ever; the error has its request's context."""
    with asgi_server(starlette(client, Route("/", fails))) as server:
        assert server.get("/?utm_source=mail").status == 500
    ((error, options, scope),) = caught
    assert isinstance(error, BrokenError)
    assert options["hint"]["request"].path == "/"
    assert {name: options[name] for name in ("handled", "mechanism_type", "source")} == {
        "handled": False,
        "mechanism_type": "middleware",
        "source": "asgi.application",
    }
    assert scope is not None
    assert scope.context is not None
    assert scope.context["campaign"] == {"source": "mail"}
    assert scope.context["http"]["status"] == 500


@pytest.mark.parametrize(("endpoint", "status"), [(missing, 404), (refused, 403), (plain_500, 500)])
def test_what_is_no_error_is_not_captured(
    client: MemoryClient, caught: list[Caught], endpoint: Any, status: int
) -> None:
    """Acceptance 15: 404, 403, and a 500 that the application chose to answer."""
    with asgi_server(starlette(client, Route("/", endpoint))) as server:
        assert server.get("/").status == status
    assert caught == []


def test_a_server_error_by_exception_is_captured_as_handled(
    client: MemoryClient, caught: list[Caught]
) -> None:
    """Acceptance 15: the framework resolves it inside; it is seen where the response begins."""
    app = FastAPI()

    @app.get("/async")
    async def unavailable_async() -> None:
        raise HTTPException(503, "no stock")

    @app.get("/sync")
    def unavailable_sync() -> None:
        raise HTTPException(503, "no stock")

    app.add_middleware(AnalyticsMiddleware, client=client)
    with asgi_server(app) as server:
        assert [server.get(path).status for path in ("/async", "/sync")] == [503, 503]
    assert [type(one.error) for one in caught] == [HTTPException, HTTPException]
    assert {one.options["handled"] for one in caught} == {True}


@pytest.mark.parametrize(
    ("error", "captured"),
    [
        (asyncio.CancelledError(), 0),
        (ClientDisconnect(), 0),
        (BaseExceptionGroup("", [asyncio.CancelledError(), ClientDisconnect()]), 0),
        (BaseExceptionGroup("", [asyncio.CancelledError(), KeyError()]), 1),
    ],
    ids=["cancelled", "hung up", "both", "with an error"],
)
def test_what_is_given_up_is_not_captured(
    client: MemoryClient, caught: list[Caught], error: BaseException, captured: int
) -> None:
    """Acceptance 15: a request that is cancelled, or whose client left, is no error."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    async def run() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        with pytest.raises(type(error)) as raised:
            await AnalyticsMiddleware(app, client)(scope, None, None)  # type: ignore[arg-type]
        assert raised.value is error

    asyncio.run(run())
    assert len(caught) == captured


def test_an_error_in_the_middle_of_a_stream_has_its_context(
    client: MemoryClient, caught: list[Caught]
) -> None:
    """Acceptance 14: the body is made inside the boundary, its error is the request's."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        client.track(event="streamed")
        raise BrokenError

    async def endpoint(_: Any) -> StreamingResponse:
        client.set_user("u1")
        return StreamingResponse(pieces())

    with asgi_server(starlette(client, Route("/", endpoint))) as server:
        assert server.get("/").status == 200
    client.assert_tracked("streamed", user_id="u1")
    (one,) = caught
    found = one.error
    while isinstance(found, BaseExceptionGroup):  # Starlette streams in a task group
        (found,) = found.exceptions
    assert isinstance(found, BrokenError)
    assert one.scope is not None
    assert one.scope.user_id == "u1"


def test_the_loop_s_errors_are_captured_when_asked(
    client: MemoryClient, caught: list[Caught]
) -> None:
    """Of a callback that nobody waits for, in the server's own loop."""

    def fails_later() -> None:
        raise BrokenError

    async def endpoint(_: Any) -> PlainTextResponse:
        asyncio.get_running_loop().call_soon(fails_later)
        return PlainTextResponse("ok")

    with asgi_server(starlette(client, Route("/", endpoint), asyncio_errors=True)) as server:
        for _ in range(2):
            assert server.get("/").status == 200
        wait_until(lambda: len(client.events) == 2, "both errors")
    assert {event.type for event in client.events} == {"exception_event"}
    assert caught == [], "the tracker takes these by itself"


def test_errors_can_be_left_alone(client: MemoryClient, caught: list[Caught]) -> None:
    """``capture_errors=False``, and a choice of statuses."""
    with asgi_server(starlette(client, Route("/", fails), capture_errors=False)) as server:
        server.get("/")
    choosy = starlette(client, Route("/", unavailable), capture_status_codes={500})
    with asgi_server(choosy) as server:
        assert server.get("/").status == 503
    assert caught == []


# -- the host comes first --------------------------------------------------------------------


def same(one: Answer, other: Answer) -> bool:
    """Whether two answers are one, but for the date."""
    kept = [[pair for pair in a.headers if pair[0] != "date"] for a in (one, other)]
    return (one.status, one.body) == (other.status, other.body) and kept[0] == kept[1]


def test_responses_are_not_changed(client: MemoryClient) -> None:
    """Byte for byte, for several kinds of them, where no cookie is to be set."""

    async def repeated(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"x-odd", b"\xff")]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    routes = [Route("/", plain_500), Route("/404", missing), Route("/boom", fails)]
    bare = Starlette(routes=routes)
    for app, path in ((bare, "/"), (bare, "/404"), (bare, "/boom"), (bare, "/no"), (repeated, "/")):
        answers = []
        for served in (app, AnalyticsMiddleware(app, client, cookie=COOKIE)):
            with asgi_server(served, lifespan="off") as server:
                answers.append(server.get(path, {"Cookie": f"anonymous_id={DEVICE}"}))
        assert same(*answers), (path, answers)


def test_the_application_s_own_headers_are_not_touched(client: MemoryClient) -> None:
    """A list it sends again and again does not collect cookies."""
    headers = [(b"content-length", b"2")]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    with asgi_server(AnalyticsMiddleware(app, client, cookie=COOKIE), lifespan="off") as server:
        answers = [server.get("/") for _ in range(3)]
    assert headers == [(b"content-length", b"2")]
    assert len({answer.one("set-cookie") for answer in answers}) == 3


@pytest.mark.parametrize("breaks", ["receive", "head", "redirect", "answer", "escaped"])
def test_a_failure_of_ours_is_not_the_hosts(
    client: MemoryClient,
    caught: list[Caught],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    breaks: str,
) -> None:
    """Whatever breaks inside the middleware, the request is served as if it were not there."""
    from penstock.web import asgi
    from penstock.web import desk as module

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("secret of ours")

    targets: dict[str, tuple[Any, str]] = {
        "receive": (module, "Visit"),
        "head": (asgi, "_head"),
        "redirect": (CrossDomainLinker, "arrival"),
        "answer": (module.Visit, "set_cookies"),
        "escaped": (module, "report"),
    }
    linker = CrossDomainLinker(["k" * 16], ["a.example"])
    app = starlette(
        client, Route("/", plain_500), Route("/boom", fails), cookie=COOKIE, linker=linker
    )
    monkeypatch.setattr(*targets[breaks], broken)
    with asgi_server(app) as server:
        assert server.get("/?pk_link=x").status in {500, 302}
        assert server.get("/boom").status == 500
    told = [r for r in caplog.records if r.name == "penstock"]
    assert told
    assert all("secret" not in record.getMessage() for record in told)


def test_the_scope_ends_with_the_request(client: MemoryClient) -> None:
    """Nothing is current afterwards, in the server's task."""

    async def run() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            inside.append(CURRENT.get())

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        await AnalyticsMiddleware(app, client)(scope, None, None)  # type: ignore[arg-type]
        assert CURRENT.get() is None

    inside: list[Any] = []
    asyncio.run(run())
    (scope,) = inside
    assert scope is not None


def test_mounted_twice_it_acts_once(client: MemoryClient, caught: list[Caught]) -> None:
    """One cookie and one error, whoever added it a second time."""
    inner = AnalyticsMiddleware(Starlette(routes=[Route("/", fails)]), client, cookie=COOKIE)
    with asgi_server(AnalyticsMiddleware(inner, client, cookie=COOKIE)) as server:
        server.get("/")
    assert len(caught) == 1


# -- connections of other kinds --------------------------------------------------------------


def test_the_end_of_the_server_waits_for_delivery(client: MemoryClient) -> None:
    """On ``lifespan.shutdown``, after the application's own."""
    import contextlib

    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        yield
        client.track("u1", "stopping")

    app = Starlette(lifespan=lifespan, middleware=[Middleware(AnalyticsMiddleware, client=client)])
    with asgi_server(app, lifespan="on"):
        pass
    assert client.ledger().delivered == 1


def test_a_websocket_has_a_context_and_no_cookie(client: MemoryClient) -> None:
    """A handshake over a real socket."""

    async def talk(websocket: Any) -> None:
        await websocket.accept()
        client.track(event="connected")
        await websocket.close()

    app = starlette(client, WebSocketRoute("/ws", talk), cookie=COOKIE)
    with asgi_server(app) as server, socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.settimeout(20)
        sock.sendall(
            b"GET /ws HTTP/1.1\r\nHost: shop.example\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\nUser-Agent: Browser/1\r\n\r\n"
        )
        answer = sock.recv(4096)
        wait_until(lambda: client.events, "the event")
    assert answer.startswith(b"HTTP/1.1 101")
    assert b"set-cookie" not in answer.lower()
    assert client.events[0].context["page"]["url"] == "http://shop.example/ws"


# -- links -----------------------------------------------------------------------------------


@pytest.fixture
def linker() -> CrossDomainLinker:
    return CrossDomainLinker(["k" * 16], ["127.0.0.1"])


def landing(client: MemoryClient) -> Any:
    async def endpoint(_: Any) -> PlainTextResponse:
        client.track(event="landed")
        return PlainTextResponse("ok")

    return Route("/{path:path}", endpoint, methods=["GET", "POST", "HEAD"])


def test_a_link_s_id_becomes_the_cookie_s(client: MemoryClient, linker: CrossDomainLinker) -> None:
    """A redirect to the same page without the token, which then knows the visitor."""
    with asgi_server(starlette(client, landing(client), cookie=COOKIE, linker=linker)) as server:
        url = linker.decorate(f"{server.url}/a%20b?x=1&y=%2F", DEVICE, "shop.example", BROWSER)
        path = url.removeprefix(server.url)
        moved = server.get(path)
        assert (moved.status, moved.one("location")) == (302, "/a%20b?x=1&y=%2F")
        assert moved.one("cache-control") == "no-store"
        assert moved.one("referrer-policy") == "no-referrer"
        assert moved.one("set-cookie") == COOKIE.set_header(DEVICE)
        server.get(moved.one("location") or "", {"Cookie": f"anonymous_id={DEVICE}"})
        again = server.get(path)
        assert (again.status, again.one("location")) == (302, "/a%20b?x=1&y=%2F")
        assert DEVICE not in (again.one("set-cookie") or ""), "Acceptance 18: reused"
    (event,) = client.events
    assert event.anonymous_id == DEVICE


@pytest.mark.parametrize(
    ("method", "headers", "moved"),
    [
        ("POST", {}, False),
        ("GET", {"Sec-Fetch-Dest": "empty"}, False),
        ("HEAD", {}, True),
    ],
)
def test_only_pages_are_redirected(
    client: MemoryClient,
    linker: CrossDomainLinker,
    method: str,
    headers: dict[str, str],
    moved: bool,
) -> None:
    """Never a POST, never a script's request."""
    with asgi_server(starlette(client, landing(client), cookie=COOKIE, linker=linker)) as server:
        answer = server.ask(method, "/?pk_link=x", {**PAGE, **headers})
    assert (answer.status == 302) is moved


@pytest.mark.parametrize(
    "path",
    ["//evil.example/", "/%5Cevil.example", "///evil.example", "/\\evil.example", "/%0d%0aX:y"],
)
def test_no_request_makes_an_open_redirect(
    client: MemoryClient, linker: CrossDomainLinker, path: str
) -> None:
    """Acceptance 18: with an invalid token, too; the location stays on this host."""
    with asgi_server(starlette(client, landing(client), cookie=COOKIE, linker=linker)) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.settimeout(20)
            head = "".join(f"{name}: {value}\r\n" for name, value in PAGE.items())
            sock.sendall(f"GET {path}?pk_link=x HTTP/1.0\r\nHost: a\r\n{head}\r\n".encode())
            answer = b""
            while piece := sock.recv(4096):
                answer += piece
    lines = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert b" 302 " in lines[0] + b" "
    (location,) = [line[10:] for line in lines if line.lower().startswith(b"location: ")]
    assert location.startswith(b"/")
    assert not location.startswith((b"//", b"/\\"))
    assert not any(line.lower().startswith(b"x:") for line in lines)


def test_an_id_that_is_here_already_wins(client: MemoryClient) -> None:
    """Or is merged with the other, if that is wanted: once."""
    own = "11111111-1111-4111-8111-111111111111"
    for policy, aliases in (("keep", 0), ("alias", 1)):
        client.clear()
        linker = CrossDomainLinker(["k" * 16], ["127.0.0.1"], on_conflict=policy)
        app = starlette(client, landing(client), cookie=COOKIE, linker=linker)
        with asgi_server(app) as server:
            url = linker.decorate(f"{server.url}/", DEVICE, "shop.example", BROWSER)
            path = url.removeprefix(server.url)
            for _ in range(2):
                moved = server.get(path, {"Cookie": f"anonymous_id={own}"})
                assert moved.one("set-cookie") is None
        found = [(event.type, event.user_id, event.previous_id) for event in client.events]
        assert found == [("alias", own, DEVICE)] * aliases


# -- hostile requests ------------------------------------------------------------------------


def test_hostile_headers_over_real_http(client: MemoryClient, caught: list[Caught]) -> None:
    """Huge, binary, spoofed, twice: served, and what is stored is clean."""

    async def endpoint(_: Any) -> PlainTextResponse:
        client.track(event="e")
        return PlainTextResponse("ok")

    hostile: list[dict[str, Any]] = [
        {"Cookie": "x=y; " * 10_000},
        {"User-Agent": b"\xff\xfe\x01" * 50},
        {"X-Forwarded-For": "1.1.1.1, <script>", "Forwarded": "for=1.1.1.1"},
        {"Host": "evil.example/<script>"},
        {"Referer": b"https://\xc3\xa9.example/\x7f"},
        {"X-POSTHOG-DISTINCT-ID": "u-victim" * 1000},
        {"Accept-Language": "\x01" * 10},
    ]
    app = starlette(client, Route("/", endpoint), cookie=COOKIE)
    with asgi_server(app) as server:
        answers = [server.get("/", headers) for headers in hostile]
    assert {answer.status for answer in answers} <= {200, 400}
    served = [answer for answer in answers if answer.status == 200]
    assert len(client.events) == len(served) > 0
    for event in client.events:
        told = str(event.context)
        assert "<script>" not in told
        assert "1.1.1.1" not in told
        assert "\\x" not in told
        assert len(event.anonymous_id or "") <= 200
        assert event.user_id is None
    assert caught == []
