"""One JSON object per line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from penstock.importing.rows import BadRow, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.importing._lines import Lines


def read_jsonl(lines: Lines) -> Iterator[Row | BadRow]:
    """The objects, one row per line that is not blank; nulls inside them are kept."""
    decode = msgspec.json.Decoder().decode
    number = 0
    for line in lines:
        if line.isspace():
            continue
        number += 1
        if lines.cut:
            yield BadRow(number, lines.number, "the line is too long", line)
            continue
        try:
            values = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            yield BadRow(number, lines.number, f"not JSON: {error}", line)
            continue
        if not isinstance(values, dict):
            yield BadRow(number, lines.number, "not a JSON object", line)
            continue
        yield Row(number, lines.number, values, line)
