"""AWS Lambda: events of every shape, errors, and delivery before the process is frozen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_servers import BROWSER

from penstock import Client, Config, Segment
from penstock.identity import AnonymousCookie
from penstock.testing import captured_client
from penstock.web.aws_lambda import handler, head_of

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Caught
    from faults.sink import FaultSink
    from penstock.testing import MemoryClient

DEVICE = "0b2c1c1e-1111-4111-8111-111111111111"

V1 = {
    "httpMethod": "POST",
    "path": "/caf\u00e9",
    "queryStringParameters": {"utm_source": "mail", "token": "x"},
    "headers": {"Host": "shop.example", "User-Agent": BROWSER, "X-Forwarded-Proto": "https"},
    "multiValueHeaders": {"Cookie": [f"anonymous_id={DEVICE}", "a=b"]},
    "requestContext": {"identity": {"sourceIp": "203.0.113.9"}},
}
V2 = {
    "version": "2.0",
    "rawPath": "/caf%C3%A9",
    "rawQueryString": "utm_source=mail&token=x",
    "headers": {"host": "shop.example", "user-agent": BROWSER, "x-forwarded-proto": "https"},
    "cookies": [f"anonymous_id={DEVICE}", "a=b"],
    "requestContext": {"http": {"method": "POST", "sourceIp": "203.0.113.9"}},
}


class Context:
    """What the platform hands to a function."""

    def __init__(self, remaining_s: float = 30.0) -> None:
        self._remaining_s = remaining_s

    def get_remaining_time_in_millis(self) -> int:
        return int(self._remaining_s * 1000)


@pytest.mark.parametrize("event", [V1, V2], ids=["1.0", "2.0"])
def test_an_event_has_its_request(client: MemoryClient, event: Any) -> None:
    """Both formats of API Gateway, with the source's address and the cookie's id."""

    @handler(client, cookie=AnonymousCookie(), user=lambda given: given.get("sub", "u1"))
    def main(given_event: Any, context: Any) -> dict[str, int]:
        assert given_event is event
        client.track(event="e")
        return {"statusCode": 200}

    assert main(event, Context()) == {"statusCode": 200}
    (found,) = client.events
    assert (found.user_id, found.anonymous_id) == ("u1", DEVICE)
    assert found.context == {
        "ip": "203.0.113.9",
        "userAgent": BROWSER,
        "page": {
            "url": "https://shop.example/caf%C3%A9?utm_source=mail",
            "path": "/café",
            "search": "?utm_source=mail",
        },
        "campaign": {"source": "mail"},
        "http": {"method": "POST", "path": "/café"},
    }
    assert client.ledger().delivered == 1, "delivered before the function is frozen"


@pytest.mark.parametrize(
    "event", [None, [], "text", 7, {}, {"Records": []}, {"headers": None}, {"headers": []}]
)
def test_what_is_no_request_has_a_boundary_nonetheless(client: MemoryClient, event: Any) -> None:
    """A queue's message, a schedule, anything."""

    @handler(client)
    def main(event: Any, context: Any) -> None:
        client.set_user("u1")
        client.track(event="e")

    main(event, None)
    main(event, None)
    assert [found.user_id for found in client.events] == ["u1", "u1"]
    assert [found.context for found in client.events] == [{}, {}]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            (
                *("httpMethod", "path", "rawPath", "rawQueryString", "queryStringParameters"),
                *("headers", "multiValueHeaders", "cookies", "requestContext"),
            ),
            json_values,
        ),
    )
)
def test_any_event_is_served(event: Any) -> None:
    """Whoever invokes the function may send anything."""
    with captured_client() as client:

        @handler(client)
        def main(event: Any, context: Any) -> str:
            client.track(event="e")
            return "ok"

        assert main(event, Context()) == "ok"
        assert len(client.events) == 1


def test_an_error_is_captured_and_goes_on(client: MemoryClient, caught: list[Caught]) -> None:
    """The same object, after its event was delivered."""
    error = RuntimeError("broken")

    @handler(client)
    def main(event: Any, context: Any) -> None:
        client.track("u1", "e")
        raise error

    with pytest.raises(RuntimeError) as raised:
        main(V2, Context())
    assert raised.value is error
    assert [one.error for one in caught] == [error]
    assert caught[0].options["source"] == "aws_lambda.handler"
    assert caught[0].context["ip"] == "203.0.113.9"
    assert client.ledger().delivered == 1


@pytest.mark.parametrize("remaining", [0.6, 0.1, 0.0])
def test_waiting_leaves_the_platform_its_time(
    sink: FaultSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remaining: float
) -> None:
    """A server that does not answer costs no more than the invocation has."""
    from faults.rules import BLACK_HOLE, Always

    monkeypatch.setenv("PENSTOCK_NETWORK", "loopback")
    sink.plan(Always(BLACK_HOLE))
    config = Config(journal=tmp_path, exit_timeout=0.0)
    client = Client(Segment("KEY", endpoint=sink.url), config=config)

    @handler(client)
    def main(event: Any, context: Any) -> None:
        client.track("u1", "e")

    began = time.monotonic()
    main(V2, Context(remaining))
    assert time.monotonic() - began < max(0.0, remaining - 0.5) + 0.5
    client.close(0.0)


def test_a_client_that_cannot_flush_does_not_fail_the_function(
    client: MemoryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function's own answer is what counts."""

    def broken(timeout: float) -> None:
        raise OSError("no network")

    monkeypatch.setattr(client, "flush", broken)
    assert handler(client)(lambda event, context: "ok")(V2, Context()) == "ok"


def test_the_decorator_keeps_the_function_s_name(client: MemoryClient) -> None:
    """The platform looks it up."""

    @handler(client)
    def main(event: Any, context: Any) -> None:
        """Its own words."""

    assert (main.__name__, main.__doc__) == ("main", "Its own words.")


def test_a_head_is_read_from_requests_only() -> None:
    """An event without headers is none."""
    assert head_of({"Records": [{"body": "x"}]}) is None
    found = head_of(V2)
    assert found is not None
    assert (found.method, found.peer) == ("POST", "203.0.113.9")
