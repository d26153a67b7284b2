"""
The pipeline as a process of its own: how it is started, watched and stopped.

The serving process holds the writing end of a pipe that is the pipeline's standard input. Its end
means "seal what there is and exit", and comes by itself when the serving process dies, so nothing
is ever left running. Signals from a terminal or an init system go to both processes; the pipeline
ignores them, since requests may still be coming in until the pipe closes.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import penstock
from penstock.collector.config import Sealing, Window  # noqa: TC001 - msgspec reads them
from penstock.collector.layout import Layout
from penstock.journal._locks import FileLock

if TYPE_CHECKING:
    from penstock.collector.config import CollectorConfig
    from penstock.collector.pipeline import Pipeline

_log = logging.getLogger("penstock.collector")

#: Seconds between two attempts to start a pipeline that died.
_RESTART_S = 1.0
#: Seconds between two attempts to write when the disk is full.
_DISK_S = 1.0


#: Allocations between two looks of the garbage collector: rows are many, and in no cycles.
_GC_THRESHOLD = 100_000


class Settings(msgspec.Struct, frozen=True):
    """What the pipeline process must know, as JSON on its command line."""

    store: str
    sealing: Sealing
    window: Window


# -- the serving process's side --------------------------------------------------------------


class PipelineProcess:
    """
    The pipeline, started again whenever it dies.

    Args:
        config: The collector's.
    """

    def __init__(self, config: CollectorConfig) -> None:
        settings = Settings(str(config.store), config.sealing, config.window)
        self._command = [
            sys.executable,
            "-P",  # a file in the working directory is no module of ours
            "-m",
            "penstock.collector",
            msgspec.json.encode(settings).decode(),
        ]
        self._stopping = threading.Event()
        self._child = self._spawn()
        self._watcher = threading.Thread(target=self._watch, name="penstock-watch", daemon=True)
        self._watcher.start()

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        return self._child.pid

    def _spawn(self) -> subprocess.Popen[bytes]:
        root = str(Path(penstock.__file__).parent.parent)
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            self._command, stdin=subprocess.PIPE, env=environment
        )

    def _watch(self) -> None:
        while True:
            code = self._child.wait()
            if self._stopping.wait(_RESTART_S):
                return
            _log.error("the pipeline ended with code %s; starting it again", code)
            self._child = self._spawn()

    def stop(self, timeout_s: float) -> bool:
        """
        Let it seal what there is.

        Args:
            timeout_s: Time in seconds; after it the process is killed. Nothing is lost then, the
                next start goes on where it was.

        Returns:
            Whether it ended by itself.
        """
        self._stopping.set()
        with contextlib.suppress(OSError):
            if self._child.stdin is not None:
                self._child.stdin.close()
        try:
            self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
            return False
        finally:
            self._watcher.join(_RESTART_S * 2)
        return self._child.returncode == 0


# -- the pipeline's side ---------------------------------------------------------------------


def run_pipeline(settings_json: str) -> None:
    """
    Be the pipeline process.

    Args:
        settings_json: `Settings`.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(format="penstock pipeline: %(message)s", level=logging.WARNING)
    settings = msgspec.json.decode(settings_json, type=Settings)
    leave = _end_of_input()
    layout = Layout(Path(settings.store))
    layout.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _locked(layout, leave)
    if lock is not None:
        _follow(layout, settings, leave)
        lock.release()


def _end_of_input() -> threading.Event:
    ended = threading.Event()

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    return ended


def _locked(layout: Layout, leave: threading.Event) -> FileLock | None:
    """The lock, once a predecessor that is still sealing has ended; None when we are to leave."""
    while True:
        lock = FileLock.acquire(layout.pipeline_lock)
        if lock is not None or leave.wait(0.1):
            return lock


def _follow(layout: Layout, settings: Settings, leave: threading.Event) -> None:
    from penstock.collector.pipeline import Pipeline

    pipeline = Pipeline(layout, settings.sealing, settings.window)
    pipeline.start()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)
    while True:
        leaving = leave.is_set()
        pause = _step(pipeline, settings.sealing.poll, drain=leaving)
        if leaving:
            break
        leave.wait(pause)
    pipeline.close()


def _step(pipeline: Pipeline, poll_s: float, *, drain: bool) -> float:
    """One look at the log; how many seconds to wait before the next."""
    try:
        pipeline.step(drain=drain)
    except OSError as error:
        _log.error("cannot seal, trying again: %s", error.strerror or error)
        return _DISK_S
    return poll_s
