"""
Fork while another thread imports what asks for a logger, where `logging` came after Penstock.

Its hook runs before ours then, and the forking thread has its lock while it waits for us.
"""

from __future__ import annotations

import os
import sys
import time

from common import tell
from slow_loading import start_loading

assert "logging" not in sys.modules
import logging  # noqa: E402 - after penstock, that is what this is about

# urllib3 asks for loggers as it is imported.
thread = start_loading(lambda: logging.getLogger("x"))
began = time.monotonic()
child = os.fork()
logging.getLogger("y")
if child == 0:
    os._exit(0)
tell("waited", time.monotonic() - began)
os.waitpid(child, 0)
thread.join()
