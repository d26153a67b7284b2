"""The router and the file it goes by."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from penstock.collector.routing.router import Router
from penstock.collector.watching import Watched

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.collector.layout import Layout

_log = logging.getLogger("penstock.collector")


class Routing:
    """
    A router that follows a configuration file.

    Args:
        layout: The store.
        file: Sources and destinations.

    Raises:
        BrokenFileError: It cannot be used, and never could.
    """

    def __init__(self, layout: Layout, file: Path) -> None:
        self._watched = Watched(file, layout.configuration)
        #: The pipeline's sink.
        self.router = Router(layout.outbox, self._watched.settings)

    def look(self) -> None:
        """Go by the file as it is now, if it changed and can be used, and see to replays."""
        if self._watched.changed():
            self.router.configure(self._watched.settings)
            _log.warning("the configuration file changed: going by it from now on")
        self.router.look()
