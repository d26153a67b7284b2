"""``penstock doctor``: which hop fails."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape
from uuid_utils import uuid7

from penstock.cli._destinations import chosen, destination_options
from penstock.cli._exit import Exit, epilog
from penstock.cli._journal import journal_option
from penstock.cli._output import Output, json_option
from penstock.cli._times import timeout_option
from penstock.config import Config
from penstock.errors import ConfigError
from penstock.timestamps import wire

if TYPE_CHECKING:
    from rich.console import Console

    from penstock.cli._hops import Trace
    from penstock.destinations import Destination
    from penstock.dialects import Encoded
    from penstock.transport import Request

#: What arrives where the way is clear.
CANARY = "Penstock Canary"
#: Who sends it.
CANARY_USER = "penstock-doctor"


@click.command(
    "doctor",
    epilog=epilog(
        Exit.OK,
        Exit.USAGE,
        Exit.MISSING,
        Exit.SETTINGS,
        Exit.JOURNAL,
        Exit.DNS,
        Exit.CONNECT,
        Exit.TLS,
        Exit.HTTP,
        Exit.ANSWER,
    )
    + "\n\n10 to 16 name the first hop that fails.",
)
@destination_options
@journal_option
@timeout_option(10.0, "Seconds each hop may take.", at_least=0.1)
@json_option
def doctor_command(journal: str | None, timeout: float, as_json: bool, **addresses: Any) -> None:
    """
    Go the way of an event hop by hop and say which one fails, and what will probably help.

    The hops: settings, journal directory, name resolution, connection, TLS, a request with one
    real event ("Penstock Canary"), and what the answer says about it.
    """
    from penstock.cli._hops import Trace

    checked: list[tuple[str, Trace]] = []
    try:
        destinations = chosen(**addresses)
    except ConfigError as error:
        trace = Trace()
        _settings_failed(trace, error)
        checked.append(("settings", trace))
    else:
        checked += [(one.name, _checked(one, journal, timeout)) for one in destinations]
    _report(checked, Output(as_json=as_json))


def _settings_failed(trace: Trace, error: ConfigError) -> None:
    from penstock.cli._hops import Broken

    with suppress(Broken), trace.hop("settings", Exit.SETTINGS):
        raise Broken(str(error), "see docs/configuration.md")


def _checked(destination: Destination, journal: str | None, timeout: float) -> Trace:
    """Every hop to *destination*, up to the first that fails."""
    from penstock.cli._hops import Broken, Trace

    trace = Trace()
    with suppress(Broken):
        _go(trace, destination, Config(journal=journal or "auto"), timeout)
    return trace


def _go(trace: Trace, destination: Destination, config: Config, timeout: float) -> None:
    from penstock.cli._hops import Way, ask, check_journal, judge

    with trace.hop("settings", Exit.SETTINGS) as found:
        request, sent = canary(destination)
        way = Way(request.url, timeout)
        found.append(repr(destination))
    with trace.hop("journal", Exit.JOURNAL) as found:
        root = config.journal_root()
        found.append("in memory" if root is None else check_journal(root))
    with trace.hop("dns", Exit.DNS) as found:
        found.append(way.resolve())
    with trace.hop("connect", Exit.CONNECT) as found:
        connection = way.connect()
        found.append(f"{way.host}:{way.port}")
    with connection:
        if not way.secure or way.proxy:
            trace.skip("tls", "the proxy's" if way.secure else "plain http", Exit.TLS)
        else:
            with trace.hop("tls", Exit.TLS) as found:
                found.append(way.handshake(connection))
    with trace.hop("request", Exit.HTTP) as found:
        response = ask(request, timeout)
        found.append(f"{CANARY!r} sent to {request.url}")
    with trace.hop("answer", Exit.ANSWER) as found:
        found.append(judge(destination, response, sent))


def canary(destination: Destination) -> tuple[Request, Encoded]:
    """A real event, as the destination's dialect sends it."""
    from penstock.dialects import Attempt
    from penstock.journal.record import Record
    from penstock.kinds import Kind

    now, identity = datetime.now(UTC), str(uuid7())
    message = {
        "type": "track",
        "messageId": identity,
        "timestamp": wire(now),
        "userId": CANARY_USER,
        "event": CANARY,
        "properties": {},
    }
    payload = json.dumps(message, separators=(",", ":")).encode()
    record = Record(1, Kind.TRACK, 0, int(now.timestamp()), payload)
    sent = destination.dialect.encode(record)
    attempt = Attempt(1, sent_at=wire(now), created_at=wire(now), request_id=str(uuid7()))
    return destination.dialect.request([sent], attempt), sent


def _report(checked: list[tuple[str, Trace]], output: Output) -> None:
    failed = [trace.failed for _, trace in checked if trace.failed]
    data = {
        "status": "failed" if failed else "ok",
        "destinations": [
            {
                "destination": name,
                "ok": trace.failed is None,
                "failed": trace.failed.name if trace.failed else None,
                "hops": [_hop_data(hop) for hop in trace.hops],
            }
            for name, trace in checked
        ],
    }

    def human(console: Console) -> None:
        for name, trace in checked:
            console.print(f"[bold]{escape(name)}[/]")
            for hop in trace.hops:
                mark = {True: "[green]ok  [/]", False: "[red]FAIL[/]", None: "[dim]--  [/]"}[hop.ok]
                console.print(f"  {mark} {hop.name:<9}{escape(hop.detail)}")
                if hop.fix:
                    console.print(f"       [yellow]{escape(hop.fix)}[/]")

    output.show(data, human)
    raise click.exceptions.Exit(failed[0].code if failed else Exit.OK)


def _hop_data(hop: Any) -> dict[str, Any]:
    return {
        "hop": hop.name,
        "ok": hop.ok,
        "detail": hop.detail,
        "fix": hop.fix or None,
        "seconds": round(hop.seconds, 4),
    }
