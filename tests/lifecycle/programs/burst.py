"""Track as fast as possible, then close. Argument: how many events. Tells the memory it took."""

from __future__ import annotations

import sys
import time

from common import open_client, report, resident_kib, tell, track

client = open_client()
idle = resident_kib("VmRSS")
began = time.monotonic()
for _ in range(10):
    track(client, int(sys.argv[1]) // 10)
tell("tracked_s", time.monotonic() - began)
ledger = client.close(timeout=60)
tell("growth_mib", (resident_kib("VmHWM") - idle) / 1024)
tell("delivered", ledger.delivered)
report(client)
