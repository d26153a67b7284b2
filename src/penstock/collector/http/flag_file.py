"""The definitions file a collector serves, and its changes while it runs."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from typing import TYPE_CHECKING, NamedTuple

import orjson

from penstock.collector.logs import FACTS
from penstock.errors import ConfigError, PenstockError
from penstock.flags import CompiledFlags, compile_flags, parse_definitions
from penstock.flags.definitions import Malformed
from penstock.flags.files import read_flag_file

if TYPE_CHECKING:
    from pathlib import Path

    #: What changes when a file does: time of change, size, and which file it is.
    Stamp = tuple[int, int, int]

_log = logging.getLogger("penstock.collector")


class Served(NamedTuple):
    """One state of the file, ready to be served."""

    flags: CompiledFlags
    #: What SDKs that evaluate by themselves are sent.
    body: bytes
    #: Of `body`, in quotes.
    etag: str


class FlagFile:
    """
    A definitions file.

    Args:
        path: YAML or JSON, see `penstock.flags.files`.
        loud: Whether to tell the log of changes; of several processes, one does.

    Raises:
        ConfigError: There is nothing to serve yet, and it cannot be read.
    """

    def __init__(self, path: Path, *, loud: bool = True) -> None:
        self._path = path
        self._loud = loud
        self._stamp = _stamp(path)
        #: Replaced as a whole, so a request finishes on what it began with.
        self.served = self._read()
        self._reading: threading.Thread | None = None

    def refresh(self) -> None:
        """
        Look whether the file has changed, and read it on a thread of its own if so.

        One that cannot be read is told once; the last good one goes on being served.
        """
        stamp = _stamp(self._path)
        if stamp == self._stamp or (self._reading and self._reading.is_alive()):
            return
        self._stamp = stamp
        self._reading = threading.Thread(target=self._replace, name="penstock-flags", daemon=True)
        self._reading.start()

    def _replace(self) -> None:
        try:
            self.served = self._read()
        except PenstockError as error:
            self._tell(logging.ERROR, "flags not changed: the file cannot be used", why=str(error))

    def _read(self) -> Served:
        content = read_flag_file(self._path)
        flags = compile_flags(parse_definitions(content))
        body = _encoded(self._path, content)
        self._tell(logging.INFO, "flags loaded", flags=len(flags.definitions.flags))
        for key, reason in flags.unsupported.items():
            flag = flags.definitions.flags[key]
            why = flag.why if isinstance(flag, Malformed) else reason
            self._tell(logging.WARNING, "a flag cannot be evaluated", flag=key, why=why)
        for remark in flags.remarks:
            self._tell(logging.WARNING, remark)
        return Served(flags, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')

    def _tell(self, level: int, message: str, **facts: object) -> None:
        _log.log(level if self._loud else logging.DEBUG, message, extra={FACTS: facts})


def _encoded(path: Path, content: object) -> bytes:
    try:
        return orjson.dumps(content)
    except TypeError as error:  # a lone surrogate, a number beyond 64 bits
        raise ConfigError("flags", str(path), f"it cannot be sent as JSON: {error}") from error


def _stamp(path: Path) -> Stamp | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - once a second, and it is cheaper
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
