"""A Redis server of Debian's, for queues that want a broker."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import requirement
from patience import DEADLINE, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def redis_server() -> Iterator[Path]:
    """The socket of a server that keeps nothing on disk."""
    server = requirement.program("redis-server")
    with tempfile.TemporaryDirectory(prefix="redis-") as directory:  # a short path: sockets need it
        place = Path(directory) / "redis.sock"
        options = ["--port", "0", "--unixsocket", str(place), "--save", "", "--dir", directory]
        process = subprocess.Popen([server, *options], stdout=subprocess.DEVNULL)
        try:
            wait_for(place.exists, "redis-server", 20.0)
            yield place
        finally:
            process.terminate()
            process.wait(DEADLINE)
