"""``penstock serve``: a collector on this machine."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import click

from penstock.cli._exit import Exit, epilog
from penstock.cli._output import Output, json_option
from penstock.cli._store import store_option
from penstock.collector import CollectorConfig, Sources, serve

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from penstock.collector.server import Address


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
    "--allow-remote", is_flag=True, help="Listen on other addresses than loopback; needs a key."
)
@json_option
def serve_command(
    *, host: str, port: int, store: Path, keys: tuple[str, ...], allow_remote: bool, as_json: bool
) -> None:
    """
    Run a collector on this machine, until it is interrupted.

    It takes what SDKs of Segment, RudderStack, Dreamdata and PostHog send, answers once the disk
    has it, and stores events as Parquet files: see them with "penstock events".
    """
    logging.basicConfig(format="penstock: %(message)s", level=logging.WARNING)
    sources = Sources.parse(keys)
    config = CollectorConfig(
        store=store, host=host, port=port, sources=sources, allow_remote=allow_remote
    )
    output = Output(as_json=as_json)
    serve(config, ready=lambda address: _announce(output, address))


def _announce(output: Output, address: Address) -> None:
    def human(console: Console) -> None:
        who = "any write key" if address.open else "known write keys"
        console.print(f"collecting on {address.url} into {address.store} ({who})", markup=False)

    data = {"url": address.url, "store": address.store, "open": address.open, "pid": os.getpid()}
    output.show(data, human)
