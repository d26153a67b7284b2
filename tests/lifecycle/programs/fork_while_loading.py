"""Fork while another thread does what a sender does first: import, with `logging` among it."""

from __future__ import annotations

import os
import sys
import threading
import time

from penstock import _fork

held = threading.Event()


def load() -> None:
    """What `Sender.load` does."""
    with _fork.loading():
        held.set()
        time.sleep(0.2)  # until the fork waits for us: nothing else can be seen of it
        import logging

        logging.getLogger("x")


thread = threading.Thread(target=load)
thread.start()
held.wait()
assert "logging" not in sys.modules
child = os.fork()

import logging  # noqa: E402 - nobody may have imported it before the fork

logging.getLogger("x").warning("child" if child == 0 else "parent")
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
thread.join()
