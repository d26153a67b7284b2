"""``flush`` and ``close`` against the clock, with a destination that never answers."""

from __future__ import annotations

import time

from common import open_client, report, tell, track

client = open_client()
track(client, 1000)
for timeout in (0.0, 0.1, 0.7):
    began = time.monotonic()
    ledger = client.flush(timeout=timeout)
    tell("flush", [timeout, time.monotonic() - began, ledger.pending])
began = time.monotonic()
client.close(timeout=0.5)
tell("close", [0.5, time.monotonic() - began])
report(client)
