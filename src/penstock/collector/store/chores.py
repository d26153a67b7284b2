"""
Having something done to a store, whether a collector runs or not.

While one runs, its pipeline does it. Otherwise whoever asks is the pipeline for that moment: it
takes the lock, seals what a collector left in the log, does what was asked, and leaves.
"""

from __future__ import annotations

import time
from errno import EBUSY
from typing import TYPE_CHECKING

from penstock.collector.config import Keeping
from penstock.collector.store import wishes
from penstock.collector.store.deletions import deletion, deletions
from penstock.collector.store.pipeline import Pipeline
from penstock.collector.store.wishes import Wish
from penstock.errors import ConfigError, PenstockError
from penstock.journal._locks import FileLock

if TYPE_CHECKING:
    from penstock.collector.layout import Layout
    from penstock.collector.store.deletions import Deletion

#: Seconds between two looks whether it is done.
_POLL_S = 0.05


class NotDoneError(PenstockError):
    """The collector has not done it in time; it will, if need be when it starts again."""


def delete_user(layout: Layout, user: str, timeout_s: float) -> Deletion:
    """
    Delete everything of a user, and wait until it is gone.

    Args:
        layout: The store.
        user: A user id or an anonymous id.
        timeout_s: Seconds to wait for a collector that runs.

    Raises:
        ConfigError: The id is empty, or there is no store.
        NotDoneError: It was asked and is not done yet.
        OSError: The store cannot be written.
    """
    if not user.strip():
        raise ConfigError("user", user, "whose data?")
    wish = Wish("delete-user", user=user)
    _done(layout, wish, timeout_s)
    record = deletion(layout, wish.id)
    if record is None:  # pragma: no cover - the record is written before the request goes
        raise NotDoneError("the record of the deletion is gone")
    return record


def deletions_of(layout: Layout, user: str) -> list[Deletion]:
    """The records of a user's deletions, the oldest first."""
    return [record for record in deletions(layout) if record.is_of(user)]


def compact(layout: Layout, timeout_s: float) -> None:
    """Merge all files of each day and source into one; arguments as those of `delete_user`."""
    _done(layout, Wish("compact"), timeout_s)


def _done(layout: Layout, wish: Wish, timeout_s: float) -> None:
    if not layout.root.is_dir():
        raise ConfigError("store", str(layout.root), "there is no store")
    path = wishes.ask(layout, wish)
    deadline = time.monotonic() + timeout_s
    while path.exists():
        lock = FileLock.acquire(layout.pipeline_lock)
        if lock is not None:
            try:
                busy = _busy_with(layout)
            finally:
                lock.release()
        else:
            busy = "the collector is busy"
        if path.exists() and time.monotonic() > deadline:
            raise NotDoneError(f"asked, and not done after {timeout_s:g} s: {busy}")
        if path.exists():
            time.sleep(_POLL_S)


def _busy_with(layout: Layout) -> str:
    """
    Do what was asked; tells who has an outbox that is to be erased.

    Raises:
        OSError: The store cannot be written.
    """
    try:
        _do_here(layout)
    except OSError as error:
        if error.errno != EBUSY:
            raise
        return error.strerror or "an outbox is in use"
    return ""


def _do_here(layout: Layout) -> None:
    pipeline = Pipeline(layout, Keeping())
    try:
        pipeline.start()
        pipeline.step(drain=True)
        pipeline.housekeeper.step()
        pipeline.housekeeper.settle()
    finally:
        pipeline.close()
