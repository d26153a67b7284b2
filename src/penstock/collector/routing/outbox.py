"""
The outbox of one destination: a journal under the store, and the client's own delivery behind it.

Cursor, batches, retries, circuit breaker, dead letters and ledger are those of a client, and so is
the choice by ``integrations``. What is appended here is filtered and renamed already.
"""

from __future__ import annotations

import errno
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from penstock.collector.routing.attempts import Attempts
from penstock.collector.routing.tally import Tally
from penstock.collector.routing.telling import Live
from penstock.config import Config
from penstock.delivery.engine import Engine, journal_directory, make_log
from penstock.journal._budget import JournalFull
from penstock.journal._chain import RETRY_CREATE_S
from penstock.journal._dead import DeadLetter
from penstock.journal.disk import DiskJournal
from penstock.journal.inspection import state_of
from penstock.journal.record import FLAG_SELECTIVE
from penstock.kinds import BY_WIRE

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.collector.file import Outlet
    from penstock.collector.routing.shaping import Routed
    from penstock.delivery._job import Job
    from penstock.delivery._outcome import Resolution
    from penstock.journal.ledger import Ledger

_QUEUE_FULL = "queue_full"


class Outbox:
    """
    What waits for one destination, and its delivery.

    Args:
        outlet: The destination and its limits.
        root: Where the outboxes are.
    """

    def __init__(self, outlet: Outlet, root: Path) -> None:
        self.outlet = outlet
        self._dropped: list[DeadLetter] = []
        #: By the monotonic clock: until then the lane says full without asking the disk again.
        self._unsure_until = 0.0
        config = Config(
            journal=root,
            journal_max_bytes=outlet.backlog_bytes,
            max_age=outlet.max_age,
            concurrency=outlet.concurrency,
        )
        self._engine = Engine([outlet.destination], config, make_log(config))
        named = {outlet.destination.id: outlet.destination.name}
        #: Its directory.
        self.journal = journal_directory(root, named)
        self._changed = 0
        self._attempts = Attempts(self.journal, outlet.destination.name)
        self._tally = Tally()
        self._engine.sender.observer = self._note
        self._engine.worker.wake()  # adopt what a predecessor left, also if nothing new comes

    def _note(self, job: Job, resolution: Resolution, status: int | None) -> None:
        self._tally.note(job, resolution, status)
        self._attempts.note(job, resolution, status)

    def append(self, event: Routed) -> None:
        """
        Take an event over, if the destination is to have it.

        At the cap it becomes a dead letter (``queue_full``), which can be replayed, with `sync`.

        Raises:
            OSError: The disk is full or failing.
        """
        shape = self.outlet.shape
        if not shape.takes(event):
            return
        kind, payload = BY_WIRE[event.type], shape.shaped(event)
        flags = FLAG_SELECTIVE if event.selective else 0
        try:
            self._engine.lane.append(kind, flags, int(time.time()), payload)
        except JournalFull as full:
            if not full.limit_bytes:
                self._unsure_until = time.monotonic() + RETRY_CREATE_S
            if time.monotonic() < self._unsure_until:
                raise OSError(errno.ENOSPC, "no space for the outbox") from full
            self._drop(kind, flags, payload)
        if not self._engine.lane.durable:
            raise OSError(errno.EIO, "the outbox cannot be written")

    def _drop(self, kind: int, flags: int, payload: bytes) -> None:
        destination = self.outlet.destination
        self._engine.lane.refuse(_QUEUE_FULL)
        letter = DeadLetter(
            destination.name,
            _QUEUE_FULL,
            None,
            "the backlog is at its limit",
            time.time(),
            payload,
            0,
            destination.id,
            kind,
            flags,
        )
        self._dropped.append(letter)

    def look(self) -> None:
        """Deliver at once what somebody else put into the journal, as a replay does."""
        with suppress(FileNotFoundError):
            changed = self.journal.stat().st_mtime_ns
            if changed != self._changed:
                self._changed = changed
                self._engine.worker.begin_flush()

    def sync(self) -> None:
        """
        Have the disk hold what was appended.

        Raises:
            OSError: It refused.
        """
        if self._dropped:
            self._engine.journal.bury(self._dropped)
            self._dropped = []
        self._engine.lane.sync()

    def ledger(self) -> Ledger:
        """This process's account."""
        return self._engine.ledger()

    def live(self) -> tuple[str, Live]:
        """The directory's name, and how its lanes stand."""
        journal, destination = self._engine.journal, self.outlet.destination
        held = journal.held() if isinstance(journal, DiskJournal) else {}
        lanes = {name: state_of(lane, journal.destinations) for name, lane in held.items()}
        return self.journal.name, Live(lanes, {destination.name: self._tally.counts})

    @property
    def is_sound(self) -> bool:
        """Whether nothing was appended yet, or all of it outlives this process."""
        return self._engine.lane.durable or not self._engine.lane.opened

    def close(self, timeout: float) -> None:
        """Deliver for *timeout* seconds; what is left waits for the next one."""
        self._engine.close(timeout)
