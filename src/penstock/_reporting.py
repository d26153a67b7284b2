"""
Errors that leave a request, a job or a wrapped function, on their way to `capture_exception`.

The one place where the rest of Penstock meets error tracking.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.client import Client

#: How a program ends, a request is given up, or a framework says that a client went away: by
#: name, since importing each would cost more.
_NO_ERRORS = frozenset(
    {
        *("KeyboardInterrupt", "GeneratorExit", "CancelledError"),
        *("ClientDisconnect", "ClientDisconnected", "RequestAborted"),
    }
)


def is_error(error: BaseException) -> bool:
    """Whether *error* is something that went wrong, and not control flow or a client that left."""
    if isinstance(error, BaseExceptionGroup):
        return any(is_error(member) for member in error.exceptions)
    if isinstance(error, SystemExit):
        return error.code not in {None, 0}
    return _NO_ERRORS.isdisjoint(kind.__name__ for kind in type(error).__mro__)


def report(
    client: Client,
    error: BaseException,
    *,
    handled: bool,
    mechanism: str,
    source: str,
    request: object = None,
) -> None:
    """
    Capture *error*; whatever happens meanwhile stays here.

    Args:
        client: Where to.
        error: What left the host's code, or was turned into an answer by a framework.
        handled: Whether somebody dealt with it.
        mechanism: What kind of boundary it crossed: ``middleware``, ``task``, ``generic``.
        source: Which hook saw it, as in ``asgi.application``.
        request: What it happened in, for the hint of `ErrorTracking.before_send`.
    """
    more: dict[str, Any] = {} if request is None else {"hint": {"request": request}}
    capture: Any = getattr(client, "capture_exception", None)
    if capture is None or not is_error(error):
        return
    with suppress(Exception):
        capture(error, handled=handled, mechanism_type=mechanism, source=source, **more)
