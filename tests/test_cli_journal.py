"""``penstock drain`` and ``penstock ledger``: what others left, and where everything is."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from cli_host import KEY, CliHost, Ended, url_of
from faults.rules import Always, Answer, status

if TYPE_CHECKING:
    from pathlib import Path

    from faults.sink import FaultSink


@pytest.fixture
def cli(tmp_path: Path) -> CliHost:
    return CliHost(tmp_path)


def leave(cli: CliHost, sink: FaultSink, count: int, *more: str) -> set[str]:
    """Events of processes that ended while the server was down."""
    sink.stop()
    found = set()
    for number in range(count):
        ended = cli.run(
            *("send", "track", "--user-id", f"u{number}", "--event", "E", "--timeout", "0.05"),
            *("--to", url_of(sink), *more),
        )
        assert ended.code == 3, ended.err
        found.add(ended.data["message_id"])
    sink.start()
    return found


def drain(cli: CliHost, sink: FaultSink, *options: object) -> Ended:
    return cli.run("drain", *options, "--to", url_of(sink))


def test_drain_delivers_what_dead_processes_left(cli: CliHost, sink: FaultSink) -> None:
    """All of it, then says that nothing is left."""
    left = leave(cli, sink, 3)
    ended = drain(cli, sink)
    assert ended.code == 0, ended.err
    assert ended.data["status"] == "drained"
    assert ended.data["ledger"]["delivered"] == 3
    assert sink.accepted == left
    again = drain(cli, sink)
    assert (again.code, again.data["ledger"]["delivered"]) == (0, 0)
    assert sink.duplicates == {}


def test_drain_takes_a_directory(cli: CliHost, sink: FaultSink) -> None:
    """The journal's root, or the part of it that belongs to these destinations."""
    left = leave(cli, sink, 2)
    (part,) = {path.parent for path in cli.journal.rglob("lane-*")}
    ended = cli.run("drain", part, "--to", url_of(sink), PENSTOCK_JOURNAL=str(cli.root / "other"))
    assert ended.code == 0, ended.err
    assert sink.accepted == left
    left |= leave(cli, sink, 1)
    cli.run("drain", cli.journal, "--to", url_of(sink), PENSTOCK_JOURNAL=str(cli.root / "other"))
    assert sink.accepted == left


def test_drain_refuses_a_directory_of_other_destinations(cli: CliHost, sink: FaultSink) -> None:
    """Sending one tool's events to another would be worse than not sending them."""
    leave(cli, sink, 1)
    (part,) = {path.parent for path in cli.journal.rglob("lane-*")}
    ended = cli.run("drain", part, "--to", url_of(sink, "rudderstack"))
    assert ended.code == 2
    assert "other destinations" in ended.err
    assert sink.accepted == set()


def test_drain_tells_what_it_left_alone(cli: CliHost, sink: FaultSink) -> None:
    """Events for destinations that were not named, by name and number."""
    leave(cli, sink, 2, "--to", url_of(sink, "rudderstack"))
    ended = drain(cli, sink)
    assert ended.code == 0, ended.err
    assert ended.data["others"] == [{"destinations": ["RudderStack", "Segment"], "pending": 4}]
    ended = drain(cli, sink, "--to", url_of(sink, "rudderstack"))
    assert (ended.data["ledger"]["delivered"], ended.data["others"]) == (4, [])


def test_drain_gives_up_after_its_time(cli: CliHost, sink: FaultSink) -> None:
    """Exit code 3; the events stay where they are."""
    left = leave(cli, sink, 2)
    sink.plan(Always(status(503)))
    ended = drain(cli, sink, "--timeout", "0.5")
    assert ended.code == 3
    assert (ended.data["status"], ended.data["ledger"]["pending"]) == ("pending", 2)
    sink.plan()
    assert drain(cli, sink).code == 0
    assert sink.accepted == left


def test_drain_tells_of_what_is_refused(cli: CliHost, sink: FaultSink) -> None:
    """Exit code 4."""
    leave(cli, sink, 2)
    sink.plan(Always(status(401)))
    ended = drain(cli, sink)
    assert ended.code == 4
    assert ended.data["ledger"]["dead"] == {"rejected": 2}


def test_drain_leaves_living_processes_alone(cli: CliHost, sink: FaultSink, tmp_path: Path) -> None:
    """What a live importer holds is its own to send."""
    file = tmp_path / "rows.csv"
    file.write_text("u\n" + "".join(f"{n}\n" for n in range(20)))
    sink.plan(Always(Answer(ending="hang", stored=False)))
    alive = cli.start("import", file, "--to", url_of(sink), "--user-column", "u", "--event", "E")
    sink.wait_for_requests(1)
    ended = drain(cli, sink)
    assert (ended.code, ended.data["ledger"]["accepted"]) == (0, 0)
    alive.send_signal(signal.SIGKILL)
    alive.communicate()
    sink.plan()
    assert drain(cli, sink).data["ledger"]["delivered"] == 20


def test_the_ledger_counts_every_process_that_ever_was(cli: CliHost, sink: FaultSink) -> None:
    """Delivered and gone, dead and pending: accepted is their sum."""
    cli.run("send", "track", "--user-id", "u", "--event", "E", "--to", url_of(sink))
    leave(cli, sink, 2)
    ended = cli.run("ledger")
    assert ended.code == 0, ended.err
    ledger = ended.data["ledger"]
    assert (ledger["accepted"], ledger["delivered"], ledger["pending"]) == (3, 1, 2)
    assert ledger["balanced"]
    drain(cli, sink)
    ledger = cli.run("ledger", cli.journal).data["ledger"]
    assert (ledger["accepted"], ledger["delivered"], ledger["pending"]) == (3, 3, 0)
    assert ledger["balanced"]


def test_the_ledger_can_be_read_while_a_process_works(
    cli: CliHost, sink: FaultSink, tmp_path: Path
) -> None:
    """It changes nothing and takes no lock."""
    file = tmp_path / "rows.csv"
    file.write_text("u\n" + "".join(f"{n}\n" for n in range(20)))
    sink.plan(Always(Answer(ending="hang", stored=False)))
    alive = cli.start("import", file, "--to", url_of(sink), "--user-column", "u", "--event", "E")
    sink.wait_for_requests(1)
    ledger = cli.run("ledger").data["ledger"]
    assert (ledger["accepted"], ledger["pending"], ledger["balanced"]) == (20, 20, True)
    assert alive.poll() is None
    alive.kill()
    alive.communicate()


def test_the_ledger_tells_destinations_apart(cli: CliHost, sink: FaultSink) -> None:
    """A journal of each set of destinations, and their sum."""
    cli.run("send", "track", "--user-id", "u", "--event", "E", "--to", url_of(sink))
    cli.run("send", "track", "--user-id", "u", "--event", "E", "--to", url_of(sink, "rudderstack"))
    found = cli.run("ledger").data
    assert len(found["journals"]) == 2
    assert found["ledger"]["destinations"].keys() == {"Segment", "RudderStack"}
    one = cli.run("ledger", found["journals"][0]["directory"]).data
    assert one["ledger"] == found["journals"][0]["ledger"]


def test_an_empty_place_has_an_empty_ledger(cli: CliHost) -> None:
    """And a directory that is not there is a wrong command line."""
    found = cli.run("ledger").data
    assert (found["journals"], found["ledger"]["accepted"]) == ([], 0)
    assert cli.run("ledger", cli.root / "nowhere").code == 2
    assert "no journal here" in cli.on_terminal("ledger").out


def test_a_terminal_sees_the_ledger_as_a_table(cli: CliHost, sink: FaultSink) -> None:
    """With the destination's name and no key."""
    leave(cli, sink, 1)
    drawn = [
        cli.on_terminal("ledger"),
        cli.on_terminal("drain", "--to", url_of(sink)),
        cli.on_terminal("ledger"),
    ]
    assert all("Segment" in ended.out and ended.code == 0 for ended in drawn)
    assert all(KEY not in ended.out for ended in drawn)
