"""
The ``penstock`` command.

`main` is a click group when the extra ``cli`` is installed, and a function that says how to install
it when it is not.
"""

from __future__ import annotations

try:
    from penstock.cli._group import penstock as main
except ModuleNotFoundError as error:
    if error.name not in {"click", "rich"}:
        raise
    from penstock.cli._absent import main  # type: ignore[assignment]

__all__ = ["main"]
