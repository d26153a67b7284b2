"""The command without its extra: one line that helps."""

from __future__ import annotations

import sys

from penstock.errors import MissingExtraError

#: The same as `penstock.cli._exit.Exit.MISSING`, which cannot be imported from here alone.
EXIT_MISSING = 8


def main(*_arguments: object, **_options: object) -> None:
    """Say what to install, and end with exit code 8."""
    print(MissingExtraError("click", "cli"), file=sys.stderr)
    raise SystemExit(EXIT_MISSING)
