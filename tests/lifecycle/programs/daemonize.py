"""
Become a daemon the classic way: fork, new session, fork again; each of the three tracks.

Argument: how many events each tracks.
"""

from __future__ import annotations

import os
import sys

from common import open_client, tell, track

count = int(sys.argv[1])
client = open_client(exit_timeout=20.0)  # a slow machine is not a failing test
track(client, count)
if os.fork():
    os.wait()
    sys.exit(0)
os.setsid()
track(client, count)
if os.fork():
    os._exit(0)
track(client, count)
tell("daemon", os.getpid())
sys.exit(0)
