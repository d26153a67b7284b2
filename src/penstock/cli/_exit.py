"""Exit codes: one meaning each, over all commands."""

from __future__ import annotations

from enum import IntEnum
from typing import NoReturn

import click


class Exit(IntEnum):
    """How a command ended; `meaning` is a sentence for ``--help`` and docs/cli.md."""

    OK = 0
    FAILED = 1
    USAGE = 2
    PENDING = 3
    DEAD = 4
    REJECTED = 5
    BUSY = 6
    LOST = 7
    MISSING = 8
    SETTINGS = 10
    JOURNAL = 11
    DNS = 12
    CONNECT = 13
    TLS = 14
    HTTP = 15
    ANSWER = 16
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """What it says to a person."""
        return _MEANINGS[self]


_MEANINGS = {
    Exit.OK: "done",
    Exit.FAILED: "failed, the last line says why",
    Exit.USAGE: "the command line is wrong",
    Exit.PENDING: "not all delivered in time; what is left is safe in the journal",
    Exit.DEAD: "a destination refused events for good",
    Exit.REJECTED: "rows were rejected, see the rejects file; all others are delivered",
    Exit.BUSY: "another process imports this file already",
    Exit.LOST: "not delivered, and no journal could be written to keep it",
    Exit.MISSING: "a package is not installed, the message says which",
    Exit.SETTINGS: "settings",
    Exit.JOURNAL: "journal directory",
    Exit.DNS: "name resolution",
    Exit.CONNECT: "connection",
    Exit.TLS: "TLS handshake",
    Exit.HTTP: "no answer to the request",
    Exit.ANSWER: "the answer refuses the event",
    Exit.INTERRUPTED: "interrupted from the keyboard",
}


def epilog(*codes: Exit) -> str:
    r"""The end of a ``--help`` page; ``\b`` keeps click from joining the lines."""
    lines = [f"  {code:>3}  {code.meaning}" for code in codes]
    return "\b\nExit codes:\n" + "\n".join(lines)


def fail(message: str, code: Exit) -> NoReturn:
    """
    End the command with one line on standard error.

    Raises:
        Exit: Of click; carries *code*.
    """
    click.echo(f"Error: {message}", err=True)
    raise click.exceptions.Exit(code)
