"""``penstock send``: one event, and the truth about it."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from cli_host import KEY, CliHost, url_of
from faults.rules import Always, Answer, status

if TYPE_CHECKING:
    from pathlib import Path

    from faults.sink import FaultSink


@pytest.fixture
def cli(tmp_path: Path) -> CliHost:
    return CliHost(tmp_path)


MESSAGES: list[tuple[list[str], dict[str, Any]]] = [
    (
        ["track", "--user-id", "u", "--event", "E", "--properties", '{"a": [1, null]}'],
        {"type": "track", "userId": "u", "event": "E", "properties": {"a": [1, None]}},
    ),
    (
        ["identify", "--user-id", "u", "--anonymous-id", "a", "--traits", '{"plan": "pro"}'],
        {"type": "identify", "userId": "u", "anonymousId": "a", "traits": {"plan": "pro"}},
    ),
    (
        ["page", "--anonymous-id", "a", "--name", "N", "--category", "C"],
        {"type": "page", "anonymousId": "a", "name": "N", "category": "C"},
    ),
    (
        ["screen", "--user-id", "u", "--name", "N", "--properties", "{}"],
        {"type": "screen", "userId": "u", "name": "N"},
    ),
    (
        ["group", "--user-id", "u", "--group-id", "g", "--traits", '{"name": "Acme"}'],
        {"type": "group", "userId": "u", "groupId": "g", "traits": {"name": "Acme"}},
    ),
    (
        ["alias", "--user-id", "u", "--previous-id", "a"],
        {"type": "alias", "userId": "u", "previousId": "a"},
    ),
    (
        ["track", "--user-id", "u", "--event", "E", "--context", '{"ip": "203.0.113.7"}'],
        {"type": "track", "userId": "u", "event": "E", "context": {"ip": "203.0.113.7"}},
    ),
    (
        ["--type", "track", "--userId", "u", "--event", "E", "--properties", '{"a": 1}'],
        {"type": "track", "userId": "u", "event": "E", "properties": {"a": 1}},
    ),
]


@pytest.mark.parametrize(("arguments", "wanted"), MESSAGES, ids=lambda value: str(value)[:20])
def test_each_type_arrives_as_it_was_said(
    cli: CliHost, sink: FaultSink, arguments: list[str], wanted: dict[str, Any]
) -> None:
    """And the command ends well once it was delivered."""
    ended = cli.run("send", *arguments, "--to", url_of(sink))
    assert ended.code == 0, ended.err
    (event,) = sink.events
    assert wanted.items() <= event.items()
    assert ended.data["message_id"] == event["messageId"]
    assert ended.data["status"] == "ok"
    assert ended.data["ledger"]["delivered"] == 1
    assert ended.data["ledger"]["balanced"]


def test_a_posthog_event_is_captured_natively(cli: CliHost, sink: FaultSink) -> None:
    """``capture`` speaks of a user id and sends a distinct id."""
    ended = cli.run(
        "send", "capture", "--user-id", "u", "--event", "e", "--to", url_of(sink, "posthog")
    )
    assert ended.code == 0, ended.err
    (event,) = sink.events
    assert (event["distinct_id"], event["event"]) == ("u", "e")


def test_the_flat_form_of_the_library_tester_works(cli: CliHost, sink: FaultSink) -> None:
    """``penstock --type track --writeKey ...``, without a command."""
    ended = cli.run(
        *("--type", "track", "--writeKey", KEY, "--userId", "u", "--event", "E"),
        *("--properties", '{"a": 1}', "--endpoint", sink.url),
    )
    assert ended.code == 0, ended.err
    (event,) = sink.events
    assert event["properties"] == {"a": 1}


def test_id_and_time_can_be_given(cli: CliHost, sink: FaultSink) -> None:
    """Both arrive unchanged."""
    identity, when = str(uuid.uuid4()), "2026-03-01T10:20:30.123Z"
    ended = cli.run(
        *("send", "track", "--user-id", "u", "--event", "E", "--to", url_of(sink)),
        *("--message-id", identity, "--timestamp", when),
    )
    assert ended.data["message_id"] == identity
    (event,) = sink.events
    assert (event["messageId"], event["timestamp"]) == (identity, when)


def test_several_destinations_all_get_it(cli: CliHost, sink: FaultSink) -> None:
    """One event, a delivery each, a line each in the ledger."""
    ended = cli.run(
        *("send", "track", "--user-id", "u", "--event", "E"),
        *("--to", url_of(sink), "--to", url_of(sink, "rudderstack")),
    )
    assert ended.code == 0, ended.err
    assert len(sink.events) == 2
    assert ended.data["delivered"] == 2
    assert ended.data["ledger"]["destinations"].keys() == {"Segment", "RudderStack"}


def test_the_environment_says_where_to(cli: CliHost, sink: FaultSink) -> None:
    """``PENSTOCK_URL`` counts where the command line says nothing."""
    ended = cli.run("send", "track", "--user-id", "u", "--event", "E", PENSTOCK_URL=url_of(sink))
    assert ended.code == 0, ended.err
    assert len(sink.accepted) == 1


def test_what_is_not_delivered_in_time_is_safe(cli: CliHost, sink: FaultSink) -> None:
    """Exit code 3 now; the next send delivers both."""
    sink.stop()
    first = cli.run(
        *("send", "track", "--user-id", "u", "--event", "E", "--to", url_of(sink)),
        *("--timeout", "0.3"),
    )
    assert first.code == 3
    assert (first.data["status"], first.data["pending"]) == ("pending", 1)
    sink.start()
    second = cli.run("send", "track", "--user-id", "u", "--event", "E", "--to", url_of(sink))
    assert second.code == 0, second.err
    sink.wait_for_events(2)
    assert sink.accepted == {first.data["message_id"], second.data["message_id"]}


def test_a_refusal_is_told_with_its_reason(cli: CliHost, sink: FaultSink) -> None:
    """Exit code 4, the destination, the status."""
    sink.plan(Always(status(401)))
    ended = cli.run("send", "track", "--user-id", "u", "--event", "E", "--to", url_of(sink))
    assert ended.code == 4
    assert ended.data["status"] == "dead"
    (error,) = ended.data["errors"]
    assert "Segment" in error
    assert "401" in error


def test_without_a_journal_what_is_lost_is_said_to_be_lost(
    cli: CliHost, sink: FaultSink, tmp_path: Path
) -> None:
    """Exit code 7: nothing keeps the event when the command ends."""
    sink.stop()
    (tmp_path / "file").write_text("not a directory")
    ended = cli.run(
        *("send", "track", "--user-id", "u", "--event", "E", "--to", url_of(sink)),
        *("--timeout", "0.3", "--journal", tmp_path / "file" / "below"),
    )
    assert ended.code == 7
    assert ended.data["status"] == "lost"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["send"], "which TYPE"),
        (["send", "track", "--type", "page"], "two types"),
        (["send", "sale"], "sale"),
        (["send", "track", "--user-id", "u", "--event", "E", "--traits", "{}"], "--traits"),
        (["send", "track", "--user-id", "u", "--event", "E", "--properties", "[]"], "JSON object"),
        (["send", "track", "--user-id", "u", "--event", "E", "--properties", "{"], "not JSON"),
        (["send", "track", "--event", "E"], "user_id"),
        (["send", "track", "--user-id", "u"], "event"),
        (["send", "track", "--user-id", "u", "--event", "E", "--timestamp", "noon"], "timestamp"),
        (["send", "alias", "--user-id", "u"], "previous_id"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(
    cli: CliHost, sink: FaultSink, arguments: list[str], words: str
) -> None:
    """Exit code 2, one line, and nothing is sent or kept."""
    ended = cli.run(*arguments, PENSTOCK_URL=url_of(sink))
    assert ended.code == 2
    assert words in ended.err
    assert ended.out == ""
    assert sink.exchanges == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "where to?"),
        (["--to", "segment://@api.segment.io"], "write key is empty"),
        (["--to", "nobody://K@host"], "must start with one of"),
        (["--write-key", "K", "--endpoint", "ftp://host"], "endpoint"),
    ],
)
def test_a_destination_that_cannot_be_is_refused(
    cli: CliHost, arguments: list[str], words: str
) -> None:
    """Exit code 2."""
    ended = cli.run("send", "track", "--user-id", "u", "--event", "E", *arguments)
    assert ended.code == 2
    assert words in ended.err


def test_a_disabled_client_is_not_mistaken_for_a_delivery(cli: CliHost, sink: FaultSink) -> None:
    """``PENSTOCK_DISABLED`` ends the command with an error, not with "ok"."""
    ended = cli.run(
        *("send", "track", "--user-id", "u", "--event", "E", "--to", url_of(sink)),
        PENSTOCK_DISABLED="1",
    )
    assert ended.code == 1
    assert "PENSTOCK_DISABLED" in ended.err


def test_no_output_shows_the_key(cli: CliHost, sink: FaultSink) -> None:
    """Not when it works, not when it fails, not in a terminal's drawing."""
    arguments = ["send", "track", "--user-id", "u", "--event", "E", "--to", url_of(sink)]
    sink.plan(lambda exchange: Answer(body=exchange.request.body))
    shown = [cli.run(*arguments), cli.on_terminal(*arguments)]
    sink.plan(Always(status(401)))
    shown.append(cli.run(*arguments))
    sink.stop()
    shown.append(cli.run(*arguments, "--timeout", "0.2"))
    assert all(KEY not in ended.out + ended.err for ended in shown)


def test_a_terminal_gets_words_and_a_pipe_gets_json(cli: CliHost, sink: FaultSink) -> None:
    """``--json`` overrules the terminal."""
    arguments = ["send", "track", "--user-id", "u", "--event", "E", "--to", url_of(sink)]
    drawn = cli.on_terminal(*arguments)
    assert drawn.code == 0
    assert "delivered" in drawn.out
    assert "Segment" in drawn.out
    assert '"message_id"' not in drawn.out
    assert json.loads(cli.on_terminal(*arguments, "--json").out)["status"] == "ok"
