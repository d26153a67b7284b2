"""What became of events, minute by minute, for the last hour."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.collector.store.ledger import Counts

#: Minutes shown.
SHOWN = 60
_S = 60


class Minute(NamedTuple):
    """One minute."""

    #: Minutes since 1970.
    number: int
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.stored + self.duplicates + self.quarantined


class Minutes:
    """Counts by minute, of the pipeline's own counts as they grow."""

    def __init__(self) -> None:
        self._guard = threading.RLock()
        self._by_number: dict[int, Minute] = {}
        self._last: Counts | None = None

    def see(self, counts: Counts, now_s: float) -> None:
        """Put what was added since the last call into the minute it is."""
        with self._guard:
            last, self._last = self._last, counts
            if last is not None and counts != last:
                self._add(_grown(last, counts, now_s))

    def restart(
        self,
        stored: Mapping[int, int],
        quarantined: Mapping[int, int],
        counts: Counts,
        now_s: float,
    ) -> None:
        """
        Begin anew with what a store knows.

        Args:
            stored: ``{minutes since 1970: rows}``
            quarantined: The same.
            counts: What the store had sealed when these were counted; what was seen after that
                belongs to this minute.
            now_s: Seconds since 1970.
        """
        with self._guard:
            duplicates = {number: minute.duplicates for number, minute in self._by_number.items()}
            self._by_number = {
                n: Minute(n, stored.get(n, 0), duplicates.get(n, 0), quarantined.get(n, 0))
                for n in {*stored, *quarantined, *duplicates}
            }
            last = self._last or counts
            self._add(_grown(counts, last, now_s)._replace(duplicates=0))
            # Whichever is ahead: what is counted already is not to be seen again.
            self._last = msgspec.structs.replace(
                last,
                stored=max(last.stored, counts.stored),
                quarantined=max(last.quarantined, counts.quarantined),
            )

    def _add(self, more: Minute) -> None:
        with self._guard:
            had = self._by_number.get(more.number, Minute(more.number))
            sums = (a + b for a, b in zip(had[1:], more[1:], strict=True))
            self._by_number[more.number] = Minute(more.number, *sums)
            for number in [n for n in self._by_number if n < more.number - 2 * SHOWN]:
                del self._by_number[number]

    def shown(self, now_s: float) -> list[Minute]:
        """The last hour, the oldest minute first."""
        last = int(now_s // _S)
        with self._guard:
            numbers = range(last - SHOWN + 1, last + 1)
            return [self._by_number.get(number, Minute(number)) for number in numbers]


def _grown(before: Counts, after: Counts, now_s: float) -> Minute:
    """What was added, as of the minute it is."""
    return Minute(
        int(now_s // _S),
        max(0, after.stored - before.stored),
        max(0, after.duplicates - before.duplicates),
        max(0, after.quarantined - before.quarantined),
    )
