"""
A gevent service forks while its greenlets send: gevent lets them go on in the child, too.

Each child waits among greenlets, so that those of its parent get their turn, then tracks and
closes. The forks come in every phase of a request: later by one step each. Arguments: children,
events of each process, the step in seconds.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402
from common import live_as_child, open_client, report, track  # noqa: E402

children, count, step_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
client = open_client(interval=0.01)
pids = []
for number in range(children):
    gevent.joinall([gevent.spawn(track, client, count) for _ in range(2)], raise_error=True)
    gevent.sleep(number % 20 * step_s)  # the phase is the subject
    child = os.fork()
    if child == 0:
        gevent.sleep(0.05)  # turns for the parent's greenlets are the subject
        live_as_child(client, count, 20)
    pids.append(child)
for pid in pids:
    os.waitpid(pid, 0)
client.close(timeout=20)
report(client)
