"""Delivering what was just put back into a journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from penstock.cli._destinations import chosen
from penstock.cli._sending import client_config
from penstock.delivery.engine import journal_directory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.destinations import Destination
    from penstock.journal import Ledger
    from penstock.journal.letters import Found


class Outlet(NamedTuple):
    """A client for a journal."""

    destinations: list[Destination]
    root: Path | None


def outlet_of(found: Sequence[Found], addresses: dict[str, Any]) -> Outlet:
    """
    The destinations of the command line, if the letters are theirs.

    Raises:
        ConfigError: A URL or an address cannot be right.
        UsageError: No destination is named, or letters lie in a journal of others.
    """
    destinations = chosen(**addresses)
    named = {destination.id: destination.name for destination in destinations}
    places = {one.journal.absolute() for one in found}
    for place in sorted(places):
        if journal_directory(place.parent, named) != place:
            raise click.UsageError(f"{place} holds events for other destinations")
    return Outlet(destinations, min(places).parent if places else None)


def delivered(outlet: Outlet, timeout: float) -> Ledger:
    """Deliver for *timeout* seconds what no living process has; the account of it."""
    from penstock import Client
    from penstock.journal import Ledger

    if outlet.root is None:
        return Ledger()
    client = Client(*outlet.destinations, config=client_config(str(outlet.root)))
    try:
        client.flush(timeout=timeout)
    finally:
        ledger = client.close(timeout=0)
    return ledger
