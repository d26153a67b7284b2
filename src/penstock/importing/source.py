"""The file to import: its format, its digest, its rows."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from penstock.importing._csv import csv_columns, read_csv
from penstock.importing._jsonl import read_jsonl
from penstock.importing._lines import Lines
from penstock.importing._parquet import parquet_columns, read_parquet
from penstock.importing.rows import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.importing.rows import BadRow, Row

FORMATS = ("csv", "jsonl", "parquet")

_BY_SUFFIX = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class CsvOptions:
    """How to read a CSV file; ignored for the other formats."""

    #: One character; None means a tab for ``.tsv`` and ``.tab``, else a comma.
    delimiter: str | None = None
    encoding: str = "utf-8"
    #: Texts that mean "no value", besides the empty cell.
    nulls: tuple[str, ...] = ()


class Source:
    """
    A CSV, JSON-lines or Parquet file; the first two also gzip-compressed.

    Args:
        path: The file. ``.gz`` at the end of its name means gzip.
        format: One of `FORMATS`; None goes by the name.
        csv: How to read CSV.

    Raises:
        SourceError: There is no such file, or its name does not tell the format.
    """

    def __init__(
        self,
        path: Path,
        format: str | None = None,  # noqa: A002 - the word users know
        csv: CsvOptions = CsvOptions(),
    ) -> None:
        if not path.is_file():
            raise SourceError(f"{path}: no such file")
        self.path = path
        self.compressed = path.suffix.lower() == ".gz"
        self._suffix = (Path(path.stem) if self.compressed else path).suffix.lower()
        self.format = format or self._guess()
        self._csv = csv
        self._file: BinaryIO | None = None
        self.size = path.stat().st_size

    def _guess(self) -> str:
        try:
            return _BY_SUFFIX[self._suffix]
        except KeyError:
            raise SourceError(
                f"{self.path.name}: the name does not tell the format; use --format"
            ) from None

    @property
    def typed(self) -> bool:
        """Whether values carry their type (CSV cells are text)."""
        return self.format != "csv"

    def digest(self) -> str:
        """
        SHA-256 of the uncompressed content, in hex.

        A file compressed again is still the same import.

        Raises:
            SourceError: The compressed file is damaged or cut short.
        """
        total = hashlib.sha256()
        with self._opened() as file, _damage(self.path):
            while chunk := file.read(_CHUNK_BYTES):
                total.update(chunk)
        return total.hexdigest()

    def columns(self) -> list[str] | None:
        """
        Names of the columns; None for JSON lines, where each row has its own.

        Raises:
            MissingExtraError: A Parquet file, and pyarrow is not installed.
            SourceError: The file is not what its format says.
        """
        if self.format == "parquet":
            return parquet_columns(self.path)
        if self.format == "jsonl":
            return None
        with self._opened() as file, _damage(self.path):
            return csv_columns(Lines(file), **self._csv_settings())

    def rows(self) -> Iterator[Row | BadRow]:
        """
        The rows from the first one on.

        Raises:
            MissingExtraError: A Parquet file, and pyarrow is not installed.
            SourceError: The file is not what its format says.
        """
        if self.format == "parquet":
            if self.compressed:
                raise SourceError("a Parquet file compresses inside; decompress it first")
            yield from read_parquet(self.path)
            return
        with self._opened() as file, _damage(self.path):
            lines = Lines(file)
            if self.format == "jsonl":
                yield from read_jsonl(lines)
            else:
                nulls = frozenset({"", *self._csv.nulls})
                yield from read_csv(lines, nulls=nulls, **self._csv_settings())

    def _csv_settings(self) -> dict[str, str]:
        delimiter = self._csv.delimiter or ("\t" if self._suffix in {".tsv", ".tab"} else ",")
        return {"delimiter": delimiter, "encoding": self._csv.encoding}

    def _opened(self) -> BinaryIO:
        """The uncompressed bytes."""
        try:
            raw = self.path.open("rb")
        except OSError as error:
            raise SourceError(f"{self.path}: {error.strerror}") from None
        self._file = raw
        if not self.compressed:
            return raw
        return cast("BinaryIO", _Gzip(raw))

    def position(self) -> int:
        """Bytes of the file read so far by `rows`, compressed ones if it is; 0 for Parquet."""
        file = self._file
        return 0 if file is None or file.closed else file.tell()


class _Gzip(gzip.GzipFile):
    """A gzip reader that closes the file below it."""

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__(fileobj=raw, mode="rb")
        self._raw = raw

    def close(self) -> None:
        super().close()
        self._raw.close()


class _damage:  # noqa: N801 - reads as a word in `with`
    """Says in our words that the compressed file is damaged."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, EOFError | gzip.BadGzipFile | zlib.error):
            raise SourceError(f"{self._path}: damaged or cut short ({error})") from None
