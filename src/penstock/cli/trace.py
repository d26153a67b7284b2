"""``penstock trace``: the whole story of one event."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.markup import escape

from penstock.cli._exit import Exit, epilog, fail
from penstock.cli._output import Output, json_option
from penstock.cli._rows import plain_text
from penstock.cli._store import store_option
from penstock.collector.layout import Layout
from penstock.collector.trace.story import trace

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from penstock.collector.routing.deliveries import Delivery
    from penstock.collector.trace.story import Story
    from penstock.collector.trace.tellings import Telling


@click.command("trace", epilog=epilog(Exit.OK, Exit.FAILED, Exit.USAGE, Exit.MISSING))
@click.argument("message_id", metavar="ID")
@store_option
@json_option
def trace_command(*, message_id: str, store: Path, as_json: bool) -> None:
    """
    Tell the whole story of one event, by its message id.

    The request it came in, the item as it came, its neutral form, the verdict and the reasons for
    it, where it is stored, and what was tried at every destination. Each time that it came is told,
    the last first. Works while the collector runs, and when it does not.
    """
    story = trace(Layout(store), message_id)
    if not story.tellings:
        fail(f"nothing is known of {message_id}", Exit.FAILED)
    data = msgspec.to_builtins(story)
    Output(as_json=as_json).show(data, lambda console: _draw(console, story))


def _draw(console: Console, story: Story) -> None:
    for telling in story.tellings:
        for name, value in _facts(telling).items():
            if value:
                console.print(f"[bold]{name:>11}[/bold]  {escape(_lines(value))}")
        console.print()
    for delivery in story.deliveries:
        console.print(f"[bold]{escape(delivery.destination):>11}[/bold]  {_told(delivery)}")


def _facts(telling: Telling) -> dict[str, str]:
    words = ", ".join(telling.reasons)
    facts = {
        "received": f"{_moment(telling.received_at / 1000)} from {telling.source}",
        "verdict": f"{telling.verdict}{': ' + words if words else ''} {telling.detail}".strip(),
        "stored in": telling.stored_in,
        "request": "not kept any more",
        "as it came": telling.raw or "",
        "neutral": _json(telling.neutral),
    }
    if telling.request is not None:
        kept = ", ".join(f"{name}: {value}" for name, value in telling.request.kept.items())
        facts["request"] = f"{telling.request.path}, item {telling.position + 1}; {kept}"
    return facts


def _told(delivery: Delivery) -> str:
    tries = [f"{one.fate} {_answer(one.status)} {_moment(one.at)}" for one in delivery.tries]
    ended = [delivery.reason] if delivery.reason else []
    return escape(plain_text("; ".join([delivery.state, *tries, *ended])))


def _answer(status: int | None) -> str:
    return "no answer" if status is None else f"HTTP {status}"


def _lines(text: str) -> str:
    """A text of several lines, below each other."""
    return f"\n{' ' * 13}".join(plain_text(line) for line in text.splitlines())


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(value: dict[str, Any] | None) -> str:
    return "" if value is None else msgspec.json.encode(value).decode()
