"""
Track a little and leave by the main module's end; tells when that was.

Argument: ``tracking``, or ``idle`` to measure what the interpreter itself takes to stop.
"""

from __future__ import annotations

import sys
import time

from common import open_client, tell, track

client = open_client(disabled=sys.argv[1] == "idle") if sys.argv[1] == "idle" else open_client()
if sys.argv[1] == "tracking":
    track(client, 1000)
    time.sleep(0.3)  # by now requests are in flight: the worst moment to leave
tell("ended_at", time.monotonic())
