"""Track, then live on until something kills it. Argument: how many events."""

from __future__ import annotations

import signal
import sys

from common import open_client, tell, track

client = open_client(interval=0.05)
track(client, int(sys.argv[1]))
tell("ready", "tracked")
while True:
    signal.pause()
