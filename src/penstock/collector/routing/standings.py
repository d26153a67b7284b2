"""
How every destination stands, as the pipeline tells the other processes.

One small file in the store, `SIZE` bytes that are allocated once and written in place, so that it
is told on a full disk, too, and whoever reads it in the middle of a write gets what was told
before. It outlives the processes: a collector that just started knows at once what was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from penstock.journal._segment import map_file
from penstock.journal._slot import Slot
from penstock.journal.ledger import DestinationLedger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Bytes of the file; half of it is room for some five hundred destinations.
SIZE = 256 * 1024


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One destination, by the journal it has."""

    #: The account of all time.
    ledger: DestinationLedger = DestinationLedger()
    #: Seconds since 1970 at which the oldest pending event was taken over; None when none is.
    oldest: float | None = None
    #: ``(outcome, status, requests)`` since the pipeline took the destination up.
    requests: list[tuple[str, str, int]] = []

    def __add__(self, other: Standing) -> Standing:
        """Two outboxes with the same name, as one."""
        oldest = [one for one in (self.oldest, other.oldest) if one is not None]
        return Standing(
            ledger=self.ledger + other.ledger,
            oldest=min(oldest, default=None),
            requests=self.requests + other.requests,
        )


#: ``{outbox: {destination name: Standing}}``
Told = dict[str, dict[str, Standing]]


class StandingsFile:
    """
    The file, for the one process that writes it.

    Args:
        path: Made when it is not there.

    Raises:
        OSError: The disk is full.
    """

    def __init__(self, path: Path) -> None:
        self._map = map_file(path, SIZE)
        self._slot = Slot(self._map)
        self._slot.load()
        self._last = b""

    def tell(self, told: Told) -> None:
        """Have everybody know; what does not fit is left out, the last outboxes first."""
        document = msgspec.json.encode(told)
        while len(document) > self._slot.room:  # pragma: no cover - more than there is room for
            told = dict(list(told.items())[: len(told) * 9 // 10])
            document = msgspec.json.encode(told)
        if document != self._last:
            self._slot.store(document)
            self._last = document

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()


def told_in(path: Path) -> Told:
    """What was told last; empty when nothing ever was."""
    try:
        found = bytearray(path.read_bytes())
    except FileNotFoundError:
        return {}
    stored = Slot(found).load() if len(found) == SIZE else None
    try:
        return msgspec.convert(stored or {}, Told)
    except msgspec.ValidationError:  # another version's
        return {}


def by_name(told: Mapping[str, Mapping[str, Standing]]) -> dict[str, Standing]:
    """Every destination by its name, in the order of names."""
    found: dict[str, Standing] = {}
    for outbox in told.values():
        for name, standing in outbox.items():
            found[name] = found.get(name, Standing()) + standing
    return dict(sorted(found.items()))
