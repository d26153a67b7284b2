"""What a process takes of its machine at one moment: for programs that run for long."""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path
from typing import Any

from common import tell


def probe(at: float) -> None:
    """
    Tell what is held at the moment *at*, in seconds of whatever clock the program lives by.

    Memory is what no file stands behind: the journal's pages belong to the page cache.
    """
    gc.collect()
    tell(
        "probe",
        {
            "at": at,
            "memory_kib": _anonymous_kib(),
            "descriptors": len([*Path("/proc/self/fd").iterdir()]) - 1,
            "threads": threading.active_count(),
            **_journal(),
        },
    )


def settled(condition: Any, timeout: float = 30.0) -> bool:
    """Whether *condition* holds within *timeout* seconds."""
    deadline = time.monotonic() + timeout
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)  # between two looks, with a deadline
    return bool(condition())


def _anonymous_kib() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1])
    raise LookupError("RssAnon")


def _journal() -> dict[str, Any]:
    sizes = [
        entry.stat().st_size
        for root, _, names in os.walk(os.environ["PENSTOCK_JOURNAL"])
        for entry in (Path(root, name) for name in names)
        if entry.exists()  # the worker deletes what it is done with
    ]
    return {"journal_bytes": sum(sizes), "journal_files": len(sizes)}
