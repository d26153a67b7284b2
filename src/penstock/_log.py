"""
How Penstock speaks: seldom, without payloads, keys or the server's own words.

A message of one kind is logged at most once a minute, with the number that was held back; the
ledger has the exact counts. `logging` is imported when there is something to say.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING

from penstock import _fork

if TYPE_CHECKING:
    import logging

#: Seconds between two messages of one kind.
PERIOD_S = 60.0
DEBUG, WARNING, ERROR = 10, 30, 40


class Log:
    """
    A rate-limited front of a logger.

    Args:
        logger: The host's, or None for ``logging.getLogger("penstock")``.
        verbose: Let `detail` through.
    """

    def __init__(self, logger: logging.Logger | None, *, verbose: bool) -> None:
        self._logger = logger
        self._lock = RLock()  # a finaliser or a signal handler may speak in between
        self._last: dict[str, float] = {}
        self._held: dict[str, int] = {}
        self.verbose = verbose

    def say(self, level: int, kind: str, text: str, *args: object) -> None:
        """Log ``text % args`` unless a message of *kind* was logged less than a minute ago."""
        now = monotonic()
        with self._lock:
            last = self._last.get(kind)
            if last is not None and now - last < PERIOD_S:
                self._held[kind] = self._held.get(kind, 0) + 1
                return
            self._last[kind] = now
            held = self._held.pop(kind, 0)
        more = f" ({held} more like this in the last minute)" if held else ""
        self._write(level, text + more, args)

    def detail(self, text: str, *args: object) -> None:
        """Log ``text % args`` when verbose."""
        if self.verbose:
            self._write(DEBUG, text, args)

    def failed_callback(self, what: str, error: BaseException) -> None:
        """Tell that the host's own code raised; the type only, its text may hold data."""
        self.say(ERROR, f"callback:{what}", "%s raised %s", what, type(error).__name__)

    def _write(self, level: int, text: str, args: tuple[object, ...]) -> None:
        with suppress(Exception):  # a broken handler of the host is not our failure to deliver
            logger = self._logger
            if logger is None:
                try:
                    logger = self._logger = _default_logger(verbose=self.verbose)
                except (OSError, ImportError, MemoryError):  # no descriptor left to import with
                    print(text % args, file=sys.stderr)  # noqa: T201 - as `logging` would
                    return
            logger.log(level, text, *args)


def _default_logger(*, verbose: bool) -> logging.Logger:
    """The ``penstock`` logger; with verbose and no handler anywhere, one to stderr."""
    if "logging" not in sys.modules:
        with _fork.loading():
            import logging
    import logging

    logger = logging.getLogger("penstock")
    if verbose:
        logger.setLevel(logging.DEBUG)
        if not logger.hasHandlers():
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
            logger.addHandler(handler)
    return logger
