"""Whether this worker should be sent requests: what ``/readyz`` says."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from penstock.collector.log.lane import SEGMENT_BYTES, used_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.collector.config import Limits
    from penstock.collector.http.load import Admission
    from penstock.collector.log.commit import GroupCommit

#: Seconds a failed write is remembered. Then requests are welcome again: only they can show that
#: the disk has recovered.
_REMEMBERED_S = 5.0


class Health:
    """
    Looks after what may keep a worker from taking events.

    Args:
        commit: Where its requests become durable.
        admission: What it holds.
        limits: The bounds.
        log: The directory of the request log.
    """

    def __init__(
        self,
        commit: GroupCommit,
        admission: Admission,
        limits: Limits,
        log: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._commit = commit
        self._admission = admission
        self._limits = limits
        self._log = log
        self._clock = clock

    def trouble(self) -> str:
        """Why no request should come now; empty when all is well."""
        if not self._commit.healthy and self._clock() - self._commit.failed_at < _REMEMBERED_S:
            return "the log cannot be written"
        if self._admission.requests >= self._limits.in_flight:
            return "too many requests are in flight"
        return self._disk_trouble()

    def _disk_trouble(self) -> str:
        if used_bytes(self._log) + SEGMENT_BYTES > self._limits.log_bytes:
            return "the log is full: the pipeline has fallen behind"
        try:
            disk = os.statvfs(self._log)
        except (OSError, AttributeError):  # not there yet, or Windows
            return ""
        return "the disk is full" if disk.f_bavail * disk.f_frsize < SEGMENT_BYTES else ""
