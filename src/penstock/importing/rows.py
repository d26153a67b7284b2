"""
What every reader yields: a row, or a row that could not be read.

Rows are numbered from 1 in file order, unreadable ones included, so a row keeps its number (and
with it its message id) in every run over the same file.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from penstock.errors import PenstockError


class Row(NamedTuple):
    """One readable row."""

    #: 1 for the first row; a CSV header and blank lines are not rows.
    number: int
    #: Line of the uncompressed file on which it starts; None where there are no lines (Parquet).
    line: int | None
    #: ``{column: value}``; a CSV cell is text, and an empty one is absent.
    values: dict[str, Any]
    #: As it lies in the file, for the rejects file; None where that is not text.
    raw: bytes | None


class BadRow(NamedTuple):
    """One row that cannot be read."""

    number: int
    line: int | None
    #: What is wrong, for a person.
    reason: str
    raw: bytes | None


class BadValue(ValueError):  # noqa: N818 - a verdict on the row, not a fault of the program
    """A value that the mapping cannot use; the row goes to the rejects file."""


class SourceError(PenstockError):
    """The file itself cannot be read: missing, damaged, or not of its format."""
