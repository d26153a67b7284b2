"""
What a failing server, or the network before it, costs: time, and never an event untold.

The catalogue is `faults.troubles`; real programs meet each in every dialect. Outages, limits and
kills have files of their own.
"""

from __future__ import annotations

import datetime as dt
import signal
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

import proving
from faults import rules
from faults.troubles import FINAL, PORTAL, TRANSIENT
from faults.world import DIALECTS, EXIT_TIMEOUT, SLACK_S, polite, reckon

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faults.world import World
    from proving import Proof

    MakeWorld = Callable[..., World]

#: What `test_outages.py` does not try, with one dialect in turn; or every trouble with all.
QUICK = (
    "reset in the answer",
    "answer cut in the headers",
    "answer cut in the body",
    "a byte now and then",
    "more sent than announced",
    "headers without end",
    "redirect on the same server",
)
PAIRS = proving.scale(
    list(zip(QUICK, (*DIALECTS, *DIALECTS), strict=False)),
    [(name, dialect) for name in TRANSIENT for dialect in DIALECTS],
)
EVENTS = 250


@pytest.mark.proves("faults of the server", "each alone, every dialect")
@pytest.mark.parametrize(("trouble", "dialect"), PAIRS)
def test_a_passing_trouble_costs_time_only(
    make_world: MakeWorld, proof: Proof, trouble: str, dialect: str
) -> None:
    """Everything arrives, from the same process; what arrives twice has had no whole answer."""
    world = make_world()
    world.sink.plan(rules.Run(*TRANSIENT[trouble]()), *polite(dialect))
    life = world.play(dialect, f"track:{EVENTS}", "flush:30", "close:1")
    reckon(world, life, proof=proof)
    assert len(world.sink.accepted) == EVENTS


@pytest.mark.proves("faults of the server", "a last word")
@pytest.mark.parametrize("trouble", proving.scale(["redirect to another server"], list(FINAL)))
def test_a_last_word_costs_that_batch_and_is_told(
    make_world: MakeWorld, proof: Proof, trouble: str
) -> None:
    """``dead(rejected)``: counted, told by the callback, kept as dead letters."""
    world = make_world()
    world.sink.plan(rules.Run(*FINAL[trouble]()))
    life = world.play("segment", f"track:{EVENTS}", "settle:30", f"track:{EVENTS}", "close:30")
    reckon(world, life, proof=proof, reasons={"rejected"})
    assert len(world.dead) == EVENTS
    assert "events are dead: rejected" in life.output
    (letters,) = world.journal.glob("*/dead.jsonl")
    assert len(letters.read_text().splitlines()) == EVENTS


@pytest.mark.proves("faults of the server", "poison")
@pytest.mark.parametrize("dialect", proving.scale(["dreamdata"], DIALECTS))
def test_one_poison_event_dies_alone(make_world: MakeWorld, proof: Proof, dialect: str) -> None:
    """400 for any batch that holds it: the batch is halved down to it, the others arrive once."""
    world = make_world()
    world.sink.plan(rules.poison({"Poison"}), *polite(dialect))
    life = world.play(dialect, "track:60", "poison", "track:60", "close:30")
    reckon(world, life, proof=proof, reasons={"rejected"})
    assert list(world.dead) == [world.noted[60]]
    assert world.sink.duplicates == {}


@pytest.mark.proves("faults of the server", "verdicts")
def test_verdicts_are_obeyed_event_by_event(make_world: MakeWorld, proof: Proof) -> None:
    """PostHog V1 drops one event and asks for the others again: they come, without it."""
    world = make_world()
    verdicts = {"Poison": ["drop"], "Order Completed": ["retry"] * 60 + ["ok"]}
    world.sink.plan(rules.Verdicts(verdicts))
    life = world.play("posthog_v1", "track:60", "poison", "close:30")
    reckon(world, life, proof=proof, reasons={"rejected"})
    assert list(world.dead) == [world.noted[60]]
    assert world.sink.duplicates == {}


@pytest.mark.proves("faults of the server", "too large")
@pytest.mark.parametrize("dialect", proving.scale(["posthog"], DIALECTS))
def test_a_server_of_small_appetite_gets_smaller_batches(
    make_world: MakeWorld, proof: Proof, dialect: str
) -> None:
    """413 above 2 kB of compressed body."""
    world = make_world()
    world.sink.plan(rules.too_large(2000), *polite(dialect))
    life = world.play(dialect, f"track:{EVENTS}", "close:30")
    reckon(world, life, proof=proof)
    assert len(world.sink.accepted) == EVENTS


@pytest.mark.proves("faults of the server", "wrong content")
@pytest.mark.parametrize("dialect", proving.scale(["rudderstack"], DIALECTS[:-1]))
def test_a_captive_portal_is_not_believed(
    make_world: MakeWorld, proof: Proof, dialect: str
) -> None:
    """It says 200 to everything, with a web page: the events wait until the server answers."""
    world = make_world()
    portal = rules.Always(rules.Answer(body=PORTAL, stored=False))
    world.sink.plan(portal)
    life = world.play(dialect, f"track:{EVENTS}", "flush:0.5", "os_exit")
    assert life.told("ledger")["delivered"] == 0
    portal.lift()
    after = world.recover(dialect)
    reckon(world, life, after, proof=proof)
    assert len(world.sink.accepted) == EVENTS


@pytest.mark.proves("faults of the server", "wrong content")
@pytest.mark.parametrize("body", [PORTAL, *proving.scale([], [b'{"results":{"a', b"", b"[]"])])
def test_an_answer_without_verdicts_is_no_verdict(
    make_world: MakeWorld, proof: Proof, body: bytes
) -> None:
    """PostHog V1: a 200 that is no JSON object is final by the protocol; each event is told."""
    world = make_world()
    world.sink.plan(rules.Run(rules.Answer(body=body, stored=False)), *polite("posthog_v1"))
    life = world.play("posthog_v1", "track:50", "close:30")
    reckon(world, life, proof=proof, reasons={"rejected"})
    assert len(world.dead) == 50


# -- connections -------------------------------------------------------------------------------


@pytest.mark.proves("faults of the server", "connections")
@pytest.mark.parametrize(
    ("welcome", "secure"),
    [("reset", True), ("hang", False), *proving.scale([], [("reset", False), ("hang", True)])],
)
def test_connections_that_come_to_nothing_cost_time_only(
    make_world: MakeWorld, proof: Proof, authority: Authority, welcome: str, *, secure: bool
) -> None:
    """Reset as soon as they are made, in the TLS handshake too, or taken and never read."""
    world = make_world(tls=authority.serving("127.0.0.1") if secure else None)
    world.sink.welcome = welcome
    environment = {"CA_FILE": str(authority.file)}
    life = world.play("segment", f"track:{EVENTS}", "flush:0.5", "plain", **environment)
    world.heal("segment")
    after = world.recover("segment", **environment)
    reckon(world, life, after, proof=proof)
    assert len(world.sink.accepted) == EVENTS


class Authority:
    """
    Whom the programs trust, and certificates of it and of others.

    Args:
        directory: Where its own certificate is kept.
    """

    def __init__(self, directory: Path) -> None:
        self._ca = trustme.CA()
        self.file = directory / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def serving(self, name: str, **validity: dt.datetime) -> ssl.SSLContext:
        """A server's context with a certificate for *name*."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(name, **validity).configure_cert(context)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """One that the programs are told to trust by ``CA_FILE``."""
    return Authority(tmp_path)


@pytest.mark.proves("faults of the server", "TLS")
@pytest.mark.parametrize("wrong", proving.scale(["expired"], ["authority", "name", "expired"]))
def test_a_wrong_certificate_gets_no_event(
    make_world: MakeWorld, proof: Proof, authority: Authority, tmp_path: Path, wrong: str
) -> None:
    """Events wait until the certificate is in order; not one is given to whoever it was."""
    past = dt.datetime.now(dt.UTC) - dt.timedelta(days=2)
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    context = {
        "authority": lambda: Authority(stranger).serving("127.0.0.1"),
        "name": lambda: authority.serving("elsewhere.example"),
        "expired": lambda: authority.serving(
            "127.0.0.1", not_before=past, not_after=past + dt.timedelta(days=1)
        ),
    }[wrong]()
    world = make_world(tls=context)
    environment = {"CA_FILE": str(authority.file)}
    life = world.play("segment", f"track:{EVENTS}", "flush:0.5", "plain", **environment)
    assert world.sink.exchanges == []
    world.sink.tls = authority.serving("127.0.0.1")
    after = world.recover("segment", **environment)
    reckon(world, life, after, proof=proof)
    assert len(world.sink.accepted) == EVENTS


# -- the network -------------------------------------------------------------------------------


@pytest.mark.proves("faults of the server", "black holes")
def test_packets_that_vanish_cost_time_only(make_world: MakeWorld, proof: Proof) -> None:
    """Connects and requests under way go unanswered, nobody says no; then they get through."""
    world = make_world(network=True)
    slow = rules.Always(rules.Answer(wait_s=0.3))
    world.sink.plan(slow)
    running = world.begin("segment", "track:1000", "ready", "track:1000", "flush:1", "close:30")
    running.wait_for("ready")
    world.sink.wait_for_requests(1)
    world.cut_network()
    running.signal(signal.SIGUSR1)
    running.wait_for("over_s")
    slow.lift()
    world.mend_network()
    life = running.wait()
    reckon(world, life, proof=proof)
    assert len(world.sink.accepted) == 2000


@pytest.mark.proves("faults of the server", "black holes")
@pytest.mark.parametrize("ending", proving.scale(["plain"], ["plain", "exception", "sigkill"]))
def test_a_network_that_is_dead_from_the_start_holds_no_exit(
    make_world: MakeWorld, proof: Proof, ending: str
) -> None:
    """No SYN is answered: the exit takes its timeout, and the next process delivers."""
    world = make_world(network=True)
    world.cut_network()
    life = world.play("segment", "track:1000", "wait:0.2", "flush:0.3", ending)
    if ending == "plain":
        assert life.at - life.told("ended_at") < EXIT_TIMEOUT + SLACK_S
    world.mend_network()
    after = world.recover("segment")
    reckon(world, life, after, proof=proof)
    assert len(world.sink.accepted) == 1000


@pytest.mark.proves("faults of the server", "DNS")
def test_a_name_that_does_not_resolve_costs_time_only(make_world: MakeWorld, proof: Proof) -> None:
    """The record comes back while the process lives."""
    world = make_world(network=True)
    environment = world.named("sink.test")
    running = world.begin("segment", "track:500", "flush:0.5", "ready", "close:30", **environment)
    running.wait_for("ready")
    assert world.sink.exchanges == []
    world.publish("sink.test")
    running.signal(signal.SIGUSR1)
    life = running.wait()
    reckon(world, life, proof=proof)
    assert len(world.sink.accepted) == 500


@pytest.mark.proves("faults of the server", "DNS")
def test_a_resolver_that_never_answers_holds_nobody(make_world: MakeWorld, proof: Proof) -> None:
    """A lookup cannot be interrupted, but ``flush``, ``close`` and the exit do not wait for it."""
    world = make_world(network=True)
    environment = world.named("sink.test")
    silent = world.silent_resolver()
    life = world.play("segment", "track:500", "wait:0.2", "flush:0.5", "plain", **environment)
    assert life.at - life.told("ended_at") < EXIT_TIMEOUT + SLACK_S
    silent.close()
    world.publish("sink.test")
    after = world.recover("segment", **environment)
    reckon(world, life, after, proof=proof)
    assert len(world.sink.accepted) == 500
