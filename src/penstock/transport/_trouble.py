"""
One name for each way a request can fail, whatever layer it failed in.

The words of the lower layers are not passed on: they quote addresses, parameters, and sometimes
what the server sent. What remains is an error's class and its number.
"""

from __future__ import annotations

import ssl
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from typing import TYPE_CHECKING

from urllib3.exceptions import ClosedPoolError, LocationValueError, ProxyError
from urllib3.exceptions import IncompleteRead as BodyIncomplete
from urllib3.exceptions import SSLError as TlsError
from urllib3.exceptions import TimeoutError as PoolTimeoutError

from penstock.errors import ConfigError
from penstock.transport._types import TransportError

if TYPE_CHECKING:
    from collections.abc import Iterator

_RESET = (ConnectionError, RemoteDisconnected, IncompleteRead, BodyIncomplete, ClosedPoolError)


def as_transport_error(error: BaseException) -> TransportError:
    """
    The `TransportError` for what urllib3, ssl or a socket raised.

    Its kind is ``timeout``, ``tls``, ``proxy``, ``reset`` or ``protocol``; ``dns`` and
    ``connect`` are raised where they happen.
    """
    chain = list(_chain(error))
    own = next((link for link in chain if isinstance(link, TransportError)), None)
    if own is not None:
        return own
    for kind, classes, words in _KINDS:
        link = next((link for link in reversed(chain) if isinstance(link, classes)), None)
        if link is not None:
            return TransportError(kind, words or _reason(link))
    return TransportError("protocol", type(chain[-1]).__name__)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what it wraps, and so on inwards."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        wrapped = [part for part in error.args if isinstance(part, BaseException)]
        error = wrapped[0] if wrapped else error.__cause__ or error.__context__


#: In this order: a timeout behind a proxy is a timeout, a TLS failure may look like a reset.
_KINDS: tuple[tuple[str, tuple[type[BaseException], ...], str], ...] = (
    ("timeout", (TimeoutError, PoolTimeoutError), "no complete answer in time"),
    ("proxy", (ProxyError, ConfigError), ""),
    ("tls", (ssl.SSLError, TlsError), ""),
    ("reset", _RESET, "the connection broke"),
    ("protocol", (LocationValueError, HTTPException), ""),
    ("reset", (OSError,), ""),
)


def _reason(error: BaseException) -> str:
    if isinstance(error, ConfigError):
        return error.reason
    if isinstance(error, ProxyError):
        return _proxy_reason(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    strerror = getattr(error, "strerror", None)
    return strerror or type(error).__name__


def _proxy_reason(error: ProxyError) -> str:
    """The status a proxy gave to CONNECT is the only digits in the innermost error."""
    words = str(list(_chain(error))[-1])
    status = next((word for word in words.split() if word.isdigit() and len(word) == 3), "")  # noqa: PLR2004 - digits of a status
    return f"the proxy answered {status}" if status else "the proxy did not connect"
