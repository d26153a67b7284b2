"""
What the middleware costs a request that captures nothing, beside the bare application.

A request as a browser sends it, with a cookie and behind a trusted proxy; the application answers
two bytes. It is called directly, in turns with and without the middleware: a socket's noise is a
hundred times what is measured here. The last row is not a request: one `track()` inside a
request's scope, beside the same call with everything given and no scope.
"""

from __future__ import annotations

import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from parts import Bar, Cell, Results, Scale, Table, at_most, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock import Client

TITLE = "9. Cost of the middleware (µs per request)"
#: ``{variant: package it needs}``; packages that are missing here leave their row out.
VARIANTS = {
    "asgi": "",
    "wsgi": "",
    "starlette": "starlette",
    "flask": "flask",
    "django": "django",
    "scope": "",
}
FIELDS = ("bare", "p50", "p99")
HEADERS = {
    "host": "shop.example",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36",
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "accept-language": "de-AT,de;q=0.9,en;q=0.5",
    "accept-encoding": "gzip, deflate, br, zstd",
    "cookie": "anonymous_id=0b2c1c1e-1111-4111-8111-111111111111; theme=dark; cart=3",
    "referer": "https://www.example.org/list?page=2",
    "sec-fetch-dest": "document",
    "sec-fetch-mode": "navigate",
    "sec-fetch-site": "cross-site",
    "sec-ch-ua": '"Chromium";v="130"',
    "upgrade-insecure-requests": "1",
    "x-forwarded-for": "203.0.113.9",
    "x-forwarded-proto": "https",
    "connection": "keep-alive",
}
QUERY = "utm_source=mail&utm_campaign=spring&page=2"


def cells(sdk: str, scale: Scale) -> Iterator[Cell]:
    """A process for each kind of application that is installed here."""
    if sdk != "penstock":
        return
    for variant, package in VARIANTS.items():
        if not package or find_spec(package) is not None:
            options = {"count": scale.of(20_000, 50), "variant": variant}
            yield Cell("web", sdk, variant, options)


def measure(name: str, url: str, count: int, *, variant: str) -> dict[str, Any]:
    """Percentiles of both, in turns, and what lies between their medians."""
    from sdks import load

    sdk = load(name, url)
    client: Client = sdk._client
    bare, ours = globals()[f"_{variant}"](client)
    times: tuple[list[int], list[int]] = ([], [])
    for _ in range(max(count // 10, 10)):
        bare()
        ours()
    clock = time.perf_counter_ns
    for _ in range(count):
        for call, kept in ((bare, times[0]), (ours, times[1])):
            began = clock()
            call()
            kept.append(clock() - began)
    micros = [[sorted(kept)[int(count * q)] / 1000 for q in (0.5, 0.99)] for kept in times]
    return {
        "bare": micros[0][0],
        "p50": micros[1][0] - micros[0][0],
        "p99": micros[1][1] - micros[0][1],
    }


Call = "Callable[[], object]"


def _options() -> dict[str, Any]:
    from penstock.identity import AnonymousCookie

    return {"cookie": AnonymousCookie(), "trusted_proxies": ["10.0.0.0/8"]}


def _asgi(client: Client) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    return _both_asgi(app, client)


def _starlette(client: Client) -> Any:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def page(request: Any) -> PlainTextResponse:
        return PlainTextResponse("ok")

    return _both_asgi(Starlette(routes=[Route("/checkout", page)]), client)


def _both_asgi(app: Any, client: Client) -> Any:
    from penstock.web.asgi import AnalyticsMiddleware

    raw = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    def calling(served: Any) -> Any:
        def call() -> None:
            scope = {
                "type": "http",
                "method": "GET",
                "scheme": "http",
                "path": "/checkout",
                "raw_path": b"/checkout",
                "query_string": QUERY.encode(),
                "headers": raw,
                "client": ("10.0.0.1", 4711),
            }
            coroutine = served(scope, receive, send)
            try:
                while True:
                    coroutine.send(None)
            except StopIteration:
                pass

        return call

    return calling(app), calling(AnalyticsMiddleware(app, client, **_options()))


def _wsgi(client: Client) -> Any:
    from penstock.web.wsgi import AnalyticsMiddleware

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    return _calling(app), _calling(AnalyticsMiddleware(app, client, **_options()))


def _flask(client: Client) -> Any:
    from flask import Flask

    from penstock.web.flask import Analytics

    made = [Flask("bare"), Flask("ours")]
    for app in made:
        app.get("/checkout")(lambda: "ok")
    Analytics(made[1], client, **_options())
    return _calling(made[0]), _calling(made[1])


def page(request: Any) -> Any:
    """Django's view."""
    from django.http import HttpResponse

    return HttpResponse("ok")


def _django(client: Client) -> Any:
    import sys

    import django
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.urls import path

    sys.modules[__name__].urlpatterns = [path("checkout", page)]  # type: ignore[attr-defined]
    named = {name.upper(): value for name, value in _options().items()}
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=[],
        ANALYTICS={"CLIENT": client, **named},
    )
    django.setup()
    bare = WSGIHandler()
    settings.MIDDLEWARE = ["penstock.web.django.AnalyticsMiddleware"]
    return _calling(bare), _calling(WSGIHandler())


def _calling(app: Any) -> Any:
    import io

    fixed = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/checkout",
        "QUERY_STRING": QUERY,
        "REMOTE_ADDR": "10.0.0.1",
        "SERVER_NAME": "shop.example",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.errors": io.StringIO(),
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in HEADERS.items()},
    }

    def start_response(status: str, headers: Any, exc_info: Any = None) -> None:
        assert status.startswith("200")

    def call() -> None:
        body = app({**fixed, "wsgi.input": io.BytesIO()}, start_response)
        for _ in body:
            pass
        close = getattr(body, "close", None)
        if close is not None:
            close()

    return call


def _scope(client: Client) -> Any:
    context = {
        "ip": "203.0.113.9",
        "userAgent": HEADERS["user-agent"],
        "page": {"path": "/checkout"},
    }
    opened = client.request_context(
        user_id="u1", ip="203.0.113.9", user_agent=HEADERS["user-agent"], path="/checkout"
    )
    held = client.use_context(opened.__enter__())
    opened.__exit__(None, None, None)
    properties = {"order_id": "8841", "revenue": 99.99}

    def bare() -> None:
        client.track("u1", "Order Completed", properties, context=context)

    def ours() -> None:
        with held:
            client.track(None, "Order Completed", properties)

    return bare, ours


def tables(results: Results) -> Iterator[Table]:
    """A row per kind of application."""
    header = ["application", "bare p50", "middleware p50", "middleware p99", "spread"]
    rows = []
    for sdk, variant in results.runs:
        row = [
            f"penstock, {variant}",
            *(shown(results.median(sdk, variant, key)) for key in FIELDS),
        ]
        rows.append([*row, results.spread(sdk, variant, "p50")])
    yield Table(header, rows)


def bars(results: Results) -> list[Bar]:
    """Issue 6: at most 25 µs at the median."""
    found: list[Bar] = []
    for variant in VARIANTS:
        if variant != "scope":
            cost = results.median("penstock", variant, "p50")
            found += at_most(f"middleware, {variant}, p50", 25, cost, "µs")
    return found
