"""
Fork without end while threads are in every part of the client.

Three threads track and two flush, so that at any fork some of them hold whatever locks there are.
Each child tracks; then it exits, calls ``os._exit`` or is killed, in turn. Arguments: children,
events of each.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from common import open_client, report, track

children, count = int(sys.argv[1]), int(sys.argv[2])
client = open_client(interval=0.01)
stop = threading.Event()


def keep_tracking() -> None:
    """Hold what ``track()`` holds, as much of the time as possible."""
    while not stop.wait(0.002):  # or the flushes would never catch up
        track(client, 5)


def keep_flushing() -> None:
    """Hold what ``flush()`` holds."""
    while not stop.is_set():
        client.flush(timeout=0.05)


def leave(number: int) -> None:
    """One of the three ways."""
    if number % 3 == 0:
        client.close(timeout=10)
        sys.exit(0)
    if number % 3 == 1:
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)


threads = [threading.Thread(target=work) for work in (*[keep_tracking] * 3, *[keep_flushing] * 2)]
for thread in threads:
    thread.start()
running: set[int] = set()
for number in range(children):
    child = os.fork()
    if child == 0:
        track(client, count)
        leave(number)
    running.add(child)
    if len(running) > 3:
        running.discard(os.wait()[0])
while running:
    running.discard(os.wait()[0])
stop.set()
for thread in threads:
    thread.join()
client.close(timeout=30)
report(client)
