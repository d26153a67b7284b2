"""Django, with its own sessions and users, under wsgiref and under uvicorn."""

from __future__ import annotations

import asyncio
import tempfile
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.conf import settings
from django.http import (
    FileResponse,
    Http404,
    HttpResponse,
    HttpResponseBadRequest,
    StreamingHttpResponse,
)
from django.test.utils import override_settings
from django.urls import path
from web_servers import BROWSER, PAGE, asgi_server, wait_until, wsgi_server

from penstock import ConfigError
from penstock.identity import AnonymousCookie, CrossDomainLinker
from penstock.web.django import AnalyticsMiddleware

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from conftest import Caught
    from penstock.testing import MemoryClient

DEVICE = "0b2c1c1e-1111-4111-8111-111111111111"
COOKIE = AnonymousCookie(secure=False)
#: The client of the test that runs; views are functions of a module.
CLIENT: list[Any] = []


class BrokenError(Exception):
    """Ours to find again."""


def track(name: str) -> None:
    CLIENT[0].track(event=name)


def index(request: Any) -> HttpResponse:
    track("index")
    return HttpResponse("ok")


def own(request: Any) -> HttpResponse:
    track("own")
    return HttpResponse(f"Hello {request.user.pk}")


async def aown(request: Any) -> HttpResponse:
    track("aown")
    user = await request.auser()
    return HttpResponse(f"Hello {user.pk}")


def quiet(request: Any) -> HttpResponse:
    return HttpResponse("ok")


def log_in(request: Any, name: str) -> HttpResponse:
    from django.contrib.auth import get_user_model, login

    login(request, get_user_model().objects.get(username=name))
    track("login")
    return HttpResponse("ok")


def boom(request: Any) -> HttpResponse:
    raise BrokenError("secret")


def missing(request: Any) -> HttpResponse:
    raise Http404


def forbidden(request: Any) -> HttpResponse:
    from django.core.exceptions import PermissionDenied

    raise PermissionDenied


def suspicious(request: Any) -> HttpResponse:
    from django.core.exceptions import SuspiciousOperation

    raise SuspiciousOperation


def bad(request: Any) -> HttpResponse:
    return HttpResponseBadRequest("no")


def stream(request: Any) -> StreamingHttpResponse:
    CLIENT[0].set_user("u1")

    def pieces() -> Iterator[bytes]:
        yield b"one"
        track("streamed")
        raise BrokenError

    return StreamingHttpResponse(pieces())


async def astream(request: Any) -> StreamingHttpResponse:
    CLIENT[0].set_user("u1")

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.sleep(0)  # suspended in the request
        track("streamed")
        raise BrokenError

    return StreamingHttpResponse(pieces())


def file(request: Any) -> FileResponse:
    return FileResponse(open(__file__, "rb"))  # noqa: PTH123 - Django closes it


async def aindex(request: Any) -> HttpResponse:
    await asyncio.sleep(0)  # suspended in the request
    track("aindex")
    return HttpResponse("ok")


async def aboom(request: Any) -> HttpResponse:
    raise BrokenError("secret")


def public(request: Any) -> HttpResponse:
    return HttpResponse("ok", headers={"Cache-Control": "public, max-age=60"})


urlpatterns = [
    path("", index),
    path("quiet", quiet),
    path("own", own),
    path("aown", aown),
    path("login/<name>", log_in),
    path("boom", boom),
    path("missing", missing),
    path("forbidden", forbidden),
    path("suspicious", suspicious),
    path("bad", bad),
    path("stream", stream),
    path("astream", astream),
    path("file", file),
    path("aindex", aindex),
    path("aboom", aboom),
    path("public", public),
]

OTHERS = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
OURS = "penstock.web.django.AnalyticsMiddleware"


@pytest.fixture(scope="module", autouse=True)
def _site(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Django is configured once per process."""
    if not settings.configured:
        settings.configure(
            SECRET_KEY="test",
            ALLOWED_HOSTS=["127.0.0.1", "shop.example"],
            ROOT_URLCONF=__name__,
            INSTALLED_APPS=[
                "django.contrib.auth",
                "django.contrib.contenttypes",
                "django.contrib.sessions",
            ],
            SESSION_ENGINE="django.contrib.sessions.backends.db",
            DATABASES={"default": _database(tmp_path_factory)},
            USE_TZ=True,
            LOGGING_CONFIG=None,
        )  # fmt: skip
        django.setup()
        from django.contrib.auth import get_user_model
        from django.core.management import call_command
        from django.db import connections

        call_command("migrate", verbosity=0)
        get_user_model().objects.create_user("kim", pk=77)
        connections.close_all()


def _database(factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = factory.mktemp("django") / "site.sqlite3"
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": place}


class _Forgotten(tempfile.SpooledTemporaryFile):  # type: ignore[type-arg]
    """Django leaves a request's body open when a stream breaks under ASGI."""

    def __del__(self) -> None:
        self.close()


@pytest.fixture(params=["wsgi", "asgi"])
def site(
    request: pytest.FixtureRequest, client: MemoryClient, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Serve the site with these options, by either of Django's sides."""
    from contextlib import contextmanager

    CLIENT[:] = [client]
    monkeypatch.setattr("django.core.handlers.asgi.tempfile.SpooledTemporaryFile", _Forgotten)
    linker = CrossDomainLinker(["k" * 16], ["127.0.0.1"])

    @contextmanager
    def serve(middleware: Any = (OURS, *OTHERS), **options: Any) -> Iterator[Any]:
        from django.core.handlers.asgi import ASGIHandler
        from django.core.handlers.wsgi import WSGIHandler
        from django.db import connections

        given: dict[str, Any] = {"CLIENT": client, "COOKIE": COOKIE, "LINKER": linker}
        with override_settings(MIDDLEWARE=list(middleware), ANALYTICS={**given, **options}):
            if request.param == "wsgi":
                with wsgi_server(WSGIHandler()) as server:
                    server.kind = "wsgi"
                    server.linker = linker
                    yield server
            else:
                with asgi_server(ASGIHandler(), lifespan="off") as server:
                    server.kind = "asgi"
                    server.linker = linker
                    yield server
        connections.close_all()

    return serve


def test_an_event_has_its_request(client: MemoryClient, site: Any) -> None:
    """Over real HTTP, and the page's cookie is the event's id."""
    with site() as server:
        answer = server.get("/?utm_source=mail&token=x")
        paths = ["/aindex"] if server.kind == "asgi" else []
        for other in paths:
            server.get(other)
    first = client.events[0]
    (cookie,) = answer.all("set-cookie")
    assert sorted(cookie.split("; ")) == sorted(
        COOKIE.set_header(first.anonymous_id or "").split("; ")
    )
    assert first.context == {
        "ip": "127.0.0.1",
        "userAgent": BROWSER,
        "page": {
            "url": f"http://127.0.0.1:{server.port}/?utm_source=mail",
            "path": "/",
            "search": "?utm_source=mail",
        },
        "campaign": {"source": "mail"},
        "http": {"method": "GET", "path": "/"},
        "personless": True,
    }
    assert [event.event for event in client.events[1:]] == [path[1:] for path in paths]


def test_the_user_is_found_late_and_leaves_no_trace(client: MemoryClient, site: Any) -> None:
    """A login is seen by the event after it; a page that looks at the user varies, no other."""
    with site() as server:
        answer = server.get("/login/kim")
        session = next(c for c in answer.all("set-cookie") if c.startswith("sessionid="))
        cookie = {"Cookie": session.partition(";")[0]}
        known = [server.get(page, cookie) for page in ("/", "/aindex", "/quiet")]
        theirs = [server.get(page, cookie) for page in ("/own", "/aown")]
        stale = server.get("/", {"Cookie": "sessionid=" + "gone" * 8})
        anonymous = server.get("/")
    assert [answer.status for answer in known] == [200, 200, 200]
    assert [answer.one("vary") for answer in (*known, stale, anonymous)] == [None] * 5
    assert not any(cookie.startswith("sessionid=") for cookie in stale.all("set-cookie"))
    assert [(a.body, a.one("vary")) for a in theirs] == [(b"Hello 77", "Cookie")] * 2
    assert [(event.event, event.user_id) for event in client.events] == [
        ("login", "77"),
        ("index", "77"),
        ("aindex", "77"),
        ("own", "77"),
        ("aown", "77"),
        ("index", None),
        ("index", None),
    ]


@pytest.mark.parametrize(
    ("page", "status"),
    [("/missing", 404), ("/forbidden", 403), ("/suspicious", 400), ("/bad", 400), ("/none", 404)],
)
def test_what_is_no_error_is_not_captured(
    client: MemoryClient, site: Any, caught: list[Caught], page: str, status: int
) -> None:
    """Acceptance 15: Django's own signal leaves these out."""
    with site() as server:
        assert server.get(page).status == status
    assert caught == []


@pytest.mark.parametrize("page", ["/boom", "/aboom"])
def test_an_error_is_captured_once_with_its_request(
    client: MemoryClient, site: Any, caught: list[Caught], page: str
) -> None:
    """However many handlers and middlewares of other tests still listen."""
    with site() as server:
        assert server.get(page).status == 500
    ((error, options, scope),) = caught
    assert isinstance(error, BrokenError)
    assert (options["handled"], options["source"]) == (False, "django.got_request_exception")
    assert scope is not None
    assert scope.context is not None
    assert scope.context["page"]["path"] == page


def test_a_middleware_s_own_error_is_captured(
    client: MemoryClient, site: Any, caught: list[Caught]
) -> None:
    """Django answers for it before it would reach an outer middleware."""
    with site(middleware=(OURS, f"{__name__}.breaking", *OTHERS)) as server:
        assert server.get("/quiet").status == 500
    assert [type(one.error) for one in caught] == [BrokenError]


def breaking(get_response: Any) -> Any:
    """A middleware of the site that fails."""

    def serve(request: Any) -> Any:
        raise BrokenError

    return serve


def test_a_streamed_body_belongs_to_the_request(
    client: MemoryClient, site: Any, caught: list[Caught]
) -> None:
    """Acceptance 14: it is made after the middleware returned, and has its context nonetheless."""
    with site() as server:
        # Django warns of a synchronous body under ASGI.
        pages = ["/astream"] if server.kind == "asgi" else ["/stream"]
        for page in pages:
            server.get(page)
        wait_until(lambda: len(caught) == len(pages), "the errors")
    assert [event.user_id for event in client.events] == ["u1"] * len(pages)
    found = [(type(one.error), one.scope.user_id if one.scope else None) for one in caught]
    assert found == [(BrokenError, "u1")] * len(pages)


@pytest.mark.parametrize("site", ["wsgi"], indirect=True)
def test_files_are_the_server_s(client: MemoryClient, site: Any) -> None:
    """A file response is passed on as it is; under ASGI Django itself reads it in pieces."""
    with site() as server:
        with open(__file__, "rb") as ours:  # noqa: PTH123 - as the view does
            assert server.get("/file").body == ours.read()


def test_responses_are_not_changed(client: MemoryClient, site: Any) -> None:
    """Header for header, where no cookie is to be set."""
    pages = ["/", "/quiet", "/missing", "/bad", "/public", "/boom"]
    cookie = {"Cookie": f"anonymous_id={DEVICE}"}

    def told(middleware: Any) -> list[Any]:
        with site(middleware=middleware) as server:
            answers = [server.get(page, cookie) for page in pages]
        return [
            (a.status, a.body, sorted(pair for pair in a.headers if pair[0].lower() != "date"))
            for a in answers
        ]

    with_ours = told((OURS, *OTHERS))
    without: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "track", lambda **_: "")
        without = told(OTHERS)
    assert with_ours == without


def test_no_cookie_from_a_public_cache(client: MemoryClient, site: Any) -> None:
    """Acceptance 17: it would hand one id to everybody."""
    with site() as server:
        assert server.get("/public").all("set-cookie") == []
        assert server.get("/quiet", {"Sec-GPC": "1"}).all("set-cookie") == []
        assert server.get("/quiet").all("set-cookie") != []


def test_a_link_is_taken_and_stripped(client: MemoryClient, site: Any) -> None:
    """As under any other server."""
    with site() as server:
        url = server.linker.decorate(f"{server.url}/quiet?x=1", DEVICE, "s", BROWSER)
        moved = server.get(url.removeprefix(server.url))
        assert server.ask("POST", "/quiet?pk_link=x", PAGE).status == 200
    assert (moved.status, moved.one("location")) == (302, "/quiet?x=1")
    assert moved.one("cache-control") == "no-store"
    assert f"anonymous_id={DEVICE}" in (moved.one("set-cookie") or "")


def test_a_host_that_is_not_allowed_is_django_s_business(
    client: MemoryClient, site: Any, caught: list[Caught]
) -> None:
    """Scanners send any; we raise nothing and report nothing."""
    with site() as server:
        status = server.get("/", {"Host": "evil.example/<script>"}).status
    assert status in {200, 400}
    assert caught == []
    assert "<script>" not in str([event.context for event in client.events])


def test_the_client_may_be_named(client: MemoryClient, site: Any) -> None:
    """By its dotted path, or that of a function that gives one."""
    for name in (f"{__name__}.the_client", f"{__name__}.CLIENT_OF_TEST"):
        globals()["CLIENT_OF_TEST"] = client
        with site(CLIENT=name) as server:
            server.get("/")
    assert len(client.events) == 2


def the_client() -> Any:
    """As a site would have it."""
    return CLIENT[0]


@pytest.mark.parametrize("given", [{}, {"CLIENT": None}])
def test_a_site_without_a_client_is_refused(given: dict[str, Any]) -> None:
    """When it starts, with what to write."""
    with override_settings(ANALYTICS=given), pytest.raises(ConfigError, match="CLIENT"):
        AnalyticsMiddleware(lambda request: None)


@pytest.mark.parametrize(
    "breaks", ["penstock.web.django.head_of", "penstock.web.visit.Visit.set_cookies"]
)
def test_a_failure_of_ours_is_not_the_site_s(
    client: MemoryClient, site: Any, monkeypatch: pytest.MonkeyPatch, breaks: str
) -> None:
    """The page is served as if the middleware were not there."""

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr(breaks, broken)
    with site() as server:
        assert server.get("/quiet").body == b"ok"
