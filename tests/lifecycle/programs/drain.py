"""Start after a crash: track nothing, deliver what others left. Argument: seconds to try."""

from __future__ import annotations

import sys

from common import open_client, report, tell

client = open_client()
ledger = client.flush(timeout=float(sys.argv[1]))
tell("pending", ledger.pending)
client.close()
report(client)
