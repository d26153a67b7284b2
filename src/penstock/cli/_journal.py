"""The argument and the option that say where a journal is."""

from __future__ import annotations

from pathlib import Path

import click

#: Of commands about a journal that is there.
journal_argument = click.argument(
    "directory",
    metavar="[DIR]",
    required=False,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)

#: Of commands that may be the first to use it.
journal_option = click.option(
    "--journal",
    type=click.Path(file_okay=False),
    help="Journal directory; by default PENSTOCK_JOURNAL, else the user's state directory.",
)
