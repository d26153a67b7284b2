"""
What some runtimes do behind Python's back, and what a client does about it.

Forking. uWSGI forks in C. Unless it was told ``--py-call-uwsgi-fork-hooks``, a child finds the
interpreter as it was, and when another thread was waiting for the interpreter at that moment the
child waits for that thread to take it, for ever. So no thread may exist before uWSGI has forked:
see `forks_unseen`.

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


def forks_unseen() -> bool:
    """Whether this is a process that uWSGI will fork without telling Python."""
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is None or not hasattr(uwsgi, "masterpid"):  # or another module of that name
        return False
    loading = uwsgi.worker_id() == 0 and uwsgi.masterpid() in {0, os.getpid()}
    alone = not uwsgi.masterpid() and uwsgi.numproc == 1
    return loading and not alone and "py-call-uwsgi-fork-hooks" not in uwsgi.opt


def stays_behind() -> bool:
    """Whether this process, one of `forks_unseen`, never becomes a worker: it is a master."""
    return bool(sys.modules["uwsgi"].masterpid())


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
        owner = job if hasattr(job, name) else sys.modules["rq.worker.base"]  # from RQ 3 on
        setattr(owner, name, _then(getattr(owner, name), deliver))


def _then(call: Callable[..., Any], deliver: Callable[[], None]) -> Callable[..., Any]:
    def both(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        finally:
            deliver()

    return both


_ENDS = {"multiprocessing.util": _multiprocessing, "celery.signals": _celery, "rq": _rq}
