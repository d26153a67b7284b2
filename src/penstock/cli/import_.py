"""``penstock import``: a file of events, once, however often it is run or killed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli._destinations import ADDRESSES, chosen, destination_options
from penstock.cli._exit import Exit, epilog, fail
from penstock.cli._journal import journal_option
from penstock.cli._output import Output, json_option
from penstock.cli._times import timeout_option
from penstock.importing import (
    FORMATS,
    Busy,
    CsvOptions,
    Plan,
    PlanError,
    Source,
    field_name,
    property_from,
    rate_from,
)
from penstock.importing.cells import automatic
from penstock.importing.plan import FIELDS
from penstock.importing.timestamps import timestamp_parser

if TYPE_CHECKING:
    from penstock.cli._importing import Job, Report
    from penstock.importing import Property


def _pairs(
    ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]
) -> list[tuple[str, str]]:
    """Both sides of each ``name=something``."""
    for text in texts:
        if not all(text.partition("=")):
            raise click.BadParameter(f"{text!r} is not name=something", ctx, param)
    return [(text.partition("=")[0], text.partition("=")[2]) for text in texts]


def _rate(ctx: click.Context, param: click.Parameter, text: str | None) -> float | None:
    """Rows per second."""
    try:
        return None if text is None else rate_from(text)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


_MAPPING = (
    click.option(
        "--type",
        "kind",
        type=click.Choice(list(FIELDS)),
        help="What each row is. By default a JSON row that is a message already (with type, "
        "userId, ...) is taken as it is, and every other row is a track.",
    ),
    click.option("--event", metavar="NAME", help="Name of every event (track, capture)."),
    click.option(
        "--map",
        "fields",
        multiple=True,
        callback=_pairs,
        metavar="FIELD=COLUMN",
        help="Column of a field: userId, anonymousId, event, timestamp, messageId, groupId, "
        "previousId, name, category, context.ip, ...",
    ),
    click.option("--user-column", metavar="COLUMN", help="The same as --map userId=COLUMN."),
    click.option(
        "--timestamp-column", metavar="COLUMN", help="The same as --map timestamp=COLUMN."
    ),
    click.option(
        "--timestamp-format",
        default="auto",
        show_default=True,
        metavar="F",
        help="auto (RFC 3339, ISO 8601), unix, unix_ms, unix_us, or a pattern such as %d.%m.%Y.",
    ),
    click.option(
        "--timezone",
        default="UTC",
        show_default=True,
        metavar="ZONE",
        help="Zone of times that do not name one, such as Europe/Copenhagen.",
    ),
    click.option(
        "--property",
        "--trait",
        "properties",
        multiple=True,
        metavar="NAME=COLUMN[:TYPE]",
        help="A property (of people and groups: a trait). TYPE is auto, string, integer, number, "
        "boolean, json or timestamp. Without any, all columns that no field uses are properties.",
    ),
    click.option(
        "--set",
        "constants",
        multiple=True,
        callback=_pairs,
        metavar="NAME=VALUE",
        help="A property with the same value in every event, such as currency=USD.",
    ),
    click.option(
        "--historical/--no-historical",
        default=True,
        show_default=True,
        help="Whether the events are a back-fill; PostHog routes those apart.",
    ),
)
_READING = (
    click.option(
        "--format", "format_", type=click.Choice(FORMATS), help="By default the name tells."
    ),
    click.option("--delimiter", metavar="CHAR", help="Of CSV; a comma, or a tab for .tsv."),
    click.option(
        "--encoding", default="utf-8", show_default=True, metavar="NAME", help="Of CSV text."
    ),
    click.option(
        "--null",
        "nulls",
        multiple=True,
        metavar="TEXT",
        help=r"A CSV cell that means no value, such as NULL or \N; empty cells always do.",
    ),
    click.option(
        "--limit", type=click.IntRange(min=1), metavar="N", help="Stop after row N of the file."
    ),
)
_RUNNING = (
    click.option("--dry-run", is_flag=True, help="Read and check every row, send nothing."),
    click.option("--rate", callback=_rate, metavar="N/s", help="Rows per second (/m, /h) at most."),
    click.option(
        "--rejects",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Where bad rows go; NAME.rejects.jsonl in the working directory by default.",
    ),
    click.option(
        "--resume/--no-resume",
        default=True,
        show_default=True,
        help="Whether to go on where an earlier run over the same file came to.",
    ),
    timeout_option(60.0, "Give up after so many seconds in which nothing was delivered."),
)


def import_options(command: Any) -> Any:
    """Add what shapes, reads and runs an import."""
    for option in reversed(_MAPPING + _READING + _RUNNING):
        command = option(command)
    return command


@click.command(
    "import",
    epilog=epilog(
        Exit.OK,
        Exit.FAILED,
        Exit.USAGE,
        Exit.PENDING,
        Exit.DEAD,
        Exit.REJECTED,
        Exit.BUSY,
        Exit.MISSING,
        Exit.INTERRUPTED,
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@destination_options
@import_options
@journal_option
@json_option
def import_command(file: Path, as_json: bool, **options: Any) -> None:
    """
    Import FILE: CSV with a header, JSON lines (both also .gz), or Parquet.

    Each row becomes one event whose id is made from the file's content and the row's number, so
    running the same command again adds nothing, and a run that was killed goes on where it was.
    """
    from penstock.cli._importing import Job, Wishes, rehearse

    output = Output(as_json=as_json)
    source = _source(file, options)
    plan = _plan(options)
    _checked(plan, source)
    names = ("journal", "rejects", "limit", "rate", "resume", "timeout")
    wishes = Wishes(**{name: options[name] for name in names})
    addresses = {name: options[name] for name in ADDRESSES}
    if options["dry_run"]:
        given = options["to"] or options["write_key"]
        report = rehearse(source, plan, chosen(**addresses) if given else [], wishes, output)
    else:
        report = _run(Job(source, plan, chosen(**addresses), wishes, output))
    output.show(report.to_dict(), report.draw)
    raise click.exceptions.Exit(report.code)


def _run(job: Job) -> Report:
    try:
        return job.run()
    except Busy as error:
        fail(str(error), Exit.BUSY)


def _source(file: Path, options: dict[str, Any]) -> Source:
    delimiter = options["delimiter"]
    if delimiter is not None:
        delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
        if len(delimiter) != 1:
            raise click.UsageError("--delimiter is one character, or tab")
    try:
        "\n".encode(options["encoding"])
    except LookupError:
        raise click.UsageError(f"no such encoding: {options['encoding']}") from None
    csv = CsvOptions(delimiter=delimiter, encoding=options["encoding"], nulls=options["nulls"])
    return Source(file, options["format_"], csv)


def _plan(options: dict[str, Any]) -> Plan:
    columns = [
        ("user_id", options["user_column"]),
        ("timestamp", options["timestamp_column"]),
        *((field_name(name), column) for name, column in options["fields"]),
    ]
    named = [name for name, column in columns if column is not None]
    if twice := {name for name in named if named.count(name) > 1}:
        raise click.UsageError(f"two columns for {', '.join(sorted(twice))}")
    try:
        return Plan(
            type=options["kind"],
            event=options["event"],
            fields={name: column for name, column in columns if column is not None},
            properties=_properties(options["properties"]),
            constants={name: automatic(text) for name, text in options["constants"]},
            timestamp_format=options["timestamp_format"],
            timezone=options["timezone"],
            historical=options["historical"],
        )
    except PlanError as error:
        raise click.UsageError(str(error)) from None


def _properties(texts: tuple[str, ...]) -> tuple[Property, ...]:
    return tuple(property_from(text) for text in texts)


def _checked(plan: Plan, source: Source) -> None:
    """Refuse what can be known to be wrong before the first row."""
    try:
        timestamp_parser(plan.timestamp_format, plan.timezone)
        plan.check_columns(source.columns())
    except ValueError as error:
        raise click.UsageError(str(error)) from None
