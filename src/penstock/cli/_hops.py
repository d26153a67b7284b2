"""The way of an event, hop by hop, each tried by itself."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from penstock.dialects import Accepted, Malformed, Mixed, Rejected, Rerouted, RetryLater, TooLarge
from penstock.errors import ConfigError
from penstock.transport import TransportError, gate
from penstock.transport.http import HttpTransport
from penstock.transport.proxy import ProxyRules, masked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.cli._exit import Exit
    from penstock.destinations import Destination
    from penstock.dialects import Encoded, Outcome
    from penstock.transport import Request, Response

#: Below this a journal cannot even hold its first segments.
MIN_FREE_BYTES = 16 * 1024 * 1024
_MIB = 1024 * 1024


class Hop(NamedTuple):
    """One stage and what came of it."""

    name: str
    #: None: not needed here.
    ok: bool | None
    #: What was found.
    detail: str
    #: What will probably help; empty when it is fine.
    fix: str
    seconds: float
    #: The command's exit code when this is the first hop to fail.
    code: Exit


class Broken(Exception):  # noqa: N818 - a finding, not a fault of the program
    """A hop that fails."""

    def __init__(self, detail: str, fix: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fix = fix


@dataclass
class Trace:
    """The hops tried so far; after one that fails no other is tried."""

    hops: list[Hop] = field(default_factory=list)

    @property
    def failed(self) -> Hop | None:
        """The hop that failed."""
        return next((hop for hop in self.hops if hop.ok is False), None)

    @contextmanager
    def hop(self, name: str, code: Exit) -> Iterator[list[str]]:
        """Try something; the caller appends what it found."""
        found: list[str] = []
        started = time.monotonic()
        try:
            yield found
        except Broken as broken:
            taken = time.monotonic() - started
            self.hops.append(Hop(name, False, broken.detail, broken.fix, taken, code))  # noqa: FBT003
            raise
        self.hops.append(Hop(name, True, "".join(found), "", time.monotonic() - started, code))  # noqa: FBT003

    def skip(self, name: str, why: str, code: Exit) -> None:
        """Note a hop that is not needed."""
        self.hops.append(Hop(name, None, why, "", 0.0, code))


def check_journal(root: Path) -> str:
    """
    Write a file where the journal is, or would be.

    Raises:
        Broken: It cannot be written, or the disk is full.
    """
    fix = "give a writable directory with --journal or PENSTOCK_JOURNAL"
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root) as file:
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
        free = shutil.disk_usage(root).free
    except OSError as error:
        raise Broken(f"{root}: {error.strerror}", fix) from None
    if free < MIN_FREE_BYTES:
        raise Broken(f"{root}: {free // _MIB} MiB free", "make room on that disk")
    return f"{root}, {free // _MIB:,} MiB free"


class Way:
    """
    The way to one server, directly or through a proxy.

    Args:
        url: Where the request goes.
        timeout: Seconds each hop may take.

    Raises:
        Broken: The settings of this machine do not let a request out.
    """

    def __init__(self, url: str, timeout: float) -> None:
        parts = urlsplit(url)
        self._timeout = timeout
        self._server = parts.hostname or ""
        self.secure = parts.scheme == "https"
        try:
            gate.check(url)
            self.proxy = ProxyRules().proxy_for(parts.scheme, parts.netloc)
        except TransportError as error:
            raise Broken(error.detail, "unset PENSTOCK_NETWORK") from None
        except ConfigError as error:
            raise Broken(str(error), "correct the proxy settings of the environment") from None
        nearest = urlsplit(self.proxy) if self.proxy else parts
        self.host = nearest.hostname or ""
        self.port = nearest.port or {"https": 443}.get(nearest.scheme, 80)

    @property
    def through(self) -> str:
        """What to say about a proxy."""
        return f" (proxy {masked(self.proxy)})" if self.proxy else ""

    def resolve(self) -> str:
        """
        Find the address.

        Raises:
            Broken: The name has none.
        """
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise Broken(
                f"{self.host}: {error.strerror or error}",
                "check the host's name in the endpoint, and this machine's DNS",
            ) from None
        addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
        return f"{self.host} is {', '.join(addresses)}{self.through}"

    def connect(self) -> socket.socket:
        """
        Open a connection.

        Raises:
            Broken: Nobody answers, or something refuses.
        """
        try:
            return socket.create_connection((self.host, self.port), self._timeout)
        except OSError as error:
            refused = isinstance(error, ConnectionRefusedError)
            raise Broken(
                f"{self.host}:{self.port}: {error.strerror or error}",
                "nothing listens there: check the port, and that the server runs"
                if refused
                else "a firewall or a route is in the way, or a proxy is needed (HTTPS_PROXY)",
            ) from None

    def handshake(self, connection: socket.socket) -> str:
        """
        Begin TLS.

        Raises:
            Broken: There is none, or the certificate is not trusted.
        """
        context = ssl.create_default_context()
        try:
            with context.wrap_socket(connection, server_hostname=self._server) as secured:
                return secured.version() or "TLS"
        except ssl.SSLCertVerificationError as error:
            raise Broken(
                error.verify_message,
                "the certificate is not trusted: check the host's name and clock, or add the "
                "company's certificate (SSL_CERT_FILE)",
            ) from None
        except (ssl.SSLError, OSError) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise Broken(str(reason), "is this port an https one? http:// may be meant") from None


def ask(request: Request, timeout: float) -> Response:
    """
    Make the request.

    Raises:
        Broken: No complete answer came.
    """
    transport = HttpTransport()
    try:
        return transport.send(request, timeout)
    except TransportError as error:
        fix = "the server takes connections but gives no answer: look at its log"
        raise Broken(str(error), fix) from None
    finally:
        transport.close()


def judge(destination: Destination, response: Response, sent: Encoded) -> str:
    """
    What the answer means for the event.

    Raises:
        Broken: It was not accepted.
    """
    outcome = destination.dialect.classify(response, [sent])
    problem = _problem(outcome)
    if problem is None:
        return f"HTTP {response.status}, accepted"
    words, fix = problem
    detail = f"HTTP {response.status}{f', {words}' if words else ''}"
    raise Broken(detail, _BY_STATUS.get(response.status, fix))


def _problem(outcome: Outcome) -> tuple[str, str] | None:
    """The server's words and a guess, or None when the event was accepted."""
    if isinstance(outcome, Accepted):
        return None
    if isinstance(outcome, Mixed):
        verdict = outcome.verdicts[0]
        return None if verdict.fate == "delivered" else (verdict.detail, _FIXES[Malformed])
    if isinstance(outcome, Rerouted):
        return "", "the data plane moved: run this again"
    return outcome.detail, _FIXES[type(outcome)]


_FIXES: dict[type, str] = {
    Rejected: "check the write key and the endpoint",
    Malformed: "the server does not read this format: is it the right dialect?",
    TooLarge: "a proxy on the way allows only tiny requests",
    RetryLater: "the server is busy or has a fault: try again later",
}
_BY_STATUS = {
    401: "the write key is not accepted: check it, and that it belongs to this address",
    403: "the write key is not accepted: check it, and that it belongs to this address",
    404: "nothing takes events at this address: check the endpoint and its path",
    405: "nothing takes events at this address: check the endpoint and its path",
}
