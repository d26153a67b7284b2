"""Track at a steady pace for long, and probe. Arguments: seconds, events per second, probes."""

from __future__ import annotations

import sys
import time

from common import CONTEXT, PROPERTIES, open_client, report, tell
from probe import probe

#: Seconds between two rounds; what a late round missed the next one makes up for.
ROUND_S = 0.01

seconds, rate, probes = (float(argument) for argument in sys.argv[1:])
client = open_client()
began = time.monotonic()
tracked = probed = 0
while (passed := time.monotonic() - began) < seconds:
    while tracked < passed * rate:
        client.track(f"user-{tracked}", "Order Completed", PROPERTIES, context=CONTEXT)
        tracked += 1
    if passed > (probed + 1) * seconds / (probes + 1):
        probe(passed)
        probed += 1
    time.sleep(ROUND_S)  # the pace is the subject
client.flush(timeout=60)
tell("tracked", tracked)
report(client)
client.close()
