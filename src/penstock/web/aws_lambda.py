"""
AWS Lambda, behind API Gateway, a load balancer, a function URL, or without a request at all.

    @handler(client)
    def main(event, context): ...

A function is frozen when it returns, so nothing is delivered in the background: each invocation
waits for delivery, within its own time. What does not make it in time stays in the journal for
the next one, if that finds the same machine.

Source: the AWS documentation, "Using Lambda with API Gateway", payload formats 1.0 and 2.0.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

from penstock._boundary import Boundary
from penstock.scope import CURRENT, Scope
from penstock.scoping import leave
from penstock.web.desk import Desk
from penstock.web.head import Head
from penstock.web.visit import Visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.client import Client

R = TypeVar("R")

_SOURCE = "aws_lambda.handler"
#: Seconds of an invocation's time that are left to the platform.
_SPARE_S = 0.5


def handler(
    client: Client, **options: Any
) -> Callable[[Callable[[Any, Any], R]], Callable[[Any, Any], R]]:
    """
    Decorate a handler: a boundary, errors captured, everything delivered before it is frozen.

    Args:
        client: Whose events they are.
        options: See `penstock.web.Settings`; ``flush_timeout`` is the longest wait. No cookie
            is set, since the response is the function's own.

    Raises:
        ConfigError: An option can never work.

    .. versionadded:: 0.1
    """
    desk = Desk(client, **options)

    def decorate(function: Callable[[Any, Any], R]) -> Callable[[Any, Any], R]:
        @functools.wraps(function)
        def invoke(event: Any, context: Any) -> R:
            boundary = _boundary(desk, event)
            token = CURRENT.set(Scope(boundary=boundary))
            try:
                return function(event, context)
            except BaseException as error:
                visit = boundary if isinstance(boundary, Visit) else None
                desk.escaped(visit, error, _SOURCE)
                raise
            finally:
                leave(token)
                _flush(desk, context)

        return invoke

    return decorate


def _boundary(desk: Desk, event: Any) -> Boundary:
    """The event's, if it is a request; one that knows nothing otherwise."""
    try:
        head = head_of(event)
    except Exception as error:  # noqa: BLE001 - an event may be anything
        desk.failed("head", error)
        head = None
    if head is None:
        return Boundary()
    find = desk.settings.user
    user = None if find is None else functools.partial(find, event)
    return desk.receive(head, user, answers=False) or Boundary()


def head_of(event: Any) -> Head | None:
    """
    The request in an event of API Gateway (1.0 and 2.0), a function URL or a load balancer.

    None where the event is something else: a queue's, a schedule's, a list, a text.
    """
    if not isinstance(event, dict) or not isinstance(event.get("headers"), dict):
        return None
    asked = event.get("requestContext")
    asked = asked if isinstance(asked, dict) else {}
    http = asked.get("http")
    if isinstance(http, dict):
        method, path = http.get("method"), event.get("rawPath")
        query, peer = event.get("rawQueryString"), http.get("sourceIp")
    else:
        method, path = event.get("httpMethod"), event.get("path")
        query, peer = _query(event), (asked.get("identity") or {}).get("sourceIp")
    headers = _headers(event)
    return Head(
        str(method or "GET").upper(),
        headers.get("x-forwarded-proto", "https"),
        quote(str(path or "/"), safe="/%"),
        str(query or ""),
        str(peer or ""),
        headers,
    )


def _headers(event: dict[str, Any]) -> dict[str, str]:
    """Lower-case names to latin-1 texts, as other servers have them."""
    several = event.get("multiValueHeaders")
    found = {name: value for name, value in event["headers"].items() if value is not None}
    if isinstance(several, dict):
        found |= {n: _listed(n, v) for n, v in several.items() if isinstance(v, list)}
    cookies = event.get("cookies")
    if isinstance(cookies, list):
        found["cookie"] = "; ".join(map(str, cookies))
    return {
        str(name).lower(): str(value).encode("utf-8", "replace").decode("latin-1")
        for name, value in found.items()
    }


def _listed(name: object, values: list[Any]) -> str:
    return ("; " if str(name).lower() == "cookie" else ", ").join(map(str, values))


def _query(event: dict[str, Any]) -> str:
    given = event.get("queryStringParameters")
    return urlencode(given) if isinstance(given, dict) else ""


def _flush(desk: Desk, context: Any) -> None:
    """Wait for delivery, but leave the platform its time."""
    try:
        timeout = desk.settings.flush_timeout
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        if remaining is not None:
            timeout = max(0.0, min(timeout, remaining() / 1000 - _SPARE_S))
        desk.client.flush(timeout)
    except Exception as error:  # noqa: BLE001 - the function's own answer is what counts
        desk.failed("flush", error)
