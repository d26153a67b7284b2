"""The command as a real process, with a journal of its own."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from faults.sink import FaultSink

_PACKAGE_ROOT = str(Path(import_module("penstock").__path__[0]).parent)
KEY = "WK_loopback_only"


class Ended(NamedTuple):
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """The JSON it printed: one object on one line."""
        (line,) = self.out.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found


class CliHost:
    """
    A machine on which the command runs.

    Args:
        root: Its home.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.journal = root / "journal"

    def environment(self, **more: str) -> dict[str, str]:
        """Nothing of the developer's own, and no way out of this machine."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith("PENSTOCK_")}
        own = {
            "PYTHONPATH": _PACKAGE_ROOT,
            "PYTHONWARNINGS": "error",
            "PENSTOCK_JOURNAL": str(self.journal),
            "PENSTOCK_NETWORK": "loopback",
            "COLUMNS": "120",
        }
        return {**kept, **own, **more}

    def start(self, *arguments: object, **environment: str) -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        return subprocess.Popen(
            [sys.executable, "-m", "penstock", *map(str, arguments)],
            cwd=self.root,
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object, timeout: float = 60.0, **environment: str) -> Ended:
        """Run a command to its end."""
        with self.start(*arguments, **environment) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except BaseException:
                process.kill()
                raise
        assert "Traceback" not in err, err
        return Ended(process.returncode, out, err)

    def on_terminal(self, *arguments: object) -> Ended:
        """Run a command on a terminal; both streams arrive as `Ended.out`."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "penstock", *map(str, arguments)],
            cwd=self.root,
            env=self.environment(TERM="dumb"),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        with os.fdopen(ours, "rb") as stream:
            text = _until_closed(stream.fileno())
        return Ended(process.wait(60), text, "")


def _until_closed(descriptor: int) -> str:
    """Everything written to a terminal until the last writer is gone."""
    pieces = []
    while True:
        try:
            piece = os.read(descriptor, 65536)
        except OSError:  # Linux says EIO where others say end of file
            break
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces).decode()


def url_of(sink: FaultSink, dialect: str = "segment") -> str:
    """The sink as a destination on the command line."""
    return f"{dialect}+http://{KEY}@127.0.0.1:{sink.port}"
