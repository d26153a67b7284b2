"""Track, wait until it is delivered, close. Arguments: how many events, seconds to wait."""

from __future__ import annotations

import sys
import time

from common import open_client, report, tell, track

client = open_client()
track(client, int(sys.argv[1]))
began = time.monotonic()
client.flush(timeout=float(sys.argv[2]))
tell("flush_s", time.monotonic() - began)
report(client)
client.close()
report(client)
