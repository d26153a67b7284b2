"""An event loop and tasks that track. Arguments: ``asyncio``, ``uvloop`` or ``trio``; events."""

from __future__ import annotations

import asyncio
import sys

from common import open_client, report, track

library, count = sys.argv[1], int(sys.argv[2])
client = open_client(exit_timeout=20.0)  # a slow machine is not a failing test


async def work() -> None:
    """One task."""
    track(client, count)


async def in_asyncio() -> None:
    """Four tasks, a flush in the middle."""
    await asyncio.gather(*(work() for _ in range(4)))
    await client.aflush(timeout=10)
    await work()
    await client.aclose(timeout=10)


async def in_trio() -> None:
    """The same."""
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(work)
    await client.aflush(timeout=10)
    await work()
    await client.aclose(timeout=10)


if library == "trio":
    import trio

    trio.run(in_trio)
elif library == "uvloop":
    import uvloop

    uvloop.run(in_asyncio())
else:
    asyncio.run(in_asyncio())
report(client)
