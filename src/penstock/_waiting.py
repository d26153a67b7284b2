"""Waiting for blocking work without blocking an event loop, whichever runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


async def in_thread(work: Callable[..., Any], *arguments: object) -> Any:
    """Run ``work(*arguments)`` on another thread of asyncio or trio, and wait for it."""
    if _under_trio():
        import trio

        return await trio.to_thread.run_sync(work, *arguments)
    import asyncio  # 60 modules: only for those who run it anyway

    return await asyncio.to_thread(work, *arguments)


def _under_trio() -> bool:
    trio = sys.modules.get("trio")
    if trio is None:
        return False
    try:
        trio.lowlevel.current_trio_token()
    except RuntimeError:
        return False
    return True
