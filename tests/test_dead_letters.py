"""Dead letters: found, shown, put back for the one destination they died for, and never lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import proving
from cli_host import KEY, CliHost, url_of
from collector_disk import LossyDisk, PowerCut
from faults.rules import Always, poison, status
from penstock import Client, Config, Dreamdata, Segment
from penstock.errors import JournalError
from penstock.journal import inspect, letters
from penstock.journal._dead import CURRENT, PREVIOUS, DeadLetter, DeadLetters
from penstock.journal._locks import FileLock
from penstock.journal._segment import SEGMENT_HEADER_BYTES
from penstock.journal.disk import ONLY
from penstock.journal.letters import Wanted, find, replay
from penstock.journal.record import scan
from penstock.transport.memory import MemoryTransport

if TYPE_CHECKING:
    from faults.sink import FaultSink


@pytest.fixture
def cli(tmp_path: Path) -> CliHost:
    return CliHost(tmp_path)


def letter(number: int, **more: Any) -> DeadLetter:
    message = {"type": "track", "messageId": f"m{number}", "event": "E", "userId": "u"}
    found = DeadLetter(
        "Segment", "rejected", 400, "no", 1000.0 + number, msgspec.json.encode(message), 1, "id", 2
    )
    return found._replace(**more)


def letters_in(journal: Path, *found: DeadLetter) -> DeadLetters:
    journal.mkdir(exist_ok=True)
    kept = DeadLetters(journal, max_bytes=1 << 30, max_age=1e9)
    kept.add(list(found))
    return kept


def ids(directory: Path, wanted: Wanted = letters.ALL) -> list[str]:
    return [found.message_id for found in find(directory, wanted)]


def bodies(transport: MemoryTransport) -> list[str]:
    """Ids of every message that was sent."""
    batches = [msgspec.json.decode(request.body)["batch"] for request in transport.requests]
    return [message["messageId"] for batch in batches for message in batch]


# -- finding -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), ["m1", "m2", "m3"]),
        (Wanted(destination="Dreamdata"), ["m2"]),
        (Wanted(reason="expired"), ["m3"]),
        (Wanted(since=1002.0), ["m2", "m3"]),
        (Wanted(before=1002.0), ["m1"]),
        (Wanted(ids=("m1", "m3")), ["m1", "m3"]),
    ],
)
def test_letters_are_found_by_what_they_say(
    tmp_path: Path, wanted: Wanted, expected: list[str]
) -> None:
    """By destination, reason, age and id; oldest first, over all files."""
    (tmp_path / "a").mkdir()
    letters_in(tmp_path / "a", letter(3, reason="expired"), letter(1))
    letters_in(tmp_path / "b", letter(2, destination="Dreamdata"))
    assert ids(tmp_path, wanted) == expected


def test_a_torn_line_hides_no_other_letter(tmp_path: Path) -> None:
    """And it is still there after a replay: a person may want to look at it."""
    kept = letters_in(tmp_path, letter(1))
    with (tmp_path / CURRENT).open("ab") as file:
        file.write(b'{"destination":"Seg\n')
    kept.add([letter(2)])
    assert ids(tmp_path) == ["m1", "m2"]
    replay(tmp_path)
    assert (tmp_path / CURRENT).read_bytes() == b'{"destination":"Seg\n'


def test_a_letter_tells_the_answer_and_the_attempts(tmp_path: Path) -> None:
    """Status, the server's words, and how often it was tried in the last cycle."""
    config = Config(journal=tmp_path, transport=MemoryTransport([503, 401]), interval=0.01)
    with Client(Segment(KEY), config=config) as client:
        client.track("u1", "e")
        client.flush(10)
    (found,) = find(tmp_path)
    assert (found.letter.reason, found.letter.status, found.letter.attempts) == ("rejected", 401, 2)


# -- putting back --------------------------------------------------------------------------


def test_a_replayed_letter_goes_to_the_destination_it_died_for_alone(tmp_path: Path) -> None:
    """With the same id, once; the other destination, which has it, gets nothing."""

    def refuse(request: Any) -> int:
        return 401 if "segment" in request.url else 200

    targets = (Segment(KEY), Dreamdata(KEY))
    with Client(*targets, config=Config(journal=tmp_path, transport=MemoryTransport(refuse))) as c:
        kept = [c.track("u1", "e", {"n": number}) for number in range(3)]
    (replayed,) = replay(tmp_path)
    assert (replayed.put_back, replayed.skipped) == ({"Segment": 3}, 0)
    assert find(tmp_path) == []
    (waiting,) = inspect(tmp_path)
    assert waiting.ledger.destinations["Segment"].pending == 3
    after = MemoryTransport()
    with Client(*targets, config=Config(journal=tmp_path, transport=after)) as client:
        ledger = client.flush(10)
    assert sorted(bodies(after)) == sorted(kept)
    assert ledger.balanced
    assert all("segment" in request.url for request in after.requests)
    (ended,) = inspect(tmp_path)
    assert (ended.ledger.pending, ended.ledger.balanced, ended.lanes) == (0, True, 0)


def test_age_counts_from_the_replay(tmp_path: Path) -> None:
    """What expired once is sent, and does not expire at once again."""
    letters_in(tmp_path, letter(1, reason="expired"))
    before = int(time.time())
    replay(tmp_path)
    (lane,) = tmp_path.glob("lane-*")

    data = next(lane.glob("*.seg")).read_bytes()
    found = scan(
        data, SEGMENT_HEADER_BYTES, len(data), verify=True, max_records=9, max_bytes=1 << 20
    )
    assert [record.captured_at >= before for record in found.records] == [True]


def test_what_is_not_wanted_stays_a_letter(tmp_path: Path) -> None:
    """Byte by byte."""
    letters_in(tmp_path, letter(1), letter(2, reason="too_large"), letter(3))
    replay(tmp_path, Wanted(reason="rejected"))
    assert (tmp_path / CURRENT).read_bytes() == letter(2, reason="too_large").line()


def test_an_event_that_died_twice_is_put_back_once(tmp_path: Path) -> None:
    """And both letters go."""
    letters_in(tmp_path, letter(1), letter(1, died_at=5.0))
    (replayed,) = replay(tmp_path)
    assert replayed.put_back == {"Segment": 1}
    assert find(tmp_path) == []


def test_a_letter_that_does_not_say_whose_it_is_is_skipped_and_kept(tmp_path: Path) -> None:
    """There is no cursor to put it before."""
    letters_in(tmp_path, letter(1, identity=""))
    (replayed,) = replay(tmp_path)
    assert (replayed.put_back, replayed.skipped) == ({}, 1)
    assert ids(tmp_path) == ["m1"]


def test_two_replays_do_not_meet(tmp_path: Path) -> None:
    """The second says so, and changes nothing."""
    letters_in(tmp_path, letter(1))
    lock = FileLock.acquire(tmp_path / "replay.lock")
    assert lock is not None
    with pytest.raises(JournalError, match="another process"):
        replay(tmp_path)
    lock.release()
    assert ids(tmp_path) == ["m1"]


def test_letters_added_during_replays_are_all_there(tmp_path: Path) -> None:
    """Whoever adds never waits, and nothing of it is lost to the file being taken away."""
    kept = letters_in(tmp_path, letter(0, reason="expired"))
    done = threading.Event()

    def replays() -> None:
        while not done.is_set():
            replay(tmp_path, Wanted(reason="expired"))
            letters_in(tmp_path, letter(0, reason="expired"))

    thread = threading.Thread(target=replays)
    thread.start()
    for number in range(1, 401):
        kept.add([letter(number)])
    done.set()
    thread.join()
    assert ids(tmp_path, Wanted(reason="rejected")) == [f"m{number}" for number in range(1, 401)]


_KILLED = """
    import os, signal, sys
    from pathlib import Path
    from penstock.journal import letters

    step = sys.argv[2]
    def die(*_a, **_k):
        os.kill(os.getpid(), signal.SIGKILL)
    def killed_after(call):
        def wrapped(*a, **k):
            found = call(*a, **k)
            die()
            return found
        return wrapped

    if step in {"rename", "unlink"}:
        setattr(Path, step, killed_after(getattr(Path, step)))
    elif step == "before unlink":
        Path.unlink = die
    elif step == "append":
        letters.Lane.append = killed_after(letters.Lane.append)
    else:
        setattr(letters, step, killed_after(getattr(letters, step)))
    letters.replay(Path(sys.argv[1]), letters.Wanted(reason="rejected"))
"""


@pytest.mark.proves("process death", "replay of dead letters")
@pytest.mark.parametrize(
    "step",
    ["rename", "_taken", "append", "write_lane", "_put_back", "_leave", "before unlink", "unlink"],
)
def test_a_replay_that_is_killed_loses_no_letter(tmp_path: Path, step: str, proof: Any) -> None:
    """Each is a letter still, or waits in the journal; the next replay brings the rest."""
    wanted = [letter(number) for number in range(20)]
    letters_in(tmp_path, *wanted, letter(99, reason="too_large"))
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_KILLED), str(tmp_path), step],
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(letters.__file__).parents[2])},
    )
    assert ended.returncode == -signal.SIGKILL
    replay(tmp_path, Wanted(reason="rejected"))
    arrived = pending_ids(tmp_path)
    missing = {f"m{number}" for number in range(20)} - set(arrived)
    repeated = len(arrived) - len(set(arrived))
    proof.record(trials=1, events=20, lost=len(missing), repeated=repeated)
    assert not missing
    assert ids(tmp_path) == ["m99"]


@pytest.mark.proves("power loss", "replay of dead letters")
def test_a_power_cut_in_a_replay_loses_no_letter(tmp_path: Path, proof: Any) -> None:
    """Each is a letter still, or waits in a lane that says whom it is for."""
    wanted = {f"m{number}" for number in range(5)}
    for trial in range(proving.scale(60, 1000)):
        rng = random.Random(trial)
        directory = tmp_path / str(trial)
        letters_in(directory, *(letter(number) for number in range(5)))
        disk = LossyDisk(directory, rng.randint(5, 70), atomic_renames=True)
        with pytest.MonkeyPatch.context() as patch:
            disk.watch(patch)
            for path in (directory / CURRENT, directory):  # the letters are old
                letters._sync(path)
            with suppress(PowerCut):
                replay(directory)
        after = tmp_path / f"{trial}-after"
        disk.after_power_cut(after, rng)
        disk.close()
        lost = wanted - {*ids(after), *pending_ids(after)}
        proof.record(trials=1, events=5, lost=len(lost))
        assert lost == set(), trial
        for lane in after.glob("lane-*"):
            assert msgspec.json.decode((lane / ONLY).read_bytes()), trial


def pending_ids(journal: Path) -> list[str]:
    """Ids of the records in the lanes of *journal*."""
    found = []
    for path in journal.glob("lane-*/*.seg"):
        data = path.read_bytes()
        records = scan(
            data, SEGMENT_HEADER_BYTES, len(data), verify=True, max_records=10**6, max_bytes=1 << 30
        )
        found += [msgspec.json.decode(r.payload)["messageId"] for r in records.records]
    return found


# -- the command ---------------------------------------------------------------------------


def die_at(cli: CliHost, sink: FaultSink, *events: str) -> dict[str, str]:
    """Events the sink refuses for good: ``{event: message id}``."""
    sink.plan(poison(events))
    found = {}
    for event in events:
        ended = cli.run("send", "track", "--user-id", "u1", "--event", event, "--to", url_of(sink))
        assert ended.code == 4, ended.err
        found[event] = ended.data["message_id"]
    sink.plan()
    return found


def test_dead_list_prints_a_letter_per_line(cli: CliHost, sink: FaultSink) -> None:
    """JSON when piped, with the filters of the options."""
    dead = die_at(cli, sink, "A", "B")
    ended = cli.run("dead", "list")
    rows = [msgspec.json.decode(line) for line in ended.out.splitlines()]
    assert [row["message_id"] for row in rows] == list(dead.values())
    assert [(row["reason"], row["status"], row["attempts"]) for row in rows] == [
        ("rejected", 400, 1)
    ] * 2
    assert len(cli.run("dead", "list", "--limit", "1").out.splitlines()) == 1
    assert cli.run("dead", "list", "--reason", "expired").out == ""
    assert cli.run("dead", "list", "--before", "1h").out == ""
    assert len(cli.run("dead", "list", "--since", "1h", cli.journal).out.splitlines()) == 2
    assert "rejected" in cli.on_terminal("dead", "list").out


def test_dead_show_prints_the_message(cli: CliHost, sink: FaultSink) -> None:
    """By the id or its beginning, with everything known about its end."""
    dead = die_at(cli, sink, "A")
    shown = cli.run("dead", "show", dead["A"][:30]).data
    assert shown["message"]["event"] == "A"
    assert (shown["destination"], shown["status"]) == ("Segment", 400)
    assert '"event": "A"' in cli.on_terminal("dead", "show", dead["A"]).out
    assert cli.run("dead", "show", "nobody").code == 1


def test_dead_replay_delivers_with_the_same_id(cli: CliHost, sink: FaultSink) -> None:
    """After the server is mended; afterwards there is no letter any more."""
    dead = die_at(cli, sink, "A", "B")
    dry = cli.run("dead", "replay", "--dry-run").data
    assert (dry["status"], dry["destinations"]) == ("dry run", {"Segment": 2})
    assert len(cli.run("dead", "list").out.splitlines()) == 2
    ended = cli.run("dead", "replay", "--deliver", "--to", url_of(sink), "--id", dead["A"])
    assert (ended.code, ended.data["status"]) == (0, "delivered"), ended.err
    assert sink.accepted == {dead["A"]}
    left = cli.run("dead", "replay")
    assert left.data["destinations"] == {"Segment": 1}
    assert cli.run("drain", "--to", url_of(sink)).code == 0
    assert sink.accepted == set(dead.values())
    assert sink.duplicates == {}
    assert cli.run("dead", "list").out == ""


def test_dead_replay_names_what_is_still_refused(cli: CliHost, sink: FaultSink) -> None:
    """It is a letter again, and the exit code says so; a server that is down leaves it pending."""
    die_at(cli, sink, "A")
    sink.plan(Always(status(401)))
    again = cli.run("dead", "replay", "--deliver", "--to", url_of(sink))
    assert again.code == 4
    assert len(cli.run("dead", "list").out.splitlines()) == 1
    sink.plan(Always(status(503)))
    late = cli.run("dead", "replay", "--deliver", "--to", url_of(sink), "--timeout", "0.2")
    assert (late.code, late.data["status"]) == (3, "pending")


def test_dead_replay_sends_nothing_to_others(cli: CliHost, sink: FaultSink) -> None:
    """Letters of one set of destinations are not given to another."""
    die_at(cli, sink, "A")
    ended = cli.run("dead", "replay", "--deliver", "--to", url_of(sink, "rudderstack"))
    assert ended.code == 2
    assert "other destinations" in ended.err
    assert len(cli.run("dead", "list").out.splitlines()) == 1


# -- removing ----------------------------------------------------------------------------------


def test_letters_are_removed_for_good_while_others_are_added(tmp_path: Path) -> None:
    """From every file there is, whole or cut off; and not while somebody replays."""
    dead = DeadLetters(tmp_path, max_bytes=1 << 20, max_age=1e6)

    def add(number: int) -> None:
        message = b'{"messageId":"%d"}' % number
        dead.add([DeadLetter("Segment", "rejected", 400, "", float(number), message, 1, "one", 2)])

    add(1)
    (tmp_path / CURRENT).rename(tmp_path / PREVIOUS)
    add(2)
    with (tmp_path / CURRENT).open("ab") as file:
        file.write(b'{"destination":"Seg')
    asked: list[bytes] = []

    def unwanted(line: bytes) -> bool:
        asked.append(line)
        if len(asked) == 1:
            add(3)
        return b'"messageId":"2"' in line or not line.endswith(b"\n")

    assert letters.remove(tmp_path, unwanted) == 1, "a line that was cut off is whole by now"
    assert [found.message_id for found in letters.find(tmp_path)] == ["1", "3"]
    lock = FileLock.acquire(tmp_path / "replay.lock")
    assert lock is not None
    with pytest.raises(JournalError):
        letters.remove(tmp_path, lambda _line: True)
    lock.release()
    assert letters.remove(tmp_path, lambda _line: True) == 3
    assert letters.find(tmp_path) == []
    assert letters.remove(tmp_path, lambda _line: True) == 0
