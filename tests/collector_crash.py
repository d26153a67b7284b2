"""A collector's process that is gone, at any step of what it does to the file system."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


class Crash(BaseException):
    """The process is gone; nothing catches this."""


def crashes(work: Callable[[Any], object], place: object, *, at: int, before: bool) -> bool:
    """
    Whether *work* came to the step at which it was to die.

    Args:
        work: What the process does.
        place: What it is called with.
        at: The number of the change to the file system, from 1.
        before: Die just before it, instead of just after it.
    """
    with pytest.MonkeyPatch.context() as patch:
        _crash_at(patch, at, before=before)
        try:
            work(place)
        except Crash:
            return True
    return False


def _crash_at(patch: pytest.MonkeyPatch, count: int, *, before: bool) -> None:
    left = [count]

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and before:
                raise Crash
            result = real(*args, **kwargs)
            if left[0] == 0:
                raise Crash
            return result

        return call

    for name in ("rename", "unlink", "mkdir", "rmdir"):
        patch.setattr(Path, name, dying(getattr(Path, name)))
    for name in ("fsync", "pwrite"):
        patch.setattr(os, name, dying(getattr(os, name)))
    patch.setattr("shutil.rmtree", dying(shutil.rmtree))
    patch.setattr(pq.ParquetWriter, "write_table", dying(pq.ParquetWriter.write_table))
