"""The journal in memory: the same lanes over buffers that go with the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.journal._budget import Budget
from penstock.journal._segment import MemoryStore
from penstock.journal.lane import Lane
from penstock.journal.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.journal._dead import DeadLetter


class MemoryJournal:
    """
    One lane in memory.

    Args:
        destinations: ``{identity: name}``.
        max_bytes: The cap.
        on_wake: See `Lane`.
    """

    def __init__(
        self,
        destinations: Mapping[str, str],
        *,
        max_bytes: int,
        on_wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.destinations = dict(destinations)
        self.lane = Lane(MemoryStore, Budget(max_bytes), destinations, on_wake=on_wake)

    def adopt(self) -> list[Lane]:
        """Nothing outlives a process here."""
        return []

    def retire(self, lane: Lane) -> bool:
        """Nothing to remove."""
        del lane
        return False

    def bury(self, letters: list[DeadLetter]) -> None:
        """Dead letters need a disk; the callback has told of them."""

    def ledger(self) -> Ledger:
        """The lane's ledger."""
        return lane_ledger(self.lane, self.destinations)

    def close(self) -> None:
        """Refuse appends; memory is freed with the object."""
        self.lane.stop()

    def abandon(self, *, hand_over: bool = False) -> None:
        """After a fork: the events are the parent's, and cannot be handed over."""
        del hand_over


def lane_ledger(lane: Lane, destinations: Mapping[str, str]) -> Ledger:
    """The accounts of *destinations* in one lane."""
    return Ledger(
        accepted=lane.accepted,
        destinations={name: lane.account(identity) for identity, name in destinations.items()},
    )
