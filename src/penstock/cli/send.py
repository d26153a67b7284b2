"""``penstock send``: one event, delivered before the command ends."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from penstock.cli._destinations import ADDRESSES, chosen, destination_options
from penstock.cli._exit import Exit, epilog
from penstock.cli._journal import journal_option
from penstock.cli._output import Output, json_option, ledger_table
from penstock.cli._times import timeout_option

if TYPE_CHECKING:
    from rich.console import Console

    from penstock import Client
    from penstock.cli._sending import Fate

TYPES = ("track", "identify", "page", "screen", "group", "alias", "capture")
_PERSON = ("user_id", "anonymous_id")
_COMMON = ("context", "timestamp", "message_id")
#: ``{type: options it takes}``, besides those all take
_TAKES = {
    "track": (*_PERSON, "event", "properties"),
    "identify": (*_PERSON, "traits"),
    "page": (*_PERSON, "name", "category", "properties"),
    "screen": (*_PERSON, "name", "category", "properties"),
    "group": (*_PERSON, "group_id", "traits"),
    "alias": ("user_id", "previous_id"),
    "capture": ("user_id", "event", "properties"),
}


def _object(ctx: click.Context, param: click.Parameter, text: str | None) -> dict[str, Any] | None:
    """The JSON object of an option."""
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}", ctx, param) from None
    if not isinstance(found, dict):
        raise click.BadParameter("not a JSON object", ctx, param)
    return found


@click.command(
    "send",
    epilog=epilog(
        Exit.OK, Exit.FAILED, Exit.USAGE, Exit.PENDING, Exit.DEAD, Exit.LOST, Exit.MISSING
    ),
)
@click.argument("kind", metavar="[TYPE]", required=False, type=click.Choice(TYPES))
@click.option("--type", "type_", type=click.Choice(TYPES), help="The same as TYPE.")
@click.option("--user-id", "--userId", metavar="ID", help="The known person.")
@click.option("--anonymous-id", "--anonymousId", metavar="ID", help="The unknown device.")
@click.option("--event", metavar="NAME", help="Name of the event (track, capture).")
@click.option("--name", metavar="NAME", help="Name of the page or screen.")
@click.option("--category", metavar="NAME", help="Category of the page or screen.")
@click.option("--group-id", "--groupId", metavar="ID", help="The group (group).")
@click.option("--previous-id", "--previousId", metavar="ID", help="Id to be merged (alias).")
@click.option(
    "--properties",
    metavar="JSON",
    callback=_object,
    help="Properties of the event, page or screen.",
)
@click.option("--traits", metavar="JSON", callback=_object, help="Traits of the person or group.")
@click.option("--context", metavar="JSON", callback=_object, help="Context of the message.")
@click.option("--timestamp", metavar="TIME", help="When it happened, RFC 3339; now by default.")
@click.option("--message-id", "--messageId", metavar="ID", help="Its id; a new one by default.")
@destination_options
@journal_option
@timeout_option(10.0, "Seconds to wait for delivery.")
@json_option
def send_command(
    kind: str | None, type_: str | None, timeout: float, as_json: bool, **options: Any
) -> None:
    """
    Send one event of TYPE and wait until it is delivered.

    TYPE is track, identify, page, screen, group, alias or capture. The event goes through the
    journal: what is not delivered in time is sent by the next client with these destinations,
    or by `penstock drain`.
    """
    from penstock import Client
    from penstock.cli._sending import Fate, client_config

    wanted = _one_type(kind, type_)
    journal = options.pop("journal")
    addresses = {name: options.pop(name) for name in ADDRESSES}
    arguments = _arguments(wanted, options)
    destinations = chosen(**addresses)
    fate = Fate([destination.name for destination in destinations])
    client = Client(*destinations, config=client_config(journal, callback=fate, strict=True))
    try:
        fate.message_id = getattr(client, wanted)(**arguments)
        _wait(client, fate, timeout)
    finally:
        ledger = client.close(timeout=0)
    code = fate.exit_code
    data = {"message_id": fate.message_id, "status": code.name.lower(), **fate.to_dict()}

    def human(console: Console) -> None:
        console.print(f"{wanted} {fate.message_id}: {fate.describe()}")
        console.print(ledger_table(ledger))

    Output(as_json=as_json).show({**data, "ledger": ledger.to_dict()}, human)
    raise click.exceptions.Exit(code)


def _one_type(kind: str | None, type_: str | None) -> str:
    if kind and type_ and kind != type_:
        raise click.UsageError("two types: one as an argument, one as --type")
    wanted = kind or type_
    if not wanted:
        raise click.UsageError(f"which TYPE? One of {', '.join(TYPES)}")
    return wanted


def _arguments(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    """The client's keyword arguments from the options given."""
    arguments = {name: value for name, value in options.items() if value is not None}
    for name in arguments:
        if name not in _TAKES[kind] + _COMMON:
            raise click.UsageError(f"{kind} takes no --{name.replace('_', '-')}")
    if kind == "capture" and "user_id" in arguments:
        arguments["distinct_id"] = arguments.pop("user_id")
    return arguments


def _wait(client: Client, fate: Fate, timeout: float) -> None:
    """Until this event is settled; an older backlog of the journal may take longer."""
    deadline = time.monotonic() + timeout
    while not fate.settled and (left := deadline - time.monotonic()) > 0:
        client.flush(timeout=min(left, 0.25))
