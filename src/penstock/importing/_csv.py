"""Comma-separated text with a header line."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from penstock.importing.rows import BadRow, Row, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.importing._lines import Lines


def csv_columns(lines: Lines, *, delimiter: str = ",", encoding: str = "utf-8") -> list[str]:
    """
    The names in the header.

    Raises:
        SourceError: There is no header, or two columns share a name.
    """
    text = _Text(lines, encoding)
    return _header(csv.reader(text, delimiter=delimiter, strict=True), text)


def read_csv(
    lines: Lines,
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
    nulls: frozenset[str] = frozenset({""}),
) -> Iterator[Row | BadRow]:
    """
    The rows below the header.

    Quoting is read strictly (RFC 4180), since a stray quote silently swallows rows otherwise.
    What cannot be read is one bad row, whatever number of lines it took.

    Args:
        lines: The file; a field may span several of them.
        delimiter: One character.
        encoding: One in which a line break is the byte 0x0A.
        nulls: Cells of these texts are absent from the row.

    Raises:
        SourceError: There is no header, or two columns share a name.
    """
    text = _Text(lines, encoding)
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    header = _header(reader, text)
    number = 0
    while True:
        text.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            number += 1
            yield BadRow(number, text.first, str(error), text.raw())
            continue
        if cells:
            number += 1
            yield _checked(number, cells, header, text, nulls)


def _checked(
    number: int, cells: list[str], header: list[str], text: _Text, nulls: frozenset[str]
) -> Row | BadRow:
    """The row, if there is a cell for each column and every byte could be decoded."""
    if text.problem or len(cells) != len(header):
        reason = text.problem or f"{len(header)} columns expected, {len(cells)} found"
        return BadRow(number, text.first, reason, text.raw())
    values = {column: cell for column, cell in zip(header, cells, strict=True) if cell not in nulls}
    return Row(number, text.first, values, text.raw())


def _header(reader: Iterator[list[str]], text: _Text) -> list[str]:
    text.begin()
    try:
        header = next(reader, None)
    except csv.Error as error:
        raise SourceError(f"the header line cannot be read: {error}") from None
    if not header:
        raise SourceError("the file has no header line")
    if text.problem:
        raise SourceError(f"the header line cannot be read: {text.problem}")
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        raise SourceError(f"columns with the same name: {', '.join(twice)}")
    return header


class _Text:
    """Decodes lines for the parser and remembers those of the row it is working on."""

    def __init__(self, lines: Lines, encoding: str) -> None:
        self._lines = lines
        self._encoding = encoding
        self._taken: list[bytes] = []
        #: Line on which the current row starts.
        self.first = 1
        #: Why the current row cannot be trusted; empty when it can.
        self.problem = ""

    def begin(self) -> None:
        """Forget the row before."""
        self._taken = []
        self.first = self._lines.number + 1
        self.problem = ""

    def raw(self) -> bytes:
        """The lines of the current row."""
        taken = self._taken
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def __iter__(self) -> _Text:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._taken.append(line)
        if self._lines.cut:
            self.problem = f"line {self._lines.number} is too long"
        try:
            return line.decode(self._encoding)
        except UnicodeDecodeError:
            self.problem = f"line {self._lines.number} is not {self._encoding}"
            return line.decode(self._encoding, "replace")
