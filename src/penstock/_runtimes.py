"""
What some runtimes do behind Python's back, and what a client does about it.

Ending. Workers of `multiprocessing`, Celery and RQ end with ``os._exit``, which runs no exit
handler. Each has a place of its own where a worker's last deeds are done: see `before_the_end`.
Nothing is lost without it, since the next process finds the events; but a journal in a container
may not see a next process.

Every module here is looked up, never imported: what is not loaded is not in use.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

#: After the host's own finalizers, which may track something.
_LAST = -1000


def before_the_end(deliver: Callable[[], None]) -> None:
    """Have *deliver* called where this process ends without its exit handlers."""
    for name, arrange in _ENDS.items():
        module = sys.modules.get(name)
        if module is not None:
            with suppress(Exception):  # another release of it; the journal keeps what is left
                arrange(module, deliver)


def _multiprocessing(util: ModuleType, deliver: Callable[[], None]) -> None:
    """A child process; its parent ends like any other."""
    if sys.modules["multiprocessing.process"].parent_process() is not None:
        util.Finalize(None, deliver, exitpriority=_LAST)


def _celery(signals: ModuleType, deliver: Callable[[], None]) -> None:
    """A process of the prefork pool; the signal is sent nowhere else."""

    def last_deed(**_: Any) -> None:
        deliver()

    signals.worker_process_shutdown.connect(last_deed, weak=False, dispatch_uid=__name__)


def _rq(rq: ModuleType, deliver: Callable[[], None]) -> None:
    """A work horse; ``RQ_JOB_ID`` is set where there is one. Its job is the last it sees of us."""
    job = rq.get_current_job()
    if job is None or "RQ_JOB_ID" not in os.environ:
        return
    for name in ("execute_success_callback", "execute_failure_callback"):
        setattr(job, name, _then(getattr(job, name), deliver))


def _then(call: Callable[..., Any], deliver: Callable[[], None]) -> Callable[..., Any]:
    def both(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        finally:
            deliver()

    return both


_ENDS = {"multiprocessing.util": _multiprocessing, "celery.signals": _celery, "rq": _rq}
