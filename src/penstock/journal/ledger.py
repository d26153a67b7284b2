"""
The ledger: where every accepted event is, per destination.

    accepted = delivered + pending + dead(reason)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


class DestinationLedger(msgspec.Struct, frozen=True, kw_only=True):
    """
    One destination's account.

    Attributes:
        accepted: Events accepted for this destination (those whose ``integrations`` name it
            ``False`` are not).
        delivered: Events the destination answered for.
        pending: Events in the journal that wait or are in flight.
        dead: Events that will not be sent again, ``{reason: count}``.
    """

    accepted: int = 0
    delivered: int = 0
    pending: int = 0
    dead: dict[str, int] = {}

    @property
    def balanced(self) -> bool:
        """Whether every accepted event is in exactly one state."""
        return self.accepted == self.delivered + self.pending + sum(self.dead.values())

    def __add__(self, other: DestinationLedger) -> DestinationLedger:
        """The two accounts as one."""
        return DestinationLedger(
            accepted=self.accepted + other.accepted,
            delivered=self.delivered + other.delivered,
            pending=self.pending + other.pending,
            dead=merged(self.dead, other.dead),
        )


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """
    All destinations' accounts over the lanes looked at.

    Attributes:
        accepted: Calls that returned, each counted once however many destinations it has.
        destinations: ``{destination name: DestinationLedger}``.
        coerced: Values this client changed because JSON cannot carry them, ``{reason: count}``.
        exceptions: What this client did with the errors it saw, ``{what: count}``: ``captured``,
            ``duplicate``, ``rate_limited``, ``filtered``, ``oversize``, ``refused``.
    """

    accepted: int = 0
    destinations: dict[str, DestinationLedger] = {}
    coerced: dict[str, int] = {}
    exceptions: dict[str, int] = {}

    @property
    def delivered(self) -> int:
        """Deliveries, summed over destinations."""
        return sum(account.delivered for account in self.destinations.values())

    @property
    def pending(self) -> int:
        """Deliveries that wait, summed over destinations."""
        return sum(account.pending for account in self.destinations.values())

    @property
    def dead(self) -> dict[str, int]:
        """Deliveries given up, ``{reason: count}`` over destinations."""
        total: dict[str, int] = {}
        for account in self.destinations.values():
            total = merged(total, account.dead)
        return total

    @property
    def balanced(self) -> bool:
        """Whether ``accepted = delivered + pending + dead`` holds for every destination."""
        return all(account.balanced for account in self.destinations.values())

    def __add__(self, other: Ledger) -> Ledger:
        """The two ledgers as one, destination by destination."""
        names = [*self.destinations, *(n for n in other.destinations if n not in self.destinations)]
        empty = DestinationLedger()
        return Ledger(
            accepted=self.accepted + other.accepted,
            destinations={
                name: self.destinations.get(name, empty) + other.destinations.get(name, empty)
                for name in names
            },
            coerced=merged(self.coerced, other.coerced),
            exceptions=merged(self.exceptions, other.exceptions),
        )

    def to_dict(self) -> dict[str, Any]:
        """The ledger as plain JSON values, sums and the balance included."""
        return {
            "accepted": self.accepted,
            "delivered": self.delivered,
            "pending": self.pending,
            "dead": self.dead,
            "balanced": self.balanced,
            "coerced": self.coerced,
            "exceptions": self.exceptions,
            "destinations": {
                name: msgspec.to_builtins(account) for name, account in self.destinations.items()
            },
        }


def merged(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Counts by reason, added up."""
    total = dict(one)
    for reason, count in other.items():
        total[reason] = total.get(reason, 0) + count
    return total
