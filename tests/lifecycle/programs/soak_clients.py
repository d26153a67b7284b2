"""
Clients that come and go: closed, left to the garbage collector, in memory, without an event.

Arguments: how many, probes.
"""

from __future__ import annotations

import gc
import sys
import threading

from common import open_client, tell, track
from probe import probe, settled

count, probes = (int(argument) for argument in sys.argv[1:])
threads = threading.active_count()


def come_and_go(number: int) -> int:
    """One client; how many events it tracked."""
    client = open_client(journal=None) if number % 4 == 1 else open_client()
    events = 0 if number % 10 == 0 else 2
    track(client, events)
    if number % 4 == 2:
        client.flush(timeout=30)  # and no close: the collector finds it
    else:
        client.close(timeout=30)
    return events


tracked = 0
for number in range(1, count + 1):
    tracked += come_and_go(number)
    if number * probes % count < probes:
        gc.collect()
        tell("settled", settled(lambda: threading.active_count() <= threads))
        probe(number)
tell("tracked", tracked)
