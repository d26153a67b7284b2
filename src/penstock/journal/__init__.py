"""The journal: events are appended here first, and delivered by cursors that move over it."""

from penstock.journal._budget import JournalFull
from penstock.journal.inspection import Inspected, inspect
from penstock.journal.lane import Lane
from penstock.journal.ledger import DestinationLedger, Ledger

__all__ = ["DestinationLedger", "Inspected", "JournalFull", "Lane", "Ledger", "inspect"]
