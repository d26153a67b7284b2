"""``penstock query``: SQL over what a collector has stored."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from penstock.cli._exit import Exit, epilog
from penstock.cli._output import Output
from penstock.cli._rows import print_rows
from penstock.cli._store import store_option
from penstock.collector import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMATS = ("table", "json", "csv", "arrow", "parquet")
#: What is no text and would ruin a terminal.
_BINARY = ("arrow", "parquet")
_SUFFIXES = {".json": "json", ".jsonl": "json", ".csv": "csv", ".arrow": "arrow"}


@click.command("query", epilog=epilog(Exit.OK, Exit.FAILED, Exit.USAGE, Exit.MISSING))
@click.argument("sql")
@click.argument("values", nargs=-1)
@store_option
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    help="By default the output file's name tells, else a table on a terminal and JSON lines.",
)
@click.option(
    "--output",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the result goes; standard output by default.",
)
def query_command(
    *, sql: str, values: tuple[str, ...], store: Path, format_: str | None, path: Path | None
) -> None:
    """
    Ask the tables events and quarantine with one SELECT in DuckDB's SQL.

    VALUES take the places of its question marks, as text. Works while the collector runs, and when
    it does not; what is not sealed yet is seen, too. Nothing outside the store can be read, and
    nothing can be written but the result.
    """
    output = Output()
    chosen = format_ or _suggested(path, human=output.human)
    if chosen in _BINARY and path is None and sys.stdout.isatty():
        raise click.UsageError(f"{chosen} is no text: give --output, or pipe it somewhere")
    result = open_store(store).arrow(sql, list(values))
    if chosen in {"table", "json"} and path is None:
        output.human = chosen == "table"
        print_rows(output, result.to_pylist(), result.schema.names)
        return
    with _opened(path) as stream:
        _write(result, chosen, stream)


def _suggested(path: Path | None, *, human: bool) -> str:
    if path is None:
        return "table" if human else "json"
    return _SUFFIXES.get(path.suffix.lower(), "parquet")


@contextmanager
def _opened(path: Path | None) -> Iterator[IO[bytes]]:
    if path is None:
        yield sys.stdout.buffer
        return
    try:
        with path.open("wb") as stream:
            yield stream
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror or error}") from error


def _write(result: Any, format_: str, stream: IO[bytes]) -> None:
    import msgspec
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    if format_ == "parquet":
        pyarrow.parquet.write_table(result, stream, compression="zstd")
    elif format_ == "arrow":
        with pa.ipc.new_stream(stream, result.schema) as writer:
            writer.write_table(result)
    elif format_ == "csv":
        pyarrow.csv.write_csv(result, stream)
    else:
        for row in result.to_pylist():
            stream.write(msgspec.json.encode(row, enc_hook=str) + b"\n")
