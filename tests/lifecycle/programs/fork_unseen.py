"""
Fork as a C program does, without a word to Python; in each child threads track at once.

Argument: children, events of each thread.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading

from common import open_client, track
from uuid_utils import uuid7

children, count = int(sys.argv[1]), int(sys.argv[2])
fork_in_c = ctypes.PyDLL(None).fork
client = open_client(exit_timeout=20.0)  # a slow machine is not a failing test
uuid7()  # from here on this thread has random numbers that its children inherit


def work() -> None:
    """All threads of a child begin together: any of them may be the first to notice the fork."""
    together.wait()
    track(client, count)


pids = []
for _ in range(children):
    child = fork_in_c()
    if child == 0:
        together = threading.Barrier(5)
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        work()
        for thread in threads:
            thread.join()
        client.close(timeout=10)
        os._exit(0)
    pids.append(child)
for pid in pids:
    os.waitpid(pid, 0)
