"""Errors from a request to the event: the middleware, logging and the tracker together."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from flask import Flask
from web_servers import asgi_server, wsgi_server

from penstock.web.asgi import AnalyticsMiddleware
from penstock.web.flask import Analytics

if TYPE_CHECKING:
    from penstock.testing import MemoryClient

SINGLETON = RuntimeError("made once, raised often")


@pytest.fixture
def boom() -> Any:
    def endpoint() -> dict[str, bool]:
        raise SINGLETON

    return endpoint


def errors(client: MemoryClient) -> list[dict[str, Any]]:
    """The exception events as PostHog got them."""
    client.flush()
    batches = [json.loads(request.body)["batch"] for request in client.transport.requests]
    return [event for batch in batches for event in batch if event["event"] == "$exception"]


def check(found: list[dict[str, Any]], source: str) -> None:
    """One event per request, with the request in it, of an error nobody handled."""
    assert len(found) == 2
    for event in found:
        told = event["properties"]
        assert told["$exception_source"] == source
        assert told["$exception_list"][0]["mechanism"]["handled"] is False
        assert told["$exception_list"][0]["mechanism"]["type"] == "middleware"
        assert told["$request_method"] == "GET"
        assert told["$response_status_code"] == 500
        assert told["$pathname"] == "/boom"
        assert told["$process_person_profile"] is False


def test_one_event_per_request_from_fastapi(client: MemoryClient, boom: Any) -> None:
    """Acceptance 7: middleware, logging and server tell it once; a singleton once per request."""
    app = FastAPI()
    app.get("/boom")(boom)
    app.add_middleware(AnalyticsMiddleware, client=client)
    client.install_logging(logging.getLogger("uvicorn.error"))
    with asgi_server(app) as server:
        for _ in range(2):
            assert server.get("/boom").status == 500
    check(errors(client), "asgi.application")


def test_one_event_per_request_from_flask(client: MemoryClient, boom: Any) -> None:
    """Acceptance 7: Flask logs what its signal tells."""
    app = Flask("shop")
    app.get("/boom")(boom)
    Analytics(app, client)
    client.install_logging(app.logger)
    with wsgi_server(app) as server:
        for _ in range(2):
            assert server.get("/boom").status == 500
    check(errors(client), "flask.got_request_exception")


def test_consent_strips_an_error_and_does_not_hide_it(client: MemoryClient, boom: Any) -> None:
    """``anonymous``: it goes out without who and where from; ``off``: it does not."""
    app = Flask("shop")
    app.get("/boom")(boom)
    Analytics(app, client, opt_out_cookie="no", user=lambda: "u1")
    with wsgi_server(app) as server:
        server.get("/boom", {"Sec-GPC": "1"})
        server.get("/boom", {"Cookie": "no=1"})
    (event,) = errors(client)
    assert "u1" not in json.dumps(event)
    assert not {"$ip", "$raw_user_agent"} & event["properties"].keys()
