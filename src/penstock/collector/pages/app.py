"""The pages: what each address shows. Who may look is `penstock.collector.pages.guard`'s."""

from __future__ import annotations

import logging
import time
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import anyio
from anyio import to_thread
from starlette.applications import Starlette
from starlette.responses import (
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from penstock.collector.layout import Layout
from penstock.collector.pages import accounts
from penstock.collector.pages.arrival import VERDICTS, Wanted
from penstock.collector.pages.chart import chart_of
from penstock.collector.pages.guard import COOKIE
from penstock.collector.pages.line import line_of
from penstock.collector.pages.rendering import rendered
from penstock.collector.pages.stream import MOST_VIEWERS, stream
from penstock.errors import PenstockError
from penstock.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from penstock.collector.config import CollectorConfig
    from penstock.collector.pages.follower import Follower
    from penstock.collector.pages.guard import Keeper
    from penstock.collector.store.reader import Store

_log = logging.getLogger("penstock.collector")

#: Pages made at a time: a query takes memory, and all cores.
_AT_ONCE = 2
_STATIC = {
    "debugger.css": "text/css",
    "debugger.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_TYPES = tuple(kind.wire for kind in Kind if kind <= Kind.ALIAS)


class Pages:
    """
    The debugger's pages.

    Args:
        config: The collector's.
        follower: Knows what arrives.
        keeper: Knows who may look.
    """

    def __init__(self, config: CollectorConfig, follower: Follower, keeper: Keeper) -> None:
        self._config = config
        self._layout = Layout(config.store)
        self._follower = follower
        self._keeper = keeper
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)
        self.app = Starlette(routes=[*self._reading(), *self._acting()])

    def _reading(self) -> list[Route]:
        pages = {
            "/": self._events,
            "/event": self._event,
            "/quarantine": self._quarantine,
            "/sources": self._sources,
            "/ledger": self._ledger,
            "/dead": self._dead,
        }
        shown = [Route(path, self._page(make)) for path, make in pages.items()]
        static = Route("/static/{name}", _static)
        return [*shown, Route("/stream", self._stream), Route("/login", self._login), static]

    def _acting(self) -> list[Route]:
        return [
            Route("/session", self._enter, methods=["POST"]),
            Route("/leave", self._leave, methods=["POST"]),
            Route("/dead/replay", self._replay, methods=["POST"]),
        ]

    def _page(self, make: Callable[[Request], str]) -> Any:
        """An endpoint that makes its page in a thread: reading takes a while."""

        async def endpoint(request: Request) -> Response:
            try:
                html = await to_thread.run_sync(make, request, limiter=self._limiter)
            except Exception as error:  # noqa: BLE001 - the border: one page fails, not all
                return self._trouble(request, error)
            return HTMLResponse(html)

        return endpoint

    def _trouble(self, request: Request, error: Exception) -> Response:
        """The store cannot be read now; the kind of error tells nothing of what is in it."""
        _log.error("the page %s cannot be made: %s", request.scope["path"], type(error).__name__)
        values = {"title": "Not now", "trouble": type(error).__name__}
        return HTMLResponse(self._rendered(request, "trouble.html", values), 503)

    def _rendered(self, request: Request, template: str, values: dict[str, Any]) -> str:
        known = {
            "here": request.scope["path"],
            "secret": self._keeper.form_secret,
            "guarded": not self._keeper.is_open,
        }
        return rendered(template, {**known, **values})

    @property
    def _store(self) -> Store:
        from penstock.collector.store.reader import Store  # DuckDB, once it is needed

        return Store(self._layout.root)

    # -- what is shown ---------------------------------------------------------------------

    def _events(self, request: Request) -> str:
        from penstock.collector.pages.listing import newest

        wanted = Wanted.of(request.query_params)
        ring = self._follower.ring
        after = ring.place  # before the list is made: what comes meanwhile is streamed
        self._follower.seed()
        found = newest(self._store, ring.duplicates(), wanted)
        values = {
            "title": "Events",
            "lines": [line_of(arrival) for arrival in found],
            "wanted": wanted,
            "types": _TYPES,
            "verdicts": VERDICTS,
            "sources": self._source_names(),
            "chart": chart_of(self._follower.minutes.shown(time.time())),
            "stream": "/stream?" + urlencode({**_asked(request), "after": after}),
            "skipped": ring.skipped,
        }
        return self._rendered(request, "events.html", values)

    def _source_names(self) -> list[str]:
        known = {source.name for source in self._config.sources.digests().values()}
        return sorted(known | self._follower.ring.sources())

    def _event(self, request: Request) -> str:
        from penstock.collector.trace.story import trace

        message_id = request.query_params.get("id", "")
        story = trace(self._layout, message_id)
        return self._rendered(request, "event.html", {"title": "One event", "story": story})

    def _quarantine(self, request: Request) -> str:
        from penstock.collector.pages.listing import quarantined

        source, reason = (
            request.query_params.get(name, "").strip() for name in ("source", "reason")
        )
        values = {
            "title": "Quarantine",
            "rows": quarantined(self._store, source, reason),
            "counts": self._store.count_by("reason", table="quarantine"),
            "source": source,
            "reason": reason,
        }
        return self._rendered(request, "quarantine.html", values)

    def _sources(self, request: Request) -> str:
        from penstock.collector.pages.listing import senders

        found = senders(self._store)
        silent = sorted(set(self._source_names()) - {sender.source for sender in found})
        values = {"title": "Sources", "senders": found, "silent": silent}
        return self._rendered(request, "sources.html", values)

    def _ledger(self, request: Request) -> str:
        values = {
            "title": "Ledger",
            "counts": self._store.counts(),
            "waiting": accounts.log_bytes(self._layout),
            "destinations": accounts.destinations(self._layout),
        }
        return self._rendered(request, "ledger.html", values)

    def _dead(self, request: Request) -> str:
        asked = {name: request.query_params.get(name, "").strip() for name in accounts.ASKED}
        found = accounts.dead(self._layout, asked)
        values = {
            "title": "Dead letters",
            "letters": found[: accounts.SHOWN],
            "total": len(found),
            "asked": asked,
            "replayed": request.query_params.get("replayed"),
        }
        return self._rendered(request, "dead.html", values)

    # -- what is done ----------------------------------------------------------------------

    async def _replay(self, request: Request) -> Response:
        form = request.scope["form"]
        asked = {name: form.get(name, "").strip() for name in accounts.ASKED}
        try:
            count = await to_thread.run_sync(accounts.replay, self._layout, asked)
        except (OSError, PenstockError) as error:
            return self._trouble(request, error)
        return RedirectResponse("/dead?" + urlencode({"replayed": count}), 303)

    async def _stream(self, request: Request) -> Response:
        ring = self._follower.ring
        if ring.viewers >= MOST_VIEWERS:
            return PlainTextResponse("too many watch\n", 503, {"retry-after": "10"})
        place = request.headers.get("last-event-id") or request.query_params.get("after", "")
        body = stream(self._follower, Wanted.of(request.query_params), place)
        return StreamingResponse(body, media_type="text/event-stream")

    # -- who looks -------------------------------------------------------------------------

    async def _login(self, request: Request) -> Response:
        values = {"title": "Token", "wrong": "wrong" in request.query_params}
        return HTMLResponse(self._rendered(request, "login.html", values))

    async def _enter(self, request: Request) -> Response:
        if not self._keeper.knows(request.scope["form"].get("token", "")):
            return RedirectResponse("/login?wrong", 303)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, self._keeper.session, httponly=True, samesite="strict")
        return answer

    async def _leave(self, _request: Request) -> Response:
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer


def _asked(request: Request) -> dict[str, str]:
    names = ("source", "type", "event", "user", "verdict", "q")
    return {name: request.query_params[name] for name in names if request.query_params.get(name)}


async def _static(request: Request) -> Response:
    kind = _STATIC.get(request.path_params["name"])
    if kind is None:
        return PlainTextResponse("there is no such file\n", 404)
    folder = files("penstock.collector.pages") / "static"
    return Response((folder / request.path_params["name"]).read_bytes(), media_type=kind)
