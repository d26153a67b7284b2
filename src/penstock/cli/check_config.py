"""``penstock check-config``: what is wrong with a collector's configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from penstock.cli._exit import Exit, epilog
from penstock.cli._output import Output, json_option
from penstock.collector.file import BrokenFileError, Finding, Settings, read

if TYPE_CHECKING:
    from rich.console import Console


@click.command(
    "check-config", epilog=epilog(Exit.OK, Exit.FAILED, Exit.USAGE, Exit.MISSING, Exit.SETTINGS)
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def check_config_command(*, file: Path, as_json: bool) -> None:
    """
    Check the configuration FILE of a collector, and say what goes where.

    Everything wrong is told at once: its table, its key, and what to write. Variables that the
    file names (env:NAME) must be set here as they are for the collector. No key is shown.
    """
    output = Output(as_json=as_json)
    try:
        settings = read(file)
    except BrokenFileError as error:
        _tell_findings(output, file, error.findings)
        raise click.exceptions.Exit(Exit.SETTINGS) from None
    _tell_settings(output, file, settings)


def _tell_findings(output: Output, file: Path, findings: tuple[Finding, ...]) -> None:
    def human(console: Console) -> None:
        for finding in findings:
            console.print(str(finding), markup=False)
        console.print(f"{escape(str(file))}: {len(findings)} to mend")

    errors = [finding._asdict() for finding in findings]
    output.show({"file": str(file), "valid": False, "errors": errors}, human)


def _tell_settings(output: Output, file: Path, settings: Settings) -> None:
    sources = {name: list(settings.outlets_of(name)) for name in settings.source_names}
    destinations = {
        name: {
            "type": outlet.destination.dialect_name,
            "name": outlet.destination.name,
            "endpoint": outlet.destination.endpoint,
        }
        for name, outlet in settings.outlets.items()
    }
    data: dict[str, Any] = {"file": str(file), "valid": True, "errors": []}
    data["disabled"] = list(settings.disabled)

    def human(console: Console) -> None:
        for name, targets in sources.items():
            where = ", ".join(targets) or "the store alone"
            where = "switched off" if name in settings.disabled else where
            console.print(f"{escape(name)} -> {escape(where)}")
        for name, facts in destinations.items():
            console.print(f"{escape(name)}: {escape(' '.join(facts.values()))}")
        console.print(f"{escape(str(file))}: nothing to mend")

    output.show({**data, "sources": sources, "destinations": destinations}, human)
