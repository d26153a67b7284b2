"""Reading the times of a file."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from penstock.importing.rows import BadValue

if TYPE_CHECKING:
    from collections.abc import Callable

#: Units that can be named in place of a pattern, in seconds.
_EPOCHS = {"unix": 1.0, "unix_ms": 1e-3, "unix_us": 1e-6}
#: A file sorted by day repeats its dates; parsing one costs 1 µs, finding it again 0.1 µs.
_CACHE = 4096


def timestamp_parser(pattern: str = "auto", zone: str = "UTC") -> Callable[[Any], str]:
    """
    A function from a cell to RFC 3339 UTC with milliseconds, as messages carry it.

    Args:
        pattern: ``auto`` (RFC 3339 and ISO 8601), ``unix``, ``unix_ms``, ``unix_us``, or a
            pattern of `datetime.strptime`.
        zone: Zone of times that do not name one, such as ``Europe/Copenhagen``.

    Returns:
        A function that raises `BadValue` for a cell which is no such time.

    Raises:
        ValueError: There is no such zone.
    """
    try:
        home = dt.UTC if zone == "UTC" else ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"no such time zone: {zone}") from error
    read = _reader(pattern)

    @lru_cache(maxsize=_CACHE)
    def parse(cell: Any) -> str:
        try:
            moment = read(cell)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=home)
            moment = moment.astimezone(dt.UTC)
        except (ValueError, TypeError, OverflowError, OSError):
            expected = "an RFC 3339 time or date" if pattern == "auto" else f"a time as {pattern}"
            raise BadValue(f"not {expected}") from None
        return rfc3339(moment)

    def check(cell: Any) -> str:
        if isinstance(cell, bool) or not isinstance(cell, str | int | float):
            raise BadValue(f"a {type(cell).__name__} is not a time")
        return parse(cell)

    return check


def _reader(pattern: str) -> Callable[[Any], dt.datetime]:
    if pattern in _EPOCHS:
        unit = _EPOCHS[pattern]
        epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        return lambda cell: epoch + dt.timedelta(seconds=float(cell) * unit)
    if pattern == "auto":
        return _automatic
    return lambda cell: dt.datetime.strptime(str(cell), pattern)  # noqa: DTZ007 - zone comes later


def _automatic(cell: Any) -> dt.datetime:
    """Digits alone are refused: they may be seconds, milliseconds or a date without dashes."""
    if not isinstance(cell, str) or cell.isdigit():
        raise ValueError("ambiguous")
    return dt.datetime.fromisoformat(cell)


def rfc3339(moment: dt.datetime) -> str:
    """*moment*, which is in UTC, with three decimals and ``Z``."""
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


#: The parser for times without options.
parse_instant = timestamp_parser()
