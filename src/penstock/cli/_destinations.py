"""Options that say where events go, and the destinations behind them."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, TypeVar

import click

from penstock import destinations as vendors
from penstock.config import ENV_DISABLED, ENV_URL, disabled_by_environment
from penstock.destinations import Destination, destination_from_url

if TYPE_CHECKING:
    from collections.abc import Callable

DIALECTS = ("segment", "rudderstack", "dreamdata", "posthog", "collector", "webhook")
_CLASSES = {
    "segment": "Segment",
    "rudderstack": "RudderStack",
    "dreamdata": "Dreamdata",
    "posthog": "PostHog",
    "collector": "Collector",
    "webhook": "Webhook",
}
_OPTIONS = (
    click.option(
        "--to",
        multiple=True,
        metavar="URL",
        help="A destination, such as segment://KEY@api.segment.io; several times for several. "
        f"Without it the environment variable {ENV_URL} counts.",
    ),
    click.option("--write-key", "--writeKey", metavar="KEY", help="Write key, in place of --to."),
    click.option("--endpoint", "--host", metavar="URL", help="Address that goes with --write-key."),
    click.option(
        "--dialect",
        type=click.Choice(DIALECTS),
        default="segment",
        show_default=True,
        help="Vendor that goes with --write-key.",
    ),
)
F = TypeVar("F", bound="Callable[..., Any]")

#: What of a command's options `chosen` takes.
ADDRESSES = ("to", "write_key", "endpoint", "dialect")


def destination_options(command: F) -> F:
    """Add the options that `chosen` reads."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def chosen(
    to: tuple[str, ...], write_key: str | None, endpoint: str | None, dialect: str
) -> list[Destination]:
    """
    The destinations of the command line, else of the environment.

    Raises:
        ConfigError: A URL or an address cannot be right.
        UsageError: There is none, or one without a key.
    """
    if disabled_by_environment():
        raise click.ClickException(f"{ENV_DISABLED} is set: nothing is sent")
    found = [_from_key(write_key, endpoint, dialect)] if write_key is not None else []
    urls = [url for text in to or _environment(found) for url in re.split(r"[\s,]+", text) if url]
    found += [destination_from_url(url) for url in urls]
    if not found:
        raise click.UsageError(f"where to? Give --to URL or --write-key, or set {ENV_URL}")
    for destination in found:
        if not destination.has_key:
            raise click.UsageError(f"{destination.name}: the write key is empty")
    return found


def _environment(found: list[Destination]) -> tuple[str, ...]:
    """The environment counts only where the command line says nothing."""
    return () if found else (os.environ.get(ENV_URL, ""),)


def _from_key(write_key: str, endpoint: str | None, dialect: str) -> Destination:
    make = getattr(vendors, _CLASSES[dialect])
    if endpoint is None:
        if dialect == "webhook":
            raise click.UsageError("a webhook has no address of its own: give --endpoint")
        return make(write_key)  # type: ignore[no-any-return]
    address = endpoint if "://" in endpoint else f"https://{endpoint}"
    return make(write_key, endpoint=address)  # type: ignore[no-any-return]
