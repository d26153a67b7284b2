"""
Testing an application that tracks: a client that keeps its events, a clock to drive, assertions.

    def test_checkout(penstock):                # the fixture of the pytest plugin
        checkout(penstock, cart)
        penstock.assert_tracked("Order Completed", user_id="u1", revenue__gte=99)

Public and documented in docs/testing.md.
"""

from penstock.testing._assertions import Assertions
from penstock.testing._client import MemoryClient, captured_client
from penstock.testing._clock import CountingIds, FakeClock
from penstock.testing._events import CapturedEvent

__all__ = [
    "Assertions",
    "CapturedEvent",
    "CountingIds",
    "FakeClock",
    "MemoryClient",
    "captured_client",
]
