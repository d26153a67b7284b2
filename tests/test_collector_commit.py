"""Group commit: nobody is answered before the disk has his request, and one flush serves many."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from collector_kit import MemoryLog
from penstock.collector.log.commit import GroupCommit
from penstock.collector.refusal import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

#: Seconds after which a test gives up.
DEADLINE = 10.0


class SlowLog(MemoryLog):
    """A log whose flush waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def sync(self) -> None:
        count = len(self.payloads)
        self.begun.release()
        assert self.go.acquire(timeout=DEADLINE)
        self.syncs += 1
        if self.sync_error is not None:
            raise self.sync_error
        self.synced = count


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE):
            await body()

    asyncio.run(bounded())


async def begun(log: SlowLog) -> None:
    assert await asyncio.to_thread(log.begun.acquire, timeout=DEADLINE)


def test_a_request_waits_for_the_flush_that_covers_it() -> None:
    """Written is not enough."""
    log = SlowLog()

    async def body() -> None:
        commit = GroupCommit(lambda: log)
        request = asyncio.create_task(commit.write(b"one", 1))
        await begun(log)
        assert not request.done()
        log.go.release()
        await request
        assert log.synced == 1
        await commit.close()

    run(body)


def test_what_queues_during_a_flush_shares_the_next() -> None:
    """Forty requests behind a flush cost one more."""
    log = SlowLog()

    async def body() -> None:
        commit = GroupCommit(lambda: log)
        first = asyncio.create_task(commit.write(b"first", 1))
        await begun(log)
        others = [asyncio.create_task(commit.write(b"more", 1)) for _ in range(40)]
        await asyncio.sleep(0)  # each has written
        log.go.release()
        await first
        await begun(log)
        assert not any(task.done() for task in others)
        log.go.release()
        await asyncio.gather(*others)
        assert (log.syncs, log.synced) == (2, 41)
        await commit.close()

    run(body)


def test_a_failed_flush_refuses_everybody_and_gives_the_log_up() -> None:
    """The kernel may have dropped the pages: asking the same file again proves nothing."""
    broken, fresh = SlowLog(), MemoryLog()
    logs = [broken, fresh]

    async def body() -> None:
        commit = GroupCommit(lambda: logs.pop(0))
        first = asyncio.create_task(commit.write(b"first", 1))
        await begun(broken)
        second = asyncio.create_task(commit.write(b"second", 1))
        await asyncio.sleep(0)  # it has written
        broken.sync_error = OSError(5, "Input/output error")
        broken.go.release()
        for request in (first, second):
            with pytest.raises(Refusal) as refused:
                await request
            assert refused.value.reason is Reason.OVERLOADED
        assert broken.closed
        assert not commit.healthy
        await commit.write(b"again", 1)
        assert commit.healthy
        assert fresh.synced == 1
        await commit.close()

    run(body)


def test_a_full_disk_refuses_one_request_and_keeps_the_log() -> None:
    """Those that were written before are still answered, and later ones when there is room."""
    log = MemoryLog()

    async def body() -> None:
        commit = GroupCommit(lambda: log)
        await commit.write(b"one", 1)
        log.append_error = OSError(28, "No space left on device")
        with pytest.raises(Refusal):
            await commit.write(b"two", 1)
        log.append_error = None
        await commit.write(b"three", 1)
        assert log.payloads == [b"one", b"three"]
        assert not log.closed
        await commit.close()

    run(body)


def test_a_log_that_cannot_be_opened_refuses() -> None:
    """And is tried again with the next request."""
    attempts = [OSError(13, "Permission denied"), MemoryLog()]

    def open_log() -> MemoryLog:
        found = attempts.pop(0)
        if isinstance(found, OSError):
            raise found
        return found

    async def body() -> None:
        commit = GroupCommit(open_log)
        with pytest.raises(Refusal):
            await commit.write(b"one", 1)
        await commit.write(b"one", 1)
        await commit.close()

    run(body)


def test_closing_answers_those_who_wait() -> None:
    """A stop loses nobody's answer."""
    log = SlowLog()

    async def body() -> None:
        commit = GroupCommit(lambda: log)
        request = asyncio.create_task(commit.write(b"one", 1))
        await begun(log)
        closing = asyncio.create_task(commit.close())
        await asyncio.sleep(0)  # it has begun
        log.go.release()
        await closing
        await request
        assert log.closed

    run(body)
