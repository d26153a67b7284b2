"""
gevent patches after the client was made. Arguments: what came before, events of each greenlet.

``made``: only the client. ``tracked``: an event, so our thread lives through the patching.
``flushed``: a flush, so a sender does as well. ``forked``: gevent patches in a forked child, as a
gunicorn worker with ``--preload`` does.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from itertools import pairwise

from common import open_client, report, tell, track

before, count = sys.argv[1], int(sys.argv[2])
client = open_client(interval=20.0)  # a pause of ours would be as long
if before != "made":
    track(client, count)
if before == "flushed":
    client.flush(timeout=10)
if before == "forked" and (child := os.fork()):
    os.waitpid(child, 0)
    client.close(timeout=10)
    report(client)
    sys.exit(0)

threads = [thread for thread in threading.enumerate() if thread.name.startswith("penstock")]

from gevent import monkey  # noqa: E402

monkey.patch_all()

import gevent  # noqa: E402

beats: list[float] = []


def beat() -> None:
    """A greenlet that wants a turn every few milliseconds."""
    while True:
        beats.append(time.monotonic())
        gevent.sleep(0.01)  # how much later than asked is what is measured


pulse = gevent.spawn(beat)
gevent.joinall([gevent.spawn(track, client, count) for _ in range(4)], raise_error=True)
while client.ledger().delivered < 250 or len(beats) < 10:  # a full batch goes out by itself
    gevent.sleep(0.01)  # between two looks; whoever started us has the deadline
pulse.kill()
tell("longest_pause_s", max(b - a for a, b in pairwise(beats)))
client.close(timeout=10)
report(client)
while any(thread.is_alive() for thread in threads):  # what they print as they end matters
    gevent.sleep(0.01)  # between two looks; whoever started us has the deadline
