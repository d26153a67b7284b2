"""
Fork while other threads are in the middle of ``track()``. Arguments: children, events of each.

A lock held by such a thread at the fork is held for ever in the child, unless it was replaced.
"""

from __future__ import annotations

import os
import sys
import threading

from common import open_client, report, track

children, count = int(sys.argv[1]), int(sys.argv[2])
client = open_client(interval=0.01)
stop = threading.Event()
#: How many events the threads may be ahead of delivery.
AHEAD = 20_000


def keep_tracking() -> None:
    """Hold whatever ``track()`` holds, most of the time; delivery is the slower one, and waits."""
    while not stop.is_set():
        track(client, 20)
        while client.ledger().pending > AHEAD and not stop.wait(0.01):
            pass


threads = [threading.Thread(target=keep_tracking) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(children):
    child = os.fork()
    if child == 0:
        track(client, count)
        os._exit(0)
    os.waitpid(child, 0)
stop.set()
for thread in threads:
    thread.join()
client.close(timeout=20)
report(client)
