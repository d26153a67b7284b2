"""
Short-lived workers of one application: each tracks, closes and is gone, while others start.

Every close looks for lanes of dead processes, so it meets lanes that are just being removed.
Arguments: workers, events of each.
"""

from __future__ import annotations

import os
import sys

from common import live_as_child, open_client, report, track

workers, count = int(sys.argv[1]), int(sys.argv[2])
client = open_client()
track(client, count)
client.flush(timeout=10)  # everything is imported and idle when the forks begin
pids = []
for _ in range(workers):
    worker = os.fork()
    if worker == 0:
        live_as_child(client, count, 5)
    pids.append(worker)
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
client.close(timeout=5)
report(client)
sys.exit(max(map(abs, codes)))
