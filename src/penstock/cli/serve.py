"""``penstock serve``: a collector on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli._exit import Exit, epilog
from penstock.cli._output import Output, json_option
from penstock.cli._store import store_option
from penstock.collector import CollectorConfig, Limits, Retention, Sources, serve
from penstock.collector.config import Debugger, digest_of
from penstock.collector.logs import FORMATS, set_up

if TYPE_CHECKING:
    from rich.console import Console

    from penstock.collector.processes.server import Address


@click.command(
    "serve",
    epilog=epilog(Exit.OK, Exit.FAILED, Exit.USAGE, Exit.MISSING),
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@store_option
@click.option(
    "--key",
    "keys",
    metavar="NAME[:DIALECT]=KEY",
    multiple=True,
    envvar="PENSTOCK_KEYS",
    help="A write key and the name its events are stored under; may be repeated. DIALECT is "
    "segment, rudderstack, dreamdata or posthog. Without any, every key is accepted. "
    "PENSTOCK_KEYS (separated by blanks) keeps keys out of the process list.",
)
@click.option(
    "--config",
    "file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Sources and destinations as TOML, in place of --key; read again when it changes.",
)
@click.option(
    "--allow-remote", is_flag=True, help="Listen on other addresses than loopback; needs a key."
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that take requests. One takes hundreds of thousands of events a second.",
)
@click.option(
    "--origin",
    "origins",
    metavar="ORIGIN",
    multiple=True,
    help="Pages that may send, such as https://shop.example or https://*.shop.example; may be "
    "repeated. Without any: all pages, or only those of this machine if no key is needed.",
)
@click.option(
    "--trusted-proxy",
    "proxies",
    metavar="NETWORK",
    multiple=True,
    help="Address or network of a proxy whose X-Forwarded-For is believed; may be repeated.",
)
@click.option(
    "--flags",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    envvar="PENSTOCK_FLAGS",
    help="A file of feature flag definitions, YAML or JSON, to serve to PostHog's SDKs; read again "
    "when it changes.",
)
@click.option(
    "--flags-key",
    "flag_keys",
    metavar="NAME=KEY",
    multiple=True,
    envvar="PENSTOCK_FLAGS_KEYS",
    help="A secret key that may read the definitions; may be repeated. PENSTOCK_FLAGS_KEYS "
    "(separated by blanks) keeps keys out of the process list.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0),
    default=0,
    help="Events per second that one source may send; 0, the default, sets no bound.",
)
@click.option(
    "--keep",
    "keeps",
    metavar="[SOURCE=]DAYS",
    multiple=True,
    help="Days that events are kept, or those of one source; may be repeated. For ever by default.",
)
@click.option(
    "--debugger/--no-debugger",
    default=True,
    show_default=True,
    help="Serve web pages that show what arrives.",
)
@click.option(
    "--debugger-host",
    default="127.0.0.1",
    show_default=True,
    help="Address the debugger listens on; another than loopback needs a token.",
)
@click.option(
    "--debugger-port",
    type=click.IntRange(0, 65535),
    help="Port the debugger listens on; 0 takes a free one. The default is the one after --port, "
    "or a free one if that is taken.",
)
@click.option(
    "--debugger-token",
    metavar="TOKEN",
    envvar="PENSTOCK_DEBUGGER_TOKEN",
    help="What to show to see the debugger; 16 characters at least. PENSTOCK_DEBUGGER_TOKEN keeps "
    "it out of the process list.",
)
@click.option(
    "--debugger-name",
    "debugger_names",
    metavar="NAME",
    multiple=True,
    help="A host name the debugger may be asked for by, such as that of a proxy; may be repeated.",
)
@click.option(
    "--log-format",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="Log lines for people, or one JSON object each.",
)
@json_option
def serve_command(
    *,
    host: str,
    port: int,
    store: Path,
    keys: tuple[str, ...],
    file: Path | None,
    allow_remote: bool,
    workers: int,
    origins: tuple[str, ...],
    proxies: tuple[str, ...],
    flags: Path | None,
    flag_keys: tuple[str, ...],
    rate: float,
    keeps: tuple[str, ...],
    log_format: str,
    as_json: bool,
    **debugger: Any,
) -> None:
    """
    Run a collector on this machine, until it is interrupted.

    It takes what SDKs of Segment, RudderStack, Dreamdata and PostHog send, answers once the disk
    has it, and stores events as Parquet files: see them with "penstock events".
    """
    config = CollectorConfig(
        store=store,
        host=host,
        port=port,
        sources=Sources.parse(keys),
        file=file,
        allow_remote=allow_remote,
        workers=workers,
        origins=origins,
        trusted_proxies=proxies,
        flags=flags,
        flag_keys=Sources.parse(flag_keys),
        limits=Limits(events_per_second=rate),
        log_format=log_format,
        retention=Retention.parse(keeps),
        debugger=_debugger(**debugger),
    )
    set_up(log_format, "server")
    output = Output(as_json=as_json)
    serve(config, ready=lambda address: _announce(output, address))


def _debugger(
    *,
    debugger: bool,
    debugger_host: str,
    debugger_port: int | None,
    debugger_token: str | None,
    debugger_names: tuple[str, ...],
) -> Debugger | None:
    if not debugger:
        return None
    token = digest_of(debugger_token) if debugger_token else ""
    return Debugger(host=debugger_host, port=debugger_port, token=token, names=debugger_names)


def _announce(output: Output, address: Address) -> None:
    def human(console: Console) -> None:
        who = "any write key" if address.open else "known write keys"
        console.print(f"collecting on {address.url} into {address.store} ({who})", markup=False)
        if address.debugger:
            console.print(f"debugger on {address.debugger}", markup=False)

    output.show({**address._asdict(), "pid": os.getpid()}, human)
