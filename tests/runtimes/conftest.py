"""A broker for the queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from redis_server import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[Path]:
    """Where a Redis server of this session listens."""
    with redis_server() as place:
        yield place


@pytest.fixture
def broker(redis_socket: Path) -> Iterator[Redis]:
    """An empty broker."""
    import redis

    with redis.Redis(unix_socket_path=str(redis_socket)) as connection:
        connection.flushall()
        yield connection
