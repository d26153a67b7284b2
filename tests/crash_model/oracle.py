"""
What was promised, told by what was called and what returned; nothing is read from a file here.

An event is, for each destination, *due* (it must be read back), *settled* (it must not be sent
again) or in between, when a call about it had begun and did not return: then either is right.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crash_model.changes import Note

DESTINATIONS = {"aaaa": "Segment", "bbbb": "PostHog"}


class Event(NamedTuple):
    """One call of `Lane.append`."""

    kind: int
    flags: int
    captured_at: int
    payload: bytes


class Fate(NamedTuple):
    """What was decided about an event for one destination."""

    #: ``"delivered"``, ``"excluded"`` or a reason of death.
    what: str
    #: Whether the call that decides it returned.
    done: bool


class Oracle:
    """
    Everything that was promised until now.

    Attributes:
        events: Appends that were called, by the number in their payload.
        returned: Those that returned.
        failed: Those that raised.
        synced: Those that returned, or raised, before a sync that returned.
        fates: ``{destination: {number: Fate}}`` of what is not due any more.
        buried: Those whose dead letters were written last.
        exact: Whether the counts of the ledger are known: no power was lost until now.
        careful: Whether every process until now ran with ``fsync``.
    """

    def __init__(self) -> None:
        self.events: dict[int, Event] = {}
        self.returned: set[int] = set()
        self.failed: set[int] = set()
        self.synced: set[int] = set()
        self.fates: dict[str, dict[int, Fate]] = {identity: {} for identity in DESTINATIONS}
        self.refusing: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.buried: tuple[int, ...] = ()
        self.exact = True
        self.careful = True

    def note(self, note: Note) -> None:
        """Take in what happened."""
        getattr(self, f"_{note.what}")(*note.arguments)

    # -- what happened ---------------------------------------------------------------------

    def _started(self, synced: bool) -> None:
        self.careful = self.careful and synced

    def _called(self, number: int, event: Event) -> None:
        self.events[number] = event

    def _returned(self, number: int) -> None:
        self.returned.add(number)

    def _failed(self, number: int) -> None:
        self.failed.add(number)

    def _refusing(self, reason: str) -> None:
        self.refusing[reason] += 1

    def _refused(self, reason: str) -> None:
        self.refused[reason] += 1

    def _not_refused(self, reason: str) -> None:
        self.refusing[reason] -= 1

    def _synced(self, numbers: Iterable[int]) -> None:
        self.synced.update(numbers)

    def _handed(self, identity: str, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.fates[identity].pop(number, None)

    def _settling(self, identity: str, fates: Mapping[int, str]) -> None:
        for number, what in fates.items():
            self.fates[identity].setdefault(number, Fate(what, done=False))

    def _settled(self, identity: str, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.fates[identity][number] = self.fates[identity][number]._replace(done=True)

    def _buried(self, numbers: tuple[int, ...]) -> None:
        self.buried = numbers

    def _power_lost(self, there: Iterable[int]) -> None:
        """From here on only what is *there* is promised, and the cursors may have gone back."""
        self.exact = False
        self.buried = ()
        self.returned = set(there)
        self.synced = set(there)
        self.refused.clear()
        for fates in self.fates.values():
            fates.update({n: fate._replace(done=False) for n, fate in fates.items()})

    # -- what follows ----------------------------------------------------------------------

    def due(self, identity: str, *, power: bool) -> set[int]:
        """Numbers that must be read back after a crash."""
        promised = self.returned & self.synced if power else self.returned
        return promised - self.fates[identity].keys()

    def unfinished(self) -> set[int]:
        """Numbers of the appends that did not come to an end."""
        return self.events.keys() - self.returned - self.failed

    def settled(self, identity: str) -> set[int]:
        """Numbers that must not be read back after the death of a process."""
        return {n for n, fate in self.fates[identity].items() if fate.done}

    def count(self, identity: str, what: str, *, begun: bool = False) -> int:
        """How many were settled as *what*; with *begun* also those that may have been."""
        fates = self.fates[identity].values()
        return sum(fate.what == what and (fate.done or begun) for fate in fates)

    def reasons(self) -> set[str]:
        """Every reason an event may have died for."""
        told = {fate.what for fates in self.fates.values() for fate in fates.values()}
        return (told | set(self.refusing)) - {"delivered", "excluded"}
