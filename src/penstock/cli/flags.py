"""``penstock flags``: what a definitions file says, and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from penstock.cli._exit import Exit, epilog
from penstock.cli._output import Output, json_option
from penstock.errors import ConfigError
from penstock.flags import Person, compile_flags, parse_definitions
from penstock.flags.explanation import ConditionStep, Explanation, explain
from penstock.flags.files import read_flag_file

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console


@click.group("flags", epilog=epilog(Exit.OK, Exit.USAGE, Exit.MISSING))
def flags_command() -> None:
    """Feature flags of a definitions file."""


@flags_command.command("eval", epilog=epilog(Exit.OK, Exit.USAGE, Exit.MISSING))
@click.argument("key")
@click.option("--user", required=True, help="The distinct id of the person.")
@click.option(
    "--flags",
    "file",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    envvar="PENSTOCK_FLAGS",
    help="The definitions: YAML or JSON.",
)
@click.option("--device", help="The device id.")
@click.option(
    "--property",
    "properties",
    metavar="NAME=VALUE",
    multiple=True,
    help="A property of the person; may be repeated. A VALUE that is JSON is read as such.",
)
@click.option(
    "--group", "groups", metavar="TYPE=KEY", multiple=True, help="A group; may be repeated."
)
@click.option(
    "--group-property",
    "group_properties",
    metavar="TYPE.NAME=VALUE",
    multiple=True,
    help="A property of a group; may be repeated.",
)
@click.option("--now", help="The clock for relative dates, RFC 3339; the current time by default.")
@json_option
def eval_command(
    *,
    key: str,
    user: str,
    file: Path,
    device: str | None,
    properties: tuple[str, ...],
    groups: tuple[str, ...],
    group_properties: tuple[str, ...],
    now: str | None,
    as_json: bool,
) -> None:
    """
    Evaluate the flag KEY for a person, and explain it condition by condition.

    It says what every SDK that evaluates these definitions says: the same rules, the same hash.
    """
    flags = compile_flags(parse_definitions(read_flag_file(file)))
    by_group: dict[str, dict[str, Any]] = {}
    for name, value in _pairs(group_properties, "group-property").items():
        kind, _, inner = name.partition(".")
        by_group.setdefault(kind, {})[inner] = value
    texts = {kind: str(value) for kind, value in _pairs(groups, "group", json_values=False).items()}
    person = Person(user, device, _pairs(properties, "property"), texts, by_group)
    found = explain(flags, key, person, _moment(now))
    Output(as_json=as_json).show(msgspec.to_builtins(found), lambda console: _draw(console, found))


def _pairs(given: Iterable[str], option: str, *, json_values: bool = True) -> dict[str, Any]:
    pairs = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise ConfigError(option, text, "write it as NAME=VALUE")
        pairs[name] = _value(value) if json_values else value
    return pairs


def _value(text: str) -> Any:
    """``5``, ``true`` and ``["a"]`` are what they look like; anything else is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError("now", text, "write it as 2026-01-31T12:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _draw(console: Console, found: Explanation) -> None:
    def line(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    value = "no value" if found.value is None else json.dumps(found.value)
    line(f"{found.key}: {value} ({found.reason})")
    if found.payload is not None:
        line(f"  payload {json.dumps(found.payload, ensure_ascii=False)}")
    if found.about:
        line(f"  about {found.about}")
    if found.holdout:
        held = "held out" if found.holdout["held"] else "not held out"
        share = _share(found.holdout["place"], found.holdout["percentage"])
        line(f"  holdout {found.holdout['id']}: {held}, {share}")
    for step in found.conditions:
        _draw_condition(line, step)
    if found.variant_place is not None:
        line(f"  among the variants at {found.variant_place:g} %")


def _draw_condition(line: Any, step: ConditionStep) -> None:
    line(f"  condition {step.number}, {step.about}: {step.outcome}")
    for each in step.filters:
        shown = "" if each.found is None else f" (it is {json.dumps(each.found, default=str)})"
        line(f"    {each.outcome}: {each.filter}{shown}")
    if step.place is not None and step.rollout_percentage is not None:
        line(f"    rollout: {_share(step.place, step.rollout_percentage)}")


def _share(place: float, percentage: float) -> str:
    return f"at {place:g} % of {percentage:g} %"
