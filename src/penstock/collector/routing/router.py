"""
Routing: what the pipeline stores goes to the destinations of its source.

The router is a sink of the pipeline. It gets each run, deduplicated and already safe in the log,
appends its events to the outboxes and syncs them; only then is the run's place in the log
committed. A crash in between has the run come again, with the same message ids. So an event is
sent at least once, and never before the disk holds it.

A destination that is down fills its own outbox and delays nobody: at the cap of the backlog events
become dead letters. One that is added gets what comes from then on; one that is taken away leaves
its outbox behind, which is delivered if it comes back under the same table name.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING

from penstock.collector.log.lane import make_directory
from penstock.collector.routing.outbox import Outbox
from penstock.collector.routing.outgoing import outgoing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.collector.file import Outlet, Settings
    from penstock.collector.routing.shaping import Routed
    from penstock.collector.routing.telling import Live
    from penstock.collector.store.sealing import Run
    from penstock.journal.ledger import Ledger

_log = logging.getLogger("penstock.collector")

#: Seconds an outbox gets to finish when its destination changed, and when the pipeline ends.
_CHANGE_S, _END_S = 1.0, 5.0


class Router:
    """
    Outboxes, and which events go into which.

    Args:
        root: Where the outboxes are.
        settings: Sources and destinations.
    """

    def __init__(self, root: Path, settings: Settings) -> None:
        self._root = root
        self._settings = settings
        self._outboxes: dict[str, Outbox] = {}
        self._run: Run | None = None
        #: The run's events until all outboxes have them. Making them anew whenever a full disk has
        #: the run offered again would scatter the heap, 17 MB at a time.
        self._events: list[Routed] = []
        #: ``{outbox: events of the run looked at}``
        self._done: dict[str, int] = {}
        #: Held while outboxes are opened, appended to, or closed.
        self._guard = RLock()
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Go by other settings from now on; outboxes of unchanged destinations go on."""
        with self._guard:
            self._configure(settings)

    def _configure(self, settings: Settings) -> None:
        if settings.outlets:
            make_directory(self._root)
        for name, box in list(self._outboxes.items()):
            wanted = settings.outlets.get(name)
            if wanted is not None and _same_delivery(wanted, box.outlet):
                box.outlet = wanted  # other filters or names at most
            else:
                self._outboxes.pop(name).close(_CHANGE_S)
        for name, outlet in settings.outlets.items():
            if name not in self._outboxes:
                self._outboxes[name] = Outbox(outlet, self._root)
        self._settings = settings

    def take(self, run: Run) -> None:
        """
        Take a run over; called again with the same one, go on where it failed.

        Raises:
            OSError: The disk is full or failing: call again later.
        """
        with self._guard:
            self._take(run)

    def _take(self, run: Run) -> None:
        if run is not self._run:
            self._run, self._done = run, {}
            self._events = list(outgoing(run.events)) if self._outboxes else []
        if not self._events:
            return
        for name, box in list(self._outboxes.items()):
            try:
                for event in self._events[self._done.get(name, 0) :]:
                    if name in self._settings.outlets_of(event.source):
                        box.append(event)
                    self._done[name] = self._done.get(name, 0) + 1
                box.sync()
            except OSError:
                self._mend(name, box)
                raise
        self._events = []

    def _mend(self, name: str, box: Outbox) -> None:
        """An outbox that could not be made on disk went on in memory: make it again."""
        if not box.is_sound:
            _log.error("the outbox of %s cannot be written", name)
            self._done.pop(name, None)
            box.close(0.0)
            self._outboxes[name] = Outbox(box.outlet, self._root)

    def look(self) -> None:
        """Have the outboxes take up what was put into them by others; not while one is lent."""
        if self._guard.acquire(blocking=False):
            try:
                for box in self._outboxes.values():
                    box.look()
            finally:
                self._guard.release()

    @contextmanager
    def lend(self, journal: Path) -> Iterator[None]:
        """
        Let somebody else have an outbox for a while; nothing is routed meanwhile.

        What is in flight is waited for, shortly, and sent again afterwards if that was in vain.

        Args:
            journal: Its directory; one that is not open is free anyway.

        Raises:
            OSError: The disk does not hold what the outbox took over.
        """
        with self._guard:
            lent = [(name, box) for name, box in self._outboxes.items() if box.journal == journal]
            for _, box in lent:
                box.sync()
            for name, _ in lent:
                self._outboxes.pop(name).close(_CHANGE_S)
            try:
                yield
            finally:
                for name, box in lent:
                    self._outboxes[name] = Outbox(box.outlet, self._root)

    def ledgers(self) -> dict[str, Ledger]:
        """Each destination's account in this process, by its table."""
        return {name: box.ledger() for name, box in self._outboxes.items()}

    def live(self) -> dict[str, Live]:
        """How the open outboxes stand, by the names of their directories."""
        return dict(box.live() for box in list(self._outboxes.values()))

    def close(self, timeout: float = _END_S) -> None:
        """Deliver for *timeout* seconds; what is left waits for the next pipeline."""
        each = timeout / max(1, len(self._outboxes))
        for box in self._outboxes.values():
            box.close(each)
        self._outboxes.clear()


def _same_delivery(one: Outlet, other: Outlet) -> bool:
    return one._replace(shape=other.shape) == other
