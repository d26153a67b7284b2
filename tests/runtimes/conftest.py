"""A broker for the queues."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from runtime import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[Path]:
    """Where a Redis server of this session listens; it keeps nothing on disk."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.fail("redis-server is not there: apt-get install redis-server, or make debian")
    with tempfile.TemporaryDirectory(prefix="redis-") as directory:  # a short path: sockets need it
        place = Path(directory) / "redis.sock"
        options = ["--port", "0", "--unixsocket", str(place), "--save", "", "--dir", directory]
        process = subprocess.Popen([server, *options], stdout=subprocess.DEVNULL)
        try:
            wait_for(place)
            yield place
        finally:
            process.terminate()
            process.wait(PATIENCE)


def wait_for(place: Path) -> None:
    """
    Return once *place* is there.

    Raises:
        TimeoutError: It is not.
    """
    deadline = time.monotonic() + PATIENCE
    while not place.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(place)
        time.sleep(0.02)  # between two looks, with a deadline


@pytest.fixture
def broker(redis_socket: Path) -> Iterator[Redis]:
    """An empty broker."""
    import redis

    with redis.Redis(unix_socket_path=str(redis_socket)) as connection:
        connection.flushall()
        yield connection
