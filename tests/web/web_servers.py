"""Real servers on loopback, in threads of this process, and a client that shows everything."""

from __future__ import annotations

import http.client
import socketserver
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import uvicorn

from patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Seconds after which a wait has failed.
DEADLINE = 20.0
BROWSER = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0"
    " Safari/537.36"
)
#: What a browser sends when somebody opens a page.
PAGE = {"User-Agent": BROWSER, "Accept": "text/html,*/*", "Sec-Fetch-Dest": "document"}


class Answer(NamedTuple):
    """A response as it came."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """The values of a header, in their order."""
        return [value for given, value in self.headers if given.lower() == name.lower()]

    def one(self, name: str) -> str | None:
        """The value of a header; None where it is absent."""
        found = self.all(name)
        assert len(found) < 2, found
        return found[0] if found else None


class Served:
    """A server and a way to ask it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str, headers: Mapping[str, str] | None = None, **more: Any) -> Answer:
        """GET as a browser opens a page, unless *headers* say otherwise."""
        return self.ask("GET", path, {**PAGE, **(headers or {})}, **more)

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str | bytes] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """One request, with these headers and no others of a browser."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request(method, path, body, headers=dict(headers or {}))
            answer = connection.getresponse()
            try:
                read = answer.read()
            except http.client.IncompleteRead:
                read = b""
            return Answer(answer.status, answer.getheaders(), read)
        finally:
            connection.close()


def wait_until(holds: Any, what: str) -> None:
    """Wait for a condition."""
    wait_for(holds, what, DEADLINE)


@contextmanager
def asgi_server(app: Any, *, lifespan: str = "auto") -> Iterator[Served]:
    """Uvicorn in a thread."""
    config = uvicorn.Config(
        app, port=0, log_config=None, lifespan=lifespan, ws="wsproto", timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive(), "uvicorn")
    try:
        yield Served(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(DEADLINE)


class _Threads(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing on the test's output."""

    def get_stderr(self) -> Any:
        """Where `wsgiref` prints an application's error."""
        import io

        return io.StringIO()


@contextmanager
def wsgi_server(app: Any) -> Iterator[Served]:
    """Wsgiref with a thread per request; each checks nothing and changes nothing."""
    server = make_server("127.0.0.1", 0, app, server_class=_Threads, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield Served(server.server_port)
    finally:
        server.shutdown()
        thread.join(DEADLINE)
        server.server_close()
