"""
Fork while another thread imports what asks for a logger, where `logging` came after Penstock.

Its hook runs before ours then, and the forking thread has its lock while it waits for us.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from common import tell

from penstock import _fork

assert "logging" not in sys.modules
import logging  # noqa: E402 - after penstock, that is what this is about

held = threading.Event()


def load() -> None:
    """What `Sender.load` does: urllib3 asks for loggers as it is imported."""
    with _fork.loading():
        held.set()
        time.sleep(0.2)  # until the fork waits for us: nothing else can be seen of it
        logging.getLogger("x")


thread = threading.Thread(target=load)
thread.start()
held.wait()
began = time.monotonic()
child = os.fork()
logging.getLogger("y")
if child == 0:
    os._exit(0)
tell("waited", time.monotonic() - began)
os.waitpid(child, 0)
thread.join()
