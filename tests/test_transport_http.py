"""The real transport, against real sockets on loopback."""

from __future__ import annotations

import base64
import gzip
import os
import socket
import ssl
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import trustme

import requirement
from loopback import Loopback, Visit
from penstock.errors import ConfigError
from penstock.transport import Request, Response, Transport, TransportError
from penstock.transport._connection import _DeadlineReader, _Shelf
from penstock.transport.http import MAX_RESPONSE_BYTES, HttpTransport, _target
from penstock.transport.proxy import ProxyRules, masked
from penstock.transport.tls import Tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = "WK_secret_key"
URL = "http://localhost/v1/batch"
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _open_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_NETWORK", "allow")
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def transport() -> Iterator[HttpTransport]:
    client = HttpTransport()
    yield client
    client.close()


def post(url: str, body: bytes = b'{"batch":[]}') -> Request:
    return Request("POST", url, {"Authorization": f"Basic {KEY}"}, body)


def send(transport: HttpTransport, url: str, timeout: float = 5.0) -> Response:
    return transport.send(post(f"{url}/v1/batch?{KEY}"), timeout)


def trouble(transport: HttpTransport, url: str, timeout: float = 5.0) -> TransportError:
    """The error of a request that must fail; it never shows the key."""
    with pytest.raises(TransportError) as caught:
        send(transport, url, timeout)
    assert KEY not in str(caught.value)
    return caught.value


# -- the plain way


def test_a_request_arrives_as_it_is_and_the_answer_comes_back(transport: HttpTransport) -> None:
    """Method, path, headers and body are the request's; the response's names are lower case."""
    with Loopback(lambda visit: visit.read() and visit.answer(202, b"yes", X_Word="w")) as server:
        response = transport.send(post(f"{server.url}/prefix/v1/batch", b"\x00body"), 5)
    (received,) = server.received
    assert (received.method, received.path, received.body) == (
        "POST",
        "/prefix/v1/batch",
        b"\x00body",
    )
    assert received.headers["authorization"] == f"Basic {KEY}"
    assert (response.status, response.body, response.headers["x-word"]) == (202, b"yes", "w")


def test_it_is_a_transport() -> None:
    """The protocol that delivery asks for."""
    assert isinstance(HttpTransport(), Transport)


def test_a_connection_is_used_again(transport: HttpTransport) -> None:
    """Ten requests take one connection."""
    with Loopback() as server:
        assert [send(transport, server.url).status for _ in range(10)] == [200] * 10
        assert server.connections == 1


def test_threads_share_the_transport(transport: HttpTransport) -> None:
    """Every thread gets the answer to its own request."""

    def echo(visit: Visit) -> None:
        while received := visit.read():
            visit.answer(body=received.body)

    with Loopback(echo) as server, ThreadPoolExecutor(8) as pool:
        bodies = [b"%d" % number for number in range(200)]
        answers = pool.map(lambda body: transport.send(post(server.url, body), 5).body, bodies)
        assert list(answers) == bodies
        assert server.connections <= 8


def test_a_body_larger_than_any_buffer_arrives_whole(transport: HttpTransport) -> None:
    """The first system call takes the head and a part of it."""
    body = os.urandom(16 << 20)
    with Loopback(lambda visit: visit.read() and visit.answer()) as server:
        assert transport.send(post(server.url, body), 30).status == 200
    assert server.received[0].body == body


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when data came")
def test_how_long_the_server_took_is_not_how_long_we_did(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread may have to wait for the interpreter before it can look at an answer."""
    readinto, server_s, we_s = _DeadlineReader.readinto, [0.0, 0.3], 0.3

    def late(reader: _DeadlineReader, buffer: Any) -> int | None:
        time.sleep(we_s)  # as if another thread had the interpreter
        return readinto(reader, buffer)

    def answer(visit: Visit) -> None:
        for pause in server_s:
            visit.read()
            time.sleep(pause)  # the server's time is what is measured
            visit.answer()

    monkeypatch.setattr(_DeadlineReader, "readinto", late)
    with Loopback(answer) as server:
        quick, slow = (send(transport, server.url).waited_s for _ in server_s)
    assert quick is not None
    assert slow is not None
    assert 0 <= quick < 0.25
    assert slow > 0.28


def test_an_answer_in_chunks_is_put_together(transport: HttpTransport) -> None:
    """Chunked transfer is read to its end, and the connection stays good."""

    def chunked(visit: Visit) -> None:
        while visit.read():
            visit.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            visit.write(b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n")

    with Loopback(chunked) as server:
        assert [send(transport, server.url).body for _ in range(2)] == [b"abcde"] * 2
        assert server.connections == 1


def test_a_compressed_answer_is_inflated(transport: HttpTransport) -> None:
    """Some servers compress without being asked to."""

    def compressing(visit: Visit) -> None:
        visit.read()
        visit.answer(body=gzip.compress(b"plain"), Content_Encoding="gzip")

    with Loopback(compressing) as server:
        assert send(transport, server.url).body == b"plain"


def test_an_answer_without_a_date_gets_the_time_of_arrival(transport: HttpTransport) -> None:
    """So that a Retry-After date can always be measured."""
    with Loopback() as server:
        assert send(transport, server.url).headers["date"].endswith("GMT")


def test_a_huge_answer_is_cut_and_its_connection_left(transport: HttpTransport) -> None:
    """At most a mebibyte is read; what is left on the wire cannot be taken for the next answer."""

    def huge(visit: Visit) -> None:
        visit.read()
        with suppress(OSError):  # the client leaves in the middle
            visit.answer(body=b"x" * (MAX_RESPONSE_BYTES * 3))

    with Loopback(huge) as server:
        assert len(send(transport, server.url).body) == MAX_RESPONSE_BYTES
        assert len(send(transport, server.url).body) == MAX_RESPONSE_BYTES
        assert server.connections == 2


def test_how_much_of_an_answer_is_read_can_be_set() -> None:
    """Flag definitions are larger than any answer to events."""

    def large(visit: Visit) -> None:
        while visit.read():
            visit.answer(body=b"x" * (MAX_RESPONSE_BYTES * 2))

    transport = HttpTransport(proxy="", max_response_bytes=MAX_RESPONSE_BYTES * 3)
    with Loopback(large) as server:
        assert len(send(transport, server.url).body) == MAX_RESPONSE_BYTES * 2
        transport.close()


def test_close_is_not_the_end(transport: HttpTransport) -> None:
    """Closing lets go of connections; the next request opens one."""
    with Loopback() as server:
        send(transport, server.url)
        transport.close()
        assert send(transport, server.url).status == 200
        assert server.connections == 2


def test_a_connection_the_server_closed_while_idle_is_replaced(transport: HttpTransport) -> None:
    """A server may close between requests; the next request does not fail for it."""
    closed = threading.Event()

    def one_request(visit: Visit) -> None:
        visit.read()
        visit.answer()
        visit.sock.shutdown(socket.SHUT_WR)
        closed.set()
        visit.wait_for_hangup()

    with Loopback(one_request) as server:
        for _ in range(3):
            assert send(transport, server.url).status == 200
            assert closed.wait(5)
            closed.clear()


# -- time


@pytest.mark.parametrize(
    "part",
    [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"],
    ids=["before the answer", "in the headers", "in the body"],
)
def test_a_server_that_dribbles_is_left_at_the_deadline(
    transport: HttpTransport, part: bytes
) -> None:
    """The timeout is for the whole exchange, not for each byte."""
    done = threading.Event()

    def dribble(visit: Visit) -> None:
        visit.read()
        visit.write(part)
        while not done.wait(0.02):  # the pace, well below any timeout per byte
            visit.write(b"x" if part else b"")

    with Loopback(dribble) as server:
        began = time.monotonic()
        assert trouble(transport, server.url, 0.4).kind == "timeout"
        assert 0.35 <= time.monotonic() - began < 2
        done.set()


def test_a_server_that_does_not_read_is_left_at_the_deadline(transport: HttpTransport) -> None:
    """A body that does not get through counts against the same deadline."""
    done = threading.Event()
    with Loopback(lambda _: done.wait(10) and None) as server:
        began = time.monotonic()
        with pytest.raises(TransportError, match="timeout"):
            transport.send(post(server.url, b"x" * 50_000_000), 0.3)
        assert time.monotonic() - began < 2
        done.set()


@pytest.fixture
def black_hole() -> Iterator[tuple[str, int]]:
    """An address that answers no connect: its queue of connections is full."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    address = listener.getsockname()
    waiting = []
    for _ in range(4):
        sock = socket.socket()
        sock.settimeout(0)
        sock.connect_ex(address)
        waiting.append(sock)
    yield address
    for sock in [*waiting, listener]:
        sock.close()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    """Let every name have these addresses."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)


def test_several_dead_addresses_share_one_timeout(
    transport: HttpTransport, black_hole: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name with four dead addresses takes one timeout, not four."""
    resolve_to(monkeypatch, *[black_hole] * 4)
    began = time.monotonic()
    assert trouble(transport, "http://four.example", 0.4).kind == "timeout"
    assert 0.35 <= time.monotonic() - began < 1.2


def test_a_dead_address_leaves_time_for_the_next(
    transport: HttpTransport, black_hole: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second address is tried although the first never answers."""
    with Loopback() as server:
        resolve_to(monkeypatch, black_hole, ("127.0.0.1", server.port))
        assert send(transport, f"http://two.example:{server.port}", 2).status == 200


# -- trouble


def test_a_reset_in_the_middle_of_an_answer_is_a_reset(transport: HttpTransport) -> None:
    """Half an answer is none."""

    def half(visit: Visit) -> None:
        visit.read()
        visit.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        visit.reset()

    with Loopback(half) as server:
        assert trouble(transport, server.url).kind == "reset"


def test_an_answer_that_ends_early_is_a_reset(transport: HttpTransport) -> None:
    """An orderly end before the promised length is no answer either."""

    def short(visit: Visit) -> None:
        visit.read()
        visit.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    with Loopback(short) as server:
        assert trouble(transport, server.url).kind == "reset"


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX-A: 1\r\n", b"HTTP/1.1 200 OK\r\nConte"])
def test_an_answer_that_ends_in_its_headers_is_a_reset(
    transport: HttpTransport, head: bytes
) -> None:
    """It would pass for a 200 with an empty body."""

    def stop_early(visit: Visit) -> None:
        visit.read()
        visit.write(head)

    with Loopback(stop_early) as server:
        assert trouble(transport, server.url).kind == "reset"


def test_no_answer_at_all_is_a_reset(transport: HttpTransport) -> None:
    """The server hung up after the request."""
    with Loopback(lambda visit: visit.read() and None) as server:
        assert trouble(transport, server.url).kind == "reset"


def test_an_answer_that_is_no_http_is_a_protocol_error(transport: HttpTransport) -> None:
    """What the server said instead is not quoted."""

    def babble(visit: Visit) -> None:
        visit.read()
        visit.write(f"SSH-2.0 {KEY}\r\n\r\n".encode())

    with Loopback(babble) as server:
        assert trouble(transport, server.url).kind == "protocol"


def test_an_unknown_name_is_a_dns_error(transport: HttpTransport) -> None:
    """Names under .invalid never resolve."""
    assert trouble(transport, "http://penstock.invalid").kind == "dns"


def test_a_closed_port_is_a_connect_error(transport: HttpTransport) -> None:
    """Nobody listens there."""
    with Loopback() as server:
        pass
    assert trouble(transport, server.url).kind == "connect"


def test_a_closed_network_is_asked_first(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the network denied, nothing is opened."""
    monkeypatch.setenv("PENSTOCK_NETWORK", "deny")
    with Loopback() as server:
        assert trouble(transport, server.url).kind == "denied"
        assert server.connections == 0


# -- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def test_a_server_with_a_trusted_certificate_is_spoken_to(
    server_tls: ssl.SSLContext, ca_file: str
) -> None:
    """Over one kept connection."""
    transport = HttpTransport(tls=Tls(ca_file=ca_file))
    with Loopback(tls=server_tls) as server:
        answers = [send(transport, server.url) for _ in range(3)]
        assert [answer.status for answer in answers] == [200] * 3
        assert server.connections == 1
        transport.close()
    told = [answer.waited_s is not None for answer in answers]
    assert told == [sys.platform == "linux"] * 3


def test_a_server_with_an_unknown_certificate_is_not(
    transport: HttpTransport, server_tls: ssl.SSLContext
) -> None:
    """Nothing is sent, and the error says why."""
    with Loopback(tls=server_tls) as server:
        error = trouble(transport, server.url)
    assert error.kind == "tls"
    assert "certificate" in error.detail
    assert server.received == []


def test_a_certificate_for_another_name_is_not_enough(authority: trustme.CA, ca_file: str) -> None:
    """Trust in the authority is not trust in the server."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("other.example").configure_cert(context)
    transport = HttpTransport(tls=Tls(ca_file=ca_file))
    with Loopback(tls=context) as server:
        assert trouble(transport, server.url).kind == "tls"


def test_verification_can_be_switched_off(server_tls: ssl.SSLContext) -> None:
    """Without a warning for every request."""
    transport = HttpTransport(tls=Tls(verify=False))
    with Loopback(tls=server_tls) as server:
        assert send(transport, server.url).status == 200
        transport.close()


def test_a_server_may_ask_who_we_are(authority: trustme.CA, ca_file: str, tmp_path: Path) -> None:
    """The client's certificate is shown."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    own = tmp_path / "own.pem"
    authority.issue_cert("client.example").private_key_and_cert_chain_pem.write_to_path(str(own))
    transport = HttpTransport(tls=Tls(ca_file=ca_file, cert_file=str(own)))
    with Loopback(tls=context) as server:
        assert send(transport, server.url).status == 200
        transport.close()


def test_plain_http_behind_an_https_address_is_a_tls_error(transport: HttpTransport) -> None:
    """The handshake fails at once."""
    with Loopback(lambda visit: visit.answer()) as server:
        assert trouble(transport, f"https://localhost:{server.port}").kind == "tls"


def test_a_handshake_that_hangs_is_left_at_the_deadline(transport: HttpTransport) -> None:
    """A server that accepts and says nothing holds nobody, over TLS neither."""
    with Loopback(Visit.wait_for_hangup) as server:
        began = time.monotonic()
        assert trouble(transport, f"https://localhost:{server.port}", 0.3).kind == "timeout"
        assert time.monotonic() - began < 2


def test_tls_files_are_checked_when_they_are_named(tmp_path: Path) -> None:
    """Not on the first request, on a thread nobody watches."""
    with pytest.raises(ConfigError, match=r"tls\.ca_file"):
        Tls(ca_file=str(tmp_path / "missing.pem"))
    key = tmp_path / "key.pem"
    key.write_text("")
    with pytest.raises(ConfigError, match=r"tls\.key_file"):
        Tls(key_file=str(key))


def test_a_file_that_holds_no_certificate_is_a_tls_error(tmp_path: Path) -> None:
    """It is found when it is read."""
    path = tmp_path / "empty.pem"
    path.write_text("no certificate")
    error = trouble(HttpTransport(tls=Tls(ca_file=str(path))), "https://localhost:1")
    assert error.kind == "tls"


# -- redirects


def redirecting(status: int, *locations: str) -> Callable[[Visit], None]:
    """Redirect to each of *locations* in turn, by path; 200 elsewhere."""

    def script(visit: Visit) -> None:
        while received := visit.read():
            step = int(received.path.removeprefix("/hop") or 0) if "hop" in received.path else 0
            if step < len(locations):
                visit.answer(status, Location=locations[step])
            else:
                visit.answer(200, b"there")

    return script


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_within_the_origin_repeats_the_request(
    transport: HttpTransport, status: int
) -> None:
    """Same method, body and key: a POST never becomes a GET."""
    with Loopback(redirecting(status, "/hop1")) as server:
        assert transport.send(post(f"{server.url}/batch", b"{}"), 5).body == b"there"
    first, second = server.received
    assert (second.method, second.path, second.body) == ("POST", "/hop1", b"{}")
    assert second.headers["authorization"] == first.headers["authorization"]


def test_see_other_is_not_followed_by_a_post(transport: HttpTransport) -> None:
    """It asks for a GET, which would lose the events."""
    with Loopback(redirecting(303, "/hop1")) as server:
        assert transport.send(post(f"{server.url}/batch"), 5).status == 303
        assert transport.send(Request("GET", f"{server.url}/batch", {}, b""), 5).body == b"there"


def test_a_fourth_redirect_is_the_answer(transport: HttpTransport) -> None:
    """Three are followed, so a loop ends."""
    with Loopback(redirecting(307, "/hop1", "/hop2", "/hop3", "/hop4")) as server:
        assert transport.send(post(f"{server.url}/"), 5).status == 307
        assert [received.path for received in server.received] == ["/", "/hop1", "/hop2", "/hop3"]


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{other}/",
        "https://localhost:{own}/",
        "http://u@localhost:{own}/",
        "http://[/",
    ],
)
def test_another_origin_gets_nothing(transport: HttpTransport, location: str) -> None:
    """Another host, port, scheme or user: the redirect itself is the answer."""
    with Loopback() as other:
        holder: list[int] = []

        def script(visit: Visit) -> None:
            visit.read()
            visit.answer(307, Location=location.format(other=other.port, own=holder[0]))

        with Loopback(script) as server:
            holder.append(server.port)
            assert send(transport, server.url).status == 307
            assert len(server.received) == 1
        assert other.connections == 0


# -- proxies


def forwarding(visit: Visit) -> None:
    """A proxy as small as one can be: CONNECT makes a tunnel, anything else is answered."""
    received = visit.read()
    if received is None or received.method != "CONNECT":
        visit.answer(200, b"by the proxy")
        return
    host, _, port = received.path.partition(":")
    with socket.create_connection((host, int(port))) as onward:
        visit.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = threading.Thread(target=_pump, args=(onward, visit.sock))
        back.start()
        _pump(visit.sock, onward)
        back.join(5)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def test_http_goes_through_the_proxy() -> None:
    """The proxy gets the whole URL, and its own credentials."""
    with Loopback(forwarding) as proxy:
        transport = HttpTransport(f"http://user:p%40ss@localhost:{proxy.port}")
        response = transport.send(post("http://events.example/v1/batch"), 5)
        transport.close()
    assert response.body == b"by the proxy"
    (received,) = proxy.received
    assert received.path == "http://events.example/v1/batch"
    expected = base64.b64encode(b"user:p@ss").decode()
    assert received.headers["proxy-authorization"] == f"Basic {expected}"


def test_https_goes_through_a_tunnel(server_tls: ssl.SSLContext, ca_file: str) -> None:
    """The proxy sees a host name and no request, the server no proxy credentials."""
    with Loopback(tls=server_tls) as server, Loopback(forwarding) as proxy:
        transport = HttpTransport(f"u:p@localhost:{proxy.port}", Tls(ca_file=ca_file))
        assert [send(transport, server.url).status for _ in range(2)] == [200, 200]
        transport.close()
        (received,) = proxy.received
    assert (received.method, received.path) == ("CONNECT", f"localhost:{server.port}")
    assert "authorization" not in received.headers
    assert "proxy-authorization" not in server.received[0].headers


def test_a_proxy_may_itself_be_spoken_to_over_tls(server_tls: ssl.SSLContext, ca_file: str) -> None:
    """With the same trust as a server."""
    with Loopback(forwarding, server_tls) as proxy:
        address = f"https://localhost:{proxy.port}"
        transport = HttpTransport(address, Tls(ca_file=ca_file))
        assert transport.send(post("http://events.example/"), 5).body == b"by the proxy"
        transport.close()
        assert trouble(HttpTransport(address), "http://events.example").kind in {"tls", "proxy"}


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses_us_is_a_proxy_error(scheme: str) -> None:
    """407 says nothing about the events, so it must not end them."""
    with Loopback(lambda visit: visit.read() and visit.answer(407)) as proxy:
        error = trouble(HttpTransport(f"localhost:{proxy.port}"), f"{scheme}://events.example")
    assert (error.kind, error.detail) == ("proxy", "the proxy answered 407")


def test_a_proxy_that_is_not_there_is_a_proxy_error() -> None:
    """Whatever the reason."""
    with Loopback() as server:
        pass
    for place in (f"localhost:{server.port}", "penstock.invalid:3128"):
        assert trouble(HttpTransport(place), "http://events.example").kind == "proxy"


def test_a_proxy_that_hangs_is_left_at_the_deadline() -> None:
    """While connecting to it, and while it opens the tunnel."""
    with Loopback(Visit.wait_for_hangup) as proxy:
        error = trouble(HttpTransport(f"localhost:{proxy.port}"), "https://events.example", 0.3)
    assert error.kind == "timeout"


def test_the_environment_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for any other program; NO_PROXY is heeded, and an explicit empty proxy is none."""
    with Loopback(forwarding) as proxy, Loopback() as server:
        monkeypatch.setenv("http_proxy", f"http://localhost:{proxy.port}")
        assert send(HttpTransport(), server.url).body == b"by the proxy"
        assert send(HttpTransport(""), server.url).body == b"ok"
        monkeypatch.setenv("NO_PROXY", "example.com,localhost")
        assert send(HttpTransport(), server.url).body == b"ok"


def test_a_proxy_of_another_kind_is_refused_not_passed_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Going around a proxy in silence could be a leak."""
    monkeypatch.setenv("ALL_PROXY", "socks5://localhost:1080")
    with Loopback() as server:
        assert trouble(HttpTransport(), server.url).kind == "proxy"
        assert server.connections == 0


@pytest.mark.parametrize("proxy", ["ftp://proxy:21", "http://", "http://proxy:99999", "http://:3"])
def test_an_impossible_proxy_is_refused_at_once(proxy: str) -> None:
    """Named, before anything is sent."""
    with pytest.raises(ConfigError, match="proxy"):
        HttpTransport(proxy)


def test_no_repr_shows_a_proxys_password() -> None:
    """Nor an error about it."""
    assert "secret" not in repr(HttpTransport("http://user:secret@proxy.example:3128"))
    assert masked("http://user:secret@proxy:1/x") == "http://***@proxy:1/x"
    assert repr(ProxyRules("")) == "none"
    assert repr(ProxyRules()) == "from the environment"
    with pytest.raises(ConfigError) as caught:
        HttpTransport("ftp://user:secret@proxy:1")
    assert "secret" not in str(caught.value)


# -- fork


@requirement.FORK
def test_no_lock_of_a_pool_can_be_inherited_held(transport: HttpTransport) -> None:
    """A fork may happen in the middle of another thread's request; a shelf has nothing to hold."""
    manager = transport._new_manager("http://localhost:1", secure=False)
    for pool in (manager.connection_from_url(URL), transport._pool(_target(URL))):
        assert isinstance(pool.pool, _Shelf)
        assert set(vars(pool.pool)) == {"_idle", "_room"}


def in_a_child(work: Callable[[], Any]) -> bool:
    """Whether *work* returned something true in a forked child."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: threads are running
        pid = os.fork()
    if pid == 0:
        code = 1
        with suppress(BaseException):
            code = 0 if work() else 1
        os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) == 0


def test_a_child_uses_connections_of_its_own(transport: HttpTransport) -> None:
    """The parent's connection is left alone, and goes on working."""
    with Loopback() as server:
        send(transport, server.url)
        assert in_a_child(lambda: send(transport, server.url).status == 200)
        assert send(transport, server.url).status == 200
        assert [received.connection for received in server.received] == [1, 2, 1]


def test_a_child_leaves_the_parents_tls_connection_alone(
    server_tls: ssl.SSLContext, ca_file: str
) -> None:
    """A closing message from the child would end the parent's session."""
    transport = HttpTransport(tls=Tls(ca_file=ca_file))
    with Loopback(tls=server_tls) as server:
        send(transport, server.url)

        def child() -> bool:
            fine = send(transport, server.url).status == 200
            transport.close()
            return fine

        assert in_a_child(child)
        assert send(transport, server.url).status == 200
        assert [received.connection for received in server.received] == [1, 2, 1]
        transport.close()
