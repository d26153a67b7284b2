"""Where everything is: the log, the destinations' ledgers, and what died for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from penstock.collector.log.reading import lane_paths
from penstock.journal import DestinationLedger, letters
from penstock.journal._segment import SUFFIX
from penstock.journal.inspection import inspect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.collector.layout import Layout
    from penstock.journal.letters import Found

#: Letters of a page.
SHOWN = 200
#: Fields of the form that chooses dead letters.
ASKED = ("destination", "reason", "id")


class Account(NamedTuple):
    """One destination's ledger."""

    name: str
    ledger: DestinationLedger


def log_bytes(layout: Layout) -> int:
    """Bytes of the segments that still hold requests."""
    total = 0
    for lane in lane_paths(layout.log):
        for segment in lane.glob(f"*{SUFFIX}"):
            try:
                total += segment.stat().st_blocks * 512
            except FileNotFoundError:  # sealed, and gone
                continue
    return total


def destinations(layout: Layout) -> list[Account]:
    """The recounted ledger of every outbox, by name."""
    found = [
        Account(name, ledger)
        for journal in inspect(layout.outbox)
        for name, ledger in journal.ledger.destinations.items()
    ]
    return sorted(found, key=lambda account: account.name)


def dead(layout: Layout, asked: Mapping[str, str]) -> list[Found]:
    """
    Dead letters, the newest first.

    Args:
        layout: The store.
        asked: `ASKED`; what is empty lets all pass.
    """
    if not layout.outbox.is_dir():
        return []
    return letters.find(layout.root, _wanted(asked))[::-1]


def replay(layout: Layout, asked: Mapping[str, str]) -> int:
    """
    Put dead letters back into their outboxes.

    Returns:
        How many; those that do not say whose they are stay.

    Raises:
        JournalError: Somebody else is at it.
        OSError: The disk refused; the letters are still there.
    """
    if not layout.outbox.is_dir():
        return 0
    found = letters.replay(layout.root, _wanted(asked))
    return sum(sum(one.put_back.values()) for one in found)


def _wanted(asked: Mapping[str, str]) -> letters.Wanted:
    message_id = asked.get("id", "")
    return letters.Wanted(
        destination=asked.get("destination") or None,
        reason=asked.get("reason") or None,
        ids=(message_id,) if message_id else (),
    )
