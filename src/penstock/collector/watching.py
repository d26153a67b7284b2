"""A configuration file that is read again when it changes."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

from penstock.collector.file import BrokenFileError, Finding, parse
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from penstock.collector.file import Settings

_log = logging.getLogger("penstock.collector")

#: Seconds between two looks at the file's date, and between two at its content: an editor may
#: keep the date, and some file systems tell it in whole seconds.
LOOK_S, READ_S = 0.5, 5.0


class Watched:
    """
    The settings of a file as it is now, or as it was when it last could be used.

    Args:
        path: The file.
        kept: Where the content that could be used last is kept, for a process that starts while
            the file is broken.
        say: Whether to log that a new file cannot be used; one process of several should.
        clock: Monotonic seconds.
        environ: Where ``env:NAME`` looks.

    Raises:
        BrokenFileError: It cannot be used.
        OSError: It cannot be read.
    """

    def __init__(
        self,
        path: Path,
        kept: Path,
        *,
        say: bool = True,
        clock: Callable[[], float] = time.monotonic,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._path = path
        self._kept = kept
        self._say = say
        self._clock = clock
        self._environ = environ
        self._stamp = self._stamped()
        self._next_look = clock() + LOOK_S
        self._next_read = clock() + READ_S
        self._content = b""
        self.settings = self._first()

    def _first(self) -> Settings:
        try:
            self._content = self._path.read_bytes()
            settings = parse(self._path, self._content, self._environ)
        except (BrokenFileError, OSError) as error:
            try:
                settings = parse(self._kept, self._kept.read_bytes(), self._environ)
            except (BrokenFileError, OSError):
                raise error from None
            self._complain(str(error))
            return settings
        self._keep()
        return settings

    def _keep(self) -> None:
        """Only one process writes it."""
        if not self._say:
            return
        making = self._kept.with_suffix(".tmp")
        making.touch(0o600)
        making.write_bytes(self._content)
        making.replace(self._kept)

    def changed(self) -> bool:
        """Whether there are new `settings`; asks the disk twice a second at most."""
        now = self._clock()
        if now < self._next_look:
            return False
        self._next_look = now + LOOK_S
        try:
            stamp = self._stamped()
            if stamp is not None and stamp == self._stamp and now < self._next_read:
                return False
            self._next_read = now + READ_S
            content = self._path.read_bytes()
        except OSError as error:
            if self._stamp is not None:
                self._complain(f"{self._path}: {error.strerror or error}")
            self._stamp = None
            return False
        self._stamp = stamp
        if content == self._content:
            return False
        self._content = content
        return self._take(content)

    def _take(self, content: bytes) -> bool:
        try:
            settings = parse(self._path, content, self._environ)
        except (BrokenFileError, ConfigError) as error:
            self._complain(str(error))
            return False
        if settings.sources.open and not self.settings.sources.open:
            fix = "restart the collector to let anybody write"
            self._complain(str(Finding("", "sources", "there is none any more", fix)))
            return False
        self.settings = settings
        self._keep()
        return True

    def _complain(self, trouble: str) -> None:
        if self._say:
            _log.error("going on with the settings there were: %s", trouble)

    def _stamped(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
