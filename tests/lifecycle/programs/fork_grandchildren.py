"""A server that forks workers which fork helpers; everybody tracks. Argument: events for each."""

from __future__ import annotations

import os
import sys

from common import open_client, report, track

count = int(sys.argv[1])
client = open_client()
track(client, count)
for _generation in range(3):
    if os.fork():
        track(client, count)
        os.wait()
        break
    track(client, count)
client.close(timeout=10)
report(client)
