"""
The collector: takes events over HTTP, keeps them, and lets them be read.

Needs the extra: ``pip install 'penstock[collector]'``. Importing this is cheap; what a function
needs is imported when it is called.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from penstock.collector.config import (
    CollectorConfig,
    Compaction,
    Debugger,
    Limits,
    Retention,
    Sealing,
    Window,
)
from penstock.collector.sources import Source, Sources
from penstock.collector.store.query import Filter

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from penstock.collector.processes.server import Address
    from penstock.collector.store.reader import Store

__all__ = [
    "CollectorConfig",
    "Compaction",
    "Debugger",
    "Filter",
    "Limits",
    "Retention",
    "Sealing",
    "Source",
    "Sources",
    "Window",
    "open_store",
    "serve",
]


def open_store(directory: str | os.PathLike[str]) -> Store:
    """
    Open a collector's store for reading, while the collector runs or not.

    Args:
        directory: As given to `penstock serve --store`. It need not exist yet.

    Raises:
        MissingExtraError: DuckDB or PyArrow is not installed.
    """
    from penstock.collector.store.reader import Store

    return Store(Path(directory))


def serve(
    config: CollectorConfig, ready: Callable[[Address], None] = lambda _address: None
) -> None:
    """
    Run a collector until SIGTERM or SIGINT; see `penstock.collector.processes.server.serve`.

    Args:
        config: See `CollectorConfig`.
        ready: Called with the address once requests are answered.

    Raises:
        ConfigError: The configuration cannot be served, or the port is taken.
        MissingExtraError: A package of the extra ``collector`` is not installed.
    """
    from penstock.collector.processes.server import serve as run

    run(config, ready)
