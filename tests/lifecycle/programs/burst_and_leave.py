"""Track as fast as possible with nobody there, then exit at once. Argument: how many events."""

from __future__ import annotations

import os
import sys

from common import open_client, resident_kib, tell, track

client = open_client()
idle = resident_kib("VmRSS")
for _ in range(10):
    track(client, int(sys.argv[1]) // 10)
client.flush(timeout=0.5)
tell("growth_mib", (resident_kib("VmHWM") - idle) / 1024)
os._exit(0)
