"""Track under a given umask, leave everything in the journal. Arguments: umask, events."""

from __future__ import annotations

import os
import sys

from common import open_client, track

os.umask(int(sys.argv[1], 8))
client = open_client()
track(client, int(sys.argv[2]))
client.flush(timeout=0.2)
os._exit(0)
