"""Fork while another thread does what a sender does first: import, with `logging` among it."""

from __future__ import annotations

import os
import sys

from slow_loading import start_loading


def load() -> None:
    import logging

    logging.getLogger("x")


thread = start_loading(load)
assert "logging" not in sys.modules
child = os.fork()

import logging  # noqa: E402 - nobody may have imported it before the fork

logging.getLogger("x").warning("child" if child == 0 else "parent")
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
thread.join()
