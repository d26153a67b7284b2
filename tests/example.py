"""An example as a user starts it, and whether it leaves anything running."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cli_host import CliHost
from patience import wait_for

EXAMPLES = Path(__file__).parent.parent / "examples"


def start(script: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    """An example with these arguments; the first, if any, is its place."""
    place = Path(str(arguments[0])) if arguments else Path()
    return subprocess.Popen(
        [sys.executable, str(EXAMPLES / script), *map(str, arguments)],
        env=CliHost(place).environment(**environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_end_of(text: str) -> None:
    """No process has *text* in its command line or environment, after a moment to tidy up."""
    wait_for(lambda: not _processes_naming(text), f"the end of {text}", 20.0)


def _processes_naming(text: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:  # it ended meanwhile, or is another user's
            continue
        if text.encode() in told:
            found.append(int(entry.name))
    return found
