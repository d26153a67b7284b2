"""The option that says where a collector's store is."""

from __future__ import annotations

from pathlib import Path

import click
import platformdirs

ENV_STORE = "PENSTOCK_STORE"


def default_store() -> Path:
    """Where a collector keeps its data unless told otherwise."""
    return platformdirs.user_data_path("penstock") / "collector"


store_option = click.option(
    "--store",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    envvar=ENV_STORE,
    default=default_store,
    show_default="penstock/collector in the user's data directory",
    help="Directory the collector keeps its data in.",
)
