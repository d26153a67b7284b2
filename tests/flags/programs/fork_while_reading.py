"""
Fork while other threads are in the middle of reads. Arguments: the provider's URL, children.

A lock held by such a thread at the fork is held for ever in the child, unless it was replaced.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from penstock import Client, Config, FlagSettings, PostHog

url, children = sys.argv[1], int(sys.argv[2])
settings = FlagSettings(secret_key="phs_x", poll_interval=0.1, stale_for=60.0)
client = Client(PostHog("phc_x", url), config=Config(journal=None, flags=settings))
assert client.flags.wait_until_ready(20)
stop = threading.Event()


def keep_reading() -> None:
    """Hold whatever a read holds, as much of the time as possible."""
    user = 0
    while not stop.is_set():
        user += 1
        client.flags.get("here", f"u{user}")
        client.flags.get("there", f"u{user}")
        client.flags.evaluate(f"u{user}").get("here")


def read_in_child() -> bool:
    """Whether every kind of read works."""
    flags = client.flags
    here = flags.get("here", "child", only_evaluate_locally=True)
    there = flags.get("there", "child", timeout=15.0)
    return here.source == "local" and there.value == "wide" and flags.reload(15)


threads = [threading.Thread(target=keep_reading) for _ in range(3)]
for thread in threads:
    thread.start()
failed = 0
for _ in range(children):
    child = os.fork()
    if child == 0:
        signal.alarm(30)  # a child that hangs is a child that fails
        os._exit(0 if read_in_child() else 1)
    failed += os.waitpid(child, 0)[1] != 0
stop.set()
for thread in threads:
    thread.join()
client.close(timeout=5)
sys.stdout.write(f"{failed}\n")
