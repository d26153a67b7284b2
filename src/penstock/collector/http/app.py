"""
The ingest app: a raw ASGI callable.

It knows paths and methods; what happens to events is `penstock.collector.http.exchange`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from penstock.collector.address import Proxies
from penstock.collector.http import answers
from penstock.collector.http.answers import Answer
from penstock.collector.http.auth import credentials
from penstock.collector.http.body import Gone
from penstock.collector.http.cors import ANY, LOOPBACK, Origins
from penstock.collector.http.exchange import Exchange, Service
from penstock.collector.http.health import Health
from penstock.collector.http.incoming import Incoming
from penstock.collector.http.load import Admission
from penstock.collector.http.meters import HEALTHY, Meter
from penstock.collector.http.rates import Rates
from penstock.collector.http.routes import INTAKES
from penstock.collector.layout import Layout
from penstock.collector.refusal import Reason, Refusal
from penstock.collector.watching import Watched

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from penstock.collector.config import CollectorConfig
    from penstock.collector.http.board import Board
    from penstock.collector.http.flag_routes import FlagRoutes
    from penstock.collector.http.routes import Route
    from penstock.collector.log.commit import GroupCommit

    Scope = Mapping[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]


class IngestApp:
    """
    Takes events over HTTP.

    Args:
        commit: Where requests become durable.
        config: Who may send, and how much.
        board: What all workers share.
        number: This worker's row of it.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        commit: GroupCommit,
        config: CollectorConfig,
        board: Board,
        number: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        limits, sources = config.limits, config.sources
        admission = Admission(limits.in_flight, limits.held_bytes)
        self._service = Service(
            commit=commit,
            sources=sources,
            limits=limits,
            admission=admission,
            proxies=Proxies(config.trusted_proxies),
            rates=Rates(board.rates, limits.events_per_second),
            meter=Meter(board.row(number)),
            clock=clock,
        )
        self._layout = Layout(config.store)
        self._watched: Watched | None = None
        if config.file is not None:
            self._watched = Watched(config.file, self._layout.configuration, say=False)
            sources.become(self._watched.settings.sources)
        self._board = board
        self._condition = Health(commit, admission, limits, self._layout.log)
        #: Set when the server is stopping: it still answers, but is not ready for more.
        self.stopping = False
        self._origins = Origins(config.origins or (LOOPBACK if sources.open else ANY))
        self._flags = _flag_routes(config, admission, self._origins, clock, loud=number == 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; other protocols than HTTP are not spoken."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        if scope["type"] != "http":
            return
        try:
            answer = await self._answer(Incoming(scope), receive)
        except Gone:
            return
        headers = [*answer.headers, (b"content-length", str(len(answer.body)).encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive: Receive, send: Send) -> None:
        """From start to stop: at the end the log is closed, everybody answered."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self._service.commit.close()
                await send({"type": "lifespan.shutdown.complete"})
                return
            await send({"type": "lifespan.startup.complete"})

    async def _answer(self, incoming: Incoming, receive: Receive) -> Answer:
        route = INTAKES.get(incoming.path)
        if route is not None:
            return await self._intake(route, incoming, receive)
        if self._flags is not None and self._flags.methods(incoming.path):
            return await self._flags.answer(incoming, receive)
        other = _OTHERS.get(incoming.path)
        if other is None:
            return answers.NOT_FOUND
        if incoming.method not in {"GET", "HEAD"}:
            return answers.wrong_method("GET, HEAD")
        return other(self, incoming)

    async def _intake(self, route: Route, incoming: Incoming, receive: Receive) -> Answer:
        """A route that takes events; pages of other origins may use it, too."""
        try:
            if incoming.method == "OPTIONS":
                return self._origins.preflight(incoming.headers, route.methods)
            origin = self._origins.headers(incoming.header(b"origin"))
        except Refusal as refusal:
            return route.answers.refused(refusal)
        if incoming.method in route.methods:
            answer = await Exchange(self._service, route, incoming).answer(receive)
        else:
            answer = answers.wrong_method(", ".join(route.methods))
        return answer._replace(headers=(*answer.headers, *origin)) if origin else answer

    def tick(self) -> None:
        """Tell the other processes how this one is; look at the configuration file."""
        if self._watched is not None and self._watched.changed():
            self._service.sources.become(self._watched.settings.sources)
        meter, admission = self._service.meter, self._service.admission
        meter.set(HEALTHY, self._service.commit.healthy)
        meter.load(admission.requests, admission.held_bytes)
        if self._flags is not None:
            self._flags.file.refresh()

    # -- what takes no events --------------------------------------------------------------

    def _health(self, _incoming: Incoming) -> Answer:
        """Whether this process runs: it answers."""
        return answers.HEALTHY

    def _readiness(self, _incoming: Incoming) -> Answer:
        trouble = "stopping" if self.stopping else self._condition.trouble()
        return answers.not_ready(trouble) if trouble else answers.HEALTHY

    def _metrics(self, _incoming: Incoming) -> Answer:
        from penstock.collector.http import metrics  # a while to import, and not always asked for

        self.tick()
        try:
            body = metrics.exposition(self._board, self._layout)
        except (OSError, ValueError):
            return answers.not_ready("the store's ledger cannot be read")
        return Answer(200, ((b"content-type", metrics.CONTENT_TYPE.encode()),), body)

    def _cluster_info(self, incoming: Incoming) -> Answer:
        key = credentials(incoming.headers.get(b"authorization", b"")).key
        if self._service.sources.find(key, "rudderstack") is None:
            reason = Reason.BAD_KEY if key else Reason.MISSING_KEY
            return answers.RUDDERSTACK.refused(Refusal(reason))
        return answers.ONE_NODE

    def _version(self, _incoming: Incoming) -> Answer:
        return answers.VERSION

    def _robots(self, _incoming: Incoming) -> Answer:
        return answers.ROBOTS


def _flag_routes(
    config: CollectorConfig,
    admission: Admission,
    origins: Origins,
    clock: Callable[[], float],
    *,
    loud: bool,
) -> FlagRoutes | None:
    """Flags, where a file defines them; who has none imports none of this."""
    if config.flags is None:
        return None
    from penstock.collector.http.flag_file import FlagFile
    from penstock.collector.http.flag_routes import FlagRoutes

    file = FlagFile(config.flags, loud=loud)
    return FlagRoutes(config, file, admission, origins, clock)


_OTHERS: Mapping[str, Callable[[IngestApp, Incoming], Answer]] = {
    "/healthz": IngestApp._health,  # noqa: SLF001 - its own table
    "/health": IngestApp._readiness,  # noqa: SLF001 - its own table
    "/readyz": IngestApp._readiness,  # noqa: SLF001 - its own table
    "/metrics": IngestApp._metrics,  # noqa: SLF001 - its own table
    "/cluster-info": IngestApp._cluster_info,  # noqa: SLF001 - its own table
    "/version": IngestApp._version,  # noqa: SLF001 - its own table
    "/robots.txt": IngestApp._robots,  # noqa: SLF001 - its own table
}
