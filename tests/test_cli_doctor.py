"""``penstock doctor``: which hop fails, and what will probably help."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from cli_host import KEY, CliHost, Ended, url_of
from faults.rules import BLACK_HOLE, Always, Answer, status
from penstock.cli import _hops
from penstock.cli._exit import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faults.sink import FaultSink

HOPS = ["settings", "journal", "dns", "connect", "tls", "request", "answer"]


@pytest.fixture
def cli(tmp_path: Path) -> CliHost:
    return CliHost(tmp_path)


def failed(ended: Ended) -> dict[str, Any]:
    """The only destination's hop that failed, which is the last one tried."""
    (destination,) = ended.data["destinations"]
    last = destination["hops"][-1]
    assert not destination["ok"]
    assert last["ok"] is False
    assert destination["failed"] == last["hop"]
    assert last["fix"]
    found: dict[str, Any] = last
    return found


@pytest.mark.parametrize("dialect", ["segment", "rudderstack", "dreamdata", "posthog"])
def test_a_clear_way_is_said_to_be_clear(cli: CliHost, sink: FaultSink, dialect: str) -> None:
    """A real event goes out in the vendor's own format."""
    ended = cli.run("doctor", "--to", url_of(sink, dialect))
    assert ended.code == 0, ended.err
    (destination,) = ended.data["destinations"]
    assert [hop["hop"] for hop in destination["hops"]] == HOPS
    assert [hop["ok"] for hop in destination["hops"]] == [True] * 4 + [None] + [True] * 2
    (event,) = sink.events
    assert event["event"] == "Penstock Canary"


def test_the_vendors_verdict_on_the_event_counts(cli: CliHost, sink: FaultSink) -> None:
    """PostHog's second protocol answers 200 and drops the event all the same."""

    def drop(exchange: Any) -> Answer:
        results = {event["uuid"]: {"result": "drop"} for event in exchange.events}
        return Answer(200, body=json.dumps({"results": results}).encode())

    sink.plan(drop)
    ended = cli.run("doctor", "--to", url_of(sink, "posthog") + "?capture_mode=v1")
    assert ended.code == 16
    assert failed(ended)["hop"] == "answer"


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        (401, "write key"),
        (403, "write key"),
        (404, "endpoint"),
        (400, "dialect"),
        (413, "proxy"),
        (503, "later"),
    ],
)
def test_an_answer_that_refuses_is_explained(
    cli: CliHost, sink: FaultSink, code: int, fix: str
) -> None:
    """The status, and what it usually means."""
    sink.plan(Always(status(code)))
    ended = cli.run("doctor", "--to", url_of(sink))
    assert ended.code == 16
    hop = failed(ended)
    assert str(code) in hop["detail"]
    assert fix in hop["fix"]


def test_a_server_that_never_answers_fails_the_request(cli: CliHost, sink: FaultSink) -> None:
    """After the time given."""
    sink.plan(Always(BLACK_HOLE))
    ended = cli.run("doctor", "--to", url_of(sink), "--timeout", "0.3")
    assert ended.code == 15
    assert failed(ended)["hop"] == "request"


def test_a_port_where_nobody_listens_fails_the_connection(cli: CliHost, sink: FaultSink) -> None:
    """The fix speaks of the port."""
    sink.stop()
    ended = cli.run("doctor", "--to", url_of(sink))
    assert ended.code == 13
    assert "port" in failed(ended)["fix"]


def test_a_name_without_an_address_fails_the_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fix speaks of names."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setenv("PENSTOCK_NETWORK", "allow")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    trace = _hops.Trace()
    way = _hops.Way("https://nowhere.example", 1.0)
    with pytest.raises(_hops.Broken), trace.hop("dns", Exit.DNS):
        way.resolve()
    assert trace.failed is not None
    assert (trace.failed.name, trace.failed.code) == ("dns", 12)
    assert "nowhere.example" in trace.failed.detail
    assert "name" in trace.failed.fix


def test_a_journal_that_cannot_be_written_is_the_first_to_fail(
    cli: CliHost, sink: FaultSink
) -> None:
    """Nothing is sent then."""
    (cli.root / "file").write_text("not a directory")
    ended = cli.run("doctor", "--to", url_of(sink), "--journal", cli.root / "file" / "below")
    assert ended.code == 11
    assert "--journal" in failed(ended)["fix"]
    assert sink.exchanges == []


def test_a_full_disk_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the journal finds it."""
    monkeypatch.setattr(_hops, "MIN_FREE_BYTES", 1 << 62)
    with pytest.raises(_hops.Broken, match="MiB free"):
        _hops.check_journal(tmp_path)


def test_settings_that_cannot_be_are_the_first_hop(cli: CliHost) -> None:
    """A URL nobody can read, or a network that is denied."""
    ended = cli.run("doctor", "--to", "segment://KEY@host?speed=fast")
    assert ended.code == 10
    assert failed(ended)["hop"] == "settings"
    ended = cli.run("doctor", "--to", "segment://KEY@host", PENSTOCK_NETWORK="deny")
    assert ended.code == 10
    assert "PENSTOCK_NETWORK" in failed(ended)["fix"]


def test_a_proxy_is_the_place_to_connect_to(cli: CliHost, sink: FaultSink) -> None:
    """The hops go the way the events go, and its password is not shown."""
    sink.stop()
    ended = cli.run(
        *("doctor", "--to", f"segment+http://{KEY}@127.0.0.1:1"),
        http_proxy=f"http://user:hunter2@127.0.0.1:{sink.port}",
        no_proxy="",
    )
    assert ended.code == 13
    assert str(sink.port) in failed(ended)["detail"]
    assert "hunter2" not in ended.out + ended.err


def test_each_destination_is_examined(cli: CliHost, sink: FaultSink) -> None:
    """One that works does not hide one that does not."""
    sink.plan(lambda exchange: status(401) if exchange.request.path == "/batch/" else None)
    ended = cli.run("doctor", "--to", url_of(sink), "--to", url_of(sink, "posthog"))
    assert ended.code == 16
    found = {one["destination"]: one["ok"] for one in ended.data["destinations"]}
    assert found == {"Segment": True, "PostHog": False}


def test_no_output_shows_the_key(cli: CliHost, sink: FaultSink) -> None:
    """Neither in words nor in JSON, neither in health nor in sickness."""
    sink.plan(lambda exchange: Answer(401, body=exchange.request.body))
    ended = [
        cli.run("doctor", "--to", url_of(sink, "posthog")),
        cli.on_terminal("doctor", "--to", url_of(sink)),
        cli.run("doctor", "--to", f"segment://{KEY}@host?speed=fast"),
    ]
    assert all(KEY not in one.out + one.err for one in ended)


def test_a_terminal_sees_the_hops_in_words(cli: CliHost, sink: FaultSink) -> None:
    """Each with its mark, and a hint below the one that fails."""
    sink.plan(Always(status(401)))
    drawn = cli.on_terminal("doctor", "--to", url_of(sink))
    assert drawn.code == 16
    assert "FAIL answer" in drawn.out
    assert "write key is not accepted" in drawn.out


# -- TLS -----------------------------------------------------------------------------------


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_port(authority: trustme.CA) -> Iterator[int]:
    """A server that shakes hands and does nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_a_certificate_nobody_vouches_for_fails_the_handshake(cli: CliHost, tls_port: int) -> None:
    """The fix speaks of trust."""
    ended = cli.run("doctor", "--to", f"segment://{KEY}@localhost:{tls_port}")
    assert ended.code == 14
    assert "not trusted" in failed(ended)["fix"]


def test_a_certificate_that_is_trusted_passes(
    cli: CliHost, tls_port: int, authority: trustme.CA, tmp_path: Path
) -> None:
    """The next hop is the request, which this server does not answer."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    ended = cli.run(
        *("doctor", "--to", f"segment://{KEY}@localhost:{tls_port}"),
        SSL_CERT_FILE=str(tmp_path / "ca.pem"),
    )
    assert ended.code == 15
    hops = {hop["hop"]: hop for hop in ended.data["destinations"][0]["hops"]}
    assert hops["tls"]["ok"] is True
    assert hops["tls"]["detail"].startswith("TLSv1")


def test_a_plain_server_on_a_tls_address_fails_the_handshake(cli: CliHost, sink: FaultSink) -> None:
    """The fix asks for the scheme."""
    ended = cli.run("doctor", "--to", f"segment+https://{KEY}@127.0.0.1:{sink.port}")
    assert ended.code == 14
    assert "http://" in failed(ended)["fix"]
