"""``penstock import``: every row, once, whatever happens on the way."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from cli_host import KEY, CliHost, Ended, url_of
from faults.rules import Always, Answer, status
from penstock.delivery.engine import journal_directory
from penstock.destinations import destination_from_url
from penstock.importing import MessageIds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from faults.sink import FaultSink
    from penstock.cli._importing import Job

OPTIONS = (
    *("--event", "Order Completed", "--user-column", "customer"),
    *("--timestamp-column", "at", "--set", "currency=USD"),
)

#: Rows of a large file.
MANY = 8_000


@pytest.fixture
def cli(tmp_path: Path) -> CliHost:
    return CliHost(tmp_path)


def orders(path: Path, count: int, *, more: Iterable[str] = ()) -> Path:
    """Orders of which every tenth repeats the one before."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["customer", "at", "quantity", "revenue"])
        for number in range(count):
            n = number - (number % 10 == 9)
            writer.writerow(
                [f"{n % 97:05}", f"1997-{n % 12 + 1:02}-01", n % 7, f"{n * 7 / 100:.2f}"]
            )
        file.writelines(f"{line}\n" for line in more)
    return path


def wanted_ids(path: Path, count: int) -> set[str]:
    content = path.read_bytes()
    content = gzip.decompress(content) if path.suffix == ".gz" else content
    ids = MessageIds(hashlib.sha256(content).hexdigest())
    return {ids.of(number, "track", "Order Completed") for number in range(1, count + 1)}


def run(cli: CliHost, file: Path, sink: FaultSink, *options: object, **environment: str) -> Ended:
    return cli.run("import", file, "--to", url_of(sink), *OPTIONS, *options, **environment)


def test_rows_arrive_as_events_of_their_time(cli: CliHost, sink: FaultSink, tmp_path: Path) -> None:
    """Properties typed, ids kept as text, the constant in each."""
    ended = run(cli, orders(tmp_path / "orders.csv", 30), sink)
    assert ended.code == 0, ended.err
    assert {key: ended.data[key] for key in ("status", "rows", "sent", "rejected", "complete")} == {
        "status": "imported",
        "rows": 30,
        "sent": 30,
        "rejected": 0,
        "complete": True,
    }
    assert ended.data["ledger"]["delivered"] == 30
    assert sink.accepted == wanted_ids(tmp_path / "orders.csv", 30)
    events = {event["messageId"]: event for event in sink.events}
    third = MessageIds(ended.data["sha256"]).of(3, "track", "Order Completed")
    assert {
        "type": "track",
        "event": "Order Completed",
        "userId": "00002",
        "timestamp": "1997-03-01T00:00:00.000Z",
        "properties": {"currency": "USD", "quantity": 2, "revenue": 0.14},
    }.items() <= events[third].items()


def test_a_second_run_adds_nothing_and_says_so(
    cli: CliHost, sink: FaultSink, tmp_path: Path
) -> None:
    """No request is made, not even a small one."""
    file = orders(tmp_path / "orders.csv", 50)
    run(cli, file, sink)
    requests = len(sink.exchanges)
    again = run(cli, file, sink)
    assert again.code == 0
    assert again.data["status"] == "already imported"
    assert len(sink.exchanges) == requests


def test_no_resume_sends_again_under_the_same_ids(
    cli: CliHost, sink: FaultSink, tmp_path: Path
) -> None:
    """A receiver that knows ids counts nothing twice."""
    file = orders(tmp_path / "orders.csv", 50)
    run(cli, file, sink)
    assert run(cli, file, sink, "--no-resume").data["resumed_after"] == 0
    assert len(sink.accepted) == 50
    assert set(sink.duplicates.values()) == {1}


def test_killed_and_run_again_it_loses_nothing_and_invents_nothing(
    cli: CliHost, sink: FaultSink, tmp_path: Path
) -> None:
    """SIGKILL at three moments; ids are reconciled, and what came twice was in flight."""
    count = 30_000
    file = orders(tmp_path / "orders.csv", count)
    sink.plan(lambda _: Answer(wait_s=0.01))
    for stored in (500, 5_000, 12_000):
        process = cli.start("import", file, "--to", url_of(sink), *OPTIONS)
        sink.wait_for_events(stored)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert len(sink.accepted) < count
    sink.plan()
    ended = run(cli, file, sink)
    assert ended.code == 0, ended.err
    assert ended.data["rows"] == ended.data["sent"] == count
    assert sink.accepted == wanted_ids(file, count)
    assert run(cli, file, sink).data["status"] == "already imported"


def test_bad_rows_are_set_aside_and_the_rest_is_imported(
    cli: CliHost, sink: FaultSink, tmp_path: Path
) -> None:
    """Exit code 5, and a file that says which rows and why."""
    more = ["1,1997-01-01,2", ",1997-01-01,1,1.00", "7,yesterday,1,1.00", '8,"1997-01-01"x,1,1.00']
    file = orders(tmp_path / "orders.csv", 20, more=more)
    ended = run(cli, file, sink)
    assert ended.code == 5, ended.err
    assert (ended.data["sent"], ended.data["rejected"]) == (20, 4)
    assert sink.accepted == wanted_ids(file, 20)
    path = tmp_path / "orders.csv.rejects.jsonl"
    assert ended.data["rejects"] == str(path)
    rejects = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(reject["row"], reject["line"], reject["raw"]) for reject in rejects] == [
        (21 + index, 22 + index, line) for index, line in enumerate(more)
    ]
    reasons = [reject["reason"] for reject in rejects]
    assert "4 columns expected, 3 found" in reasons[0]
    assert "user_id" in reasons[1]
    assert "at: not an RFC 3339 time" in reasons[2]
    assert "expected after" in reasons[3]


def test_a_row_above_the_size_limit_is_a_bad_row(
    cli: CliHost, sink: FaultSink, tmp_path: Path
) -> None:
    """Nothing that was read ends as a number in a ledger alone."""
    file = orders(tmp_path / "orders.csv", 3, more=[f"9,1997-01-01,1,{'x' * 40_000}"])
    ended = run(cli, file, sink)
    assert (ended.code, ended.data["sent"], ended.data["rejected"]) == (5, 3, 1)
    assert "32768" in (tmp_path / "orders.csv.rejects.jsonl").read_text()


def test_a_dry_run_checks_every_row_and_sends_none(cli: CliHost, tmp_path: Path) -> None:
    """No destination is needed, and neither journal nor rejects file is made."""
    file = orders(tmp_path / "orders.csv", 40, more=["1,yesterday,2,3.00"])
    ended = cli.run("import", file, *OPTIONS, "--dry-run")
    assert ended.code == 5, ended.err
    assert ended.data["status"] == "dry run"
    assert (ended.data["rows"], ended.data["sent"], ended.data["rejected"]) == (41, 40, 1)
    assert [message["userId"] for message in ended.data["sample"]] == ["00000", "00001", "00002"]
    assert not cli.journal.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["orders.csv"]
    ended = cli.run("import", file, *OPTIONS, "--dry-run", "--rejects", "bad.jsonl")
    assert len((tmp_path / "bad.jsonl").read_text().splitlines()) == 1


def test_with_the_server_down_it_gives_up_and_loses_nothing(
    cli: CliHost, sink: FaultSink, tmp_path: Path
) -> None:
    """Exit code 3; the same command later delivers, and reads no row again."""
    file = orders(tmp_path / "orders.csv", 500)
    sink.stop()
    first = run(cli, file, sink, "--timeout", "0.5")
    assert first.code == 3
    assert (first.data["status"], first.data["complete"]) == ("pending", True)
    assert first.data["ledger"]["pending"] == 500
    sink.start()
    second = run(cli, file, sink)
    assert second.code == 0, second.err
    assert (second.data["resumed_after"], second.data["ledger"]["delivered"]) == (500, 500)
    assert sink.accepted == wanted_ids(file, 500)
    assert run(cli, file, sink).data["status"] == "already imported"


def test_refused_events_end_the_command_with_an_error(
    cli: CliHost, sink: FaultSink, tmp_path: Path
) -> None:
    """Exit code 4: a key that is not accepted is not an import."""
    sink.plan(Always(status(401)))
    ended = run(cli, orders(tmp_path / "orders.csv", 10), sink)
    assert ended.code == 4
    assert ended.data["ledger"]["dead"] == {"rejected": 10}


@pytest.fixture
def cramped_job(
    sink: FaultSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[float], Job]:
    """Imports two MiB of events within a time, with a journal of a quarter of a MiB."""
    from penstock.cli import _importing, _sending
    from penstock.cli._output import Output
    from penstock.importing import Plan, Source

    def small(journal: str | None, **settings: Any) -> Any:
        return _sending.client_config(journal, journal_max_bytes=256 * 1024, **settings)

    monkeypatch.setattr(_importing, "client_config", small)
    monkeypatch.setenv("PENSTOCK_NETWORK", "loopback")
    file = orders(tmp_path / "orders.csv", MANY)
    plan = Plan(event="Order Completed", fields={"user_id": "customer", "timestamp": "at"})
    destinations = [destination_from_url(url_of(sink))]

    def job(timeout: float) -> Job:
        wishes = _importing.Wishes(journal=str(tmp_path / "journal"), timeout=timeout)
        return _importing.Job(Source(file), plan, destinations, wishes, Output(as_json=True))

    return job


def test_a_full_journal_makes_it_wait_for_deliveries(
    cramped_job: Callable[[float], Job], sink: FaultSink, tmp_path: Path
) -> None:
    """A journal of a quarter of a MiB carries two MiB of events, and none is dropped."""
    report = cramped_job(30.0).run()
    assert report.ledger is not None
    assert (report.ledger.delivered, report.ledger.dead) == (MANY, {})
    assert sink.accepted == wanted_ids(tmp_path / "orders.csv", MANY)


def test_a_full_journal_and_a_dead_server_end_in_patience(
    cramped_job: Callable[[float], Job], sink: FaultSink, tmp_path: Path
) -> None:
    """It stops with what the journal holds, and the next run goes on from there."""
    from penstock.cli._exit import Exit

    sink.stop()
    report = cramped_job(0.3).run()
    assert report.code is Exit.PENDING
    assert report.ledger is not None
    assert 0 < report.progress.accepted == report.ledger.pending < MANY
    sink.start()
    report = cramped_job(30.0).run()
    assert report.code is Exit.OK
    assert sink.accepted == wanted_ids(tmp_path / "orders.csv", MANY)
    assert sink.duplicates == {}


def test_two_imports_of_one_file_at_once_are_refused(
    cli: CliHost, sink: FaultSink, tmp_path: Path
) -> None:
    """Exit code 6 for the second; the first goes on."""
    file = orders(tmp_path / "orders.csv", 2_000)
    sink.plan(Always(Answer(ending="hang", stored=False)))
    first = cli.start("import", file, "--to", url_of(sink), *OPTIONS)
    sink.wait_for_requests(1)
    second = run(cli, file, sink)
    first.kill()
    first.communicate()
    assert second.code == 6
    assert "already" in second.err


def test_one_import_feeds_several_destinations(
    cli: CliHost, sink: FaultSink, tmp_path: Path
) -> None:
    """Read once, stored once, delivered to each; PostHog is told that it is history."""
    file = orders(tmp_path / "orders.csv", 20)
    ended = run(cli, file, sink, "--to", url_of(sink, "posthog"))
    assert ended.code == 0, ended.err
    assert ended.data["sent"] == 20
    assert {
        name: account["delivered"] for name, account in ended.data["ledger"]["destinations"].items()
    } == {"Segment": 20, "PostHog": 20}
    assert sink.accepted == wanted_ids(file, 20)
    bodies = [exchange.json for exchange in sink.exchanges if b'"api_key"' in exchange.json]
    assert bodies
    assert all(json.loads(body)["historical_migration"] is True for body in bodies)


def test_no_historical_leaves_the_mark_out(cli: CliHost, sink: FaultSink, tmp_path: Path) -> None:
    """For events of yesterday."""
    file = orders(tmp_path / "orders.csv", 5)
    to = ("--to", url_of(sink, "posthog"))
    cli.run("import", file, *to, *OPTIONS, "--no-historical")
    assert sink.exchanges
    assert all(not json.loads(e.json).get("historical_migration") for e in sink.exchanges)


def test_gzip_files_of_whole_messages_are_imported_as_they_are(
    cli: CliHost, sink: FaultSink, tmp_path: Path
) -> None:
    """An export of one tool is the import of the next."""
    messages = [
        {"type": "identify", "userId": "u", "traits": {"plan": "pro"}, "messageId": "m-1"},
        {"type": "track", "userId": "u", "event": "E", "timestamp": "2026-03-01T10:20:31Z"},
        {"type": "sale", "userId": "u"},
        {"type": "alias", "userId": "u"},
    ]
    path = tmp_path / "export.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, messages)).encode()))
    ended = cli.run("import", path, "--to", url_of(sink))
    assert ended.code == 5, ended.err
    assert (ended.data["sent"], ended.data["rejected"]) == (2, 2)
    assert [(event["type"], event["userId"]) for event in sink.events] == [
        ("identify", "u"),
        ("track", "u"),
    ]
    assert sink.events[0]["messageId"] == "m-1"
    assert sink.events[1]["timestamp"] == "2026-03-01T10:20:31.000Z"


def test_a_rate_is_kept(cli: CliHost, sink: FaultSink, tmp_path: Path) -> None:
    """Sixty rows at a hundred a second take more than half a second."""
    started = time.monotonic()
    ended = run(cli, orders(tmp_path / "orders.csv", 60), sink, "--rate", "100/s")
    assert ended.code == 0, ended.err
    assert time.monotonic() - started > 0.59
    assert len(sink.accepted) == 60


def test_a_limit_is_a_first_look(cli: CliHost, sink: FaultSink, tmp_path: Path) -> None:
    """The run after it goes on behind it."""
    file = orders(tmp_path / "orders.csv", 30)
    first = run(cli, file, sink, "--limit", "10")
    assert (first.code, first.data["status"], first.data["sent"]) == (0, "stopped", 10)
    assert len(sink.accepted) == 10
    second = run(cli, file, sink)
    assert (second.data["resumed_after"], second.data["sent"]) == (10, 30)
    assert sink.accepted == wanted_ids(file, 30)
    assert sink.duplicates == {}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--user-column", "nobody"], "no column 'nobody'"),
        (["--map", "group_id=quantity"], "track has no field group_id"),
        (["--map", "user_id"], "not name=something"),
        (["--property", "revenue"], "not name=column"),
        (["--timezone", "Atlantis"], "no such time zone"),
        (["--rate", "fast"], "not a rate"),
        (["--encoding", "morse"], "no such encoding"),
        (["--delimiter", "::"], "one character"),
        (["--map", "userId=at", "--user-column", "customer"], "two columns for user_id"),
        (["--event", "E", "--map", "event=at"], "given twice"),
    ],
)
def test_a_wrong_command_line_is_refused_before_the_first_row(
    cli: CliHost, sink: FaultSink, tmp_path: Path, options: list[str], words: str
) -> None:
    """Exit code 2, and the reason."""
    file = orders(tmp_path / "orders.csv", 3)
    ended = cli.run("import", file, "--to", url_of(sink), *options)
    assert ended.code == 2
    assert words in ended.err
    assert sink.exchanges == []
    assert not cli.journal.exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("orders.txt", b"a\n1\n", "--format"),
        ("orders.csv.gz", gzip.compress(b"a\n1\n" * 999, mtime=0)[:-9], "damaged or cut short"),
        ("orders.csv", b"a,a\n1,2\n", "same name"),
        ("orders.parquet", b"PAR1", "cannot be read as Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_to_be_so(
    cli: CliHost, sink: FaultSink, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    """Exit code 1, nothing sent."""
    (tmp_path / name).write_bytes(content)
    ended = cli.run("import", tmp_path / name, "--to", url_of(sink), "--event", "E")
    assert ended.code == 1
    assert words in ended.err
    assert sink.exchanges == []


def test_the_rejects_file_is_never_the_file_itself(
    cli: CliHost, sink: FaultSink, tmp_path: Path
) -> None:
    """A slip on the command line must not overwrite the data."""
    file = orders(tmp_path / "orders.csv", 3)
    before = file.read_bytes()
    ended = run(cli, file, sink, "--rejects", file)
    assert ended.code == 1
    assert file.read_bytes() == before


def test_without_a_journal_directory_nothing_is_imported(
    cli: CliHost, sink: FaultSink, tmp_path: Path
) -> None:
    """Exit code 1: in memory a kill would lose rows."""
    (tmp_path / "file").write_text("not a directory")
    file = orders(tmp_path / "orders.csv", 3)
    ended = run(cli, file, sink, "--journal", tmp_path / "file" / "below")
    assert ended.code == 1
    assert "--journal" in ended.err
    assert sink.exchanges == []


def test_a_journal_that_fails_later_stops_the_import(
    cli: CliHost, sink: FaultSink, tmp_path: Path
) -> None:
    """Exit code 1 and no checkpoint: what is only in memory does not count as captured."""
    destination = destination_from_url(url_of(sink))
    place = journal_directory(cli.journal, {destination.id: destination.name})
    cli.journal.mkdir()
    place.write_text("not a directory")
    sink.stop()
    file = orders(tmp_path / "orders.csv", 50)
    ended = run(cli, file, sink)
    assert ended.code == 1
    assert "a kill would lose rows" in ended.err
    place.unlink()
    sink.start()
    ended = run(cli, file, sink)
    assert (ended.code, ended.data["resumed_after"]) == (0, 0)
    assert sink.accepted == wanted_ids(file, 50)


def test_interrupted_it_says_so_and_goes_on_later(
    cli: CliHost, sink: FaultSink, tmp_path: Path
) -> None:
    """Ctrl-C is exit code 130; no row is lost."""
    count = 5_000
    file = orders(tmp_path / "orders.csv", count)
    process = cli.start("import", file, "--to", url_of(sink), *OPTIONS, "--rate", "1000/s")
    sink.wait_for_events(250)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in err
    ended = run(cli, file, sink)
    assert ended.code == 0, ended.err
    assert 0 < ended.data["resumed_after"] < count
    assert sink.accepted == wanted_ids(file, count)


def test_a_terminal_sees_a_summary_and_no_key(
    cli: CliHost, sink: FaultSink, tmp_path: Path
) -> None:
    """Rows, rejects and the ledger in words."""
    file = orders(tmp_path / "orders.csv", 20, more=["broken"])
    drawn = cli.on_terminal("import", file, "--to", url_of(sink), *OPTIONS)
    assert drawn.code == 5, drawn.out
    assert "21 rows, 20 sent, 1 rejected" in drawn.out
    assert "Segment" in drawn.out
    assert KEY not in drawn.out
    again = cli.on_terminal("import", file, "--to", url_of(sink), *OPTIONS)
    assert "Nothing to do" in again.out
