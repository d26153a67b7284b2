"""
Fork again and again right after the first event; each child tracks and closes.

By then the parent's sender is importing what it needs. A module that a thread is importing stays
locked for ever in a child forked at that moment. Arguments: children, events of each.
"""

from __future__ import annotations

import os
import sys
import time

from common import live_as_child, open_client, report, track

children, count = int(sys.argv[1]), int(sys.argv[2])
client = open_client()
track(client, 300)  # a full batch: the sender starts at once
pids = []
for _ in range(children):
    child = os.fork()
    if child == 0:
        live_as_child(client, count, 10)
    pids.append(child)
    time.sleep(0.003)  # spreads the forks over the sender's start: the moment under test
for pid in pids:
    os.waitpid(pid, 0)
client.close(timeout=10)
report(client)
