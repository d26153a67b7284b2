"""
What every application here has: a client made at import, on defaults.

``AT_IMPORT`` events are tracked while this module is imported: by the master where the server
loads the application before it forks, by each worker otherwise.
"""

from __future__ import annotations

import os

from common import open_client, track

client = open_client(exit_timeout=20.0)  # a slow machine is not a failing test
track(client, int(os.environ.get("AT_IMPORT", "0")))


def sell(count: int) -> str:
    """Track *count* events and say in which process."""
    track(client, count)
    return str(os.getpid())
