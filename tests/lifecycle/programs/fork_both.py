"""
Fork after the client was made; parent and child both track.

Arguments: what the parent did before (``nothing``, ``tracked`` or ``flushed``), how the child ends
(``os_exit``, ``exit``, ``closed`` or ``sigkill``), how many events each tracks.
"""

from __future__ import annotations

import os
import signal
import sys

from common import open_client, report, track

before, ending, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
client = open_client()
if before != "nothing":
    track(client, count)
if before == "flushed":
    client.flush(timeout=10)

child = os.fork()
track(client, count)
if child == 0:
    if ending == "os_exit":
        os._exit(0)
    if ending == "sigkill":
        os.kill(os.getpid(), signal.SIGKILL)
    if ending == "closed":
        client.close(timeout=10)
        report(client)
        os._exit(0)
    sys.exit(0)
os.waitpid(child, 0)
client.close(timeout=10)
report(client)
