"""Dates in filters and properties: relative to a clock, or absolute; UTC where none is named."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    #: From now to a moment; None when there is no such date.
    Moment = Callable[[datetime], datetime | None]

_RELATIVE = re.compile(r"-?([0-9]+)([hdwmy])")
_YEAR = re.compile(r"\d{4}")
#: ``2026-01-01 +02:00``: the blank that ISO does not have.
_ZONE_AFTER_BLANK = re.compile(r" (?=[+-]\d{2}:\d{2}$)")
#: From 10,000 on it is no relative date, whatever the unit.
_MOST_DIGITS = 5
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_MONTHS = 12
#: No month is shorter.
_SAFE_DAY = 28


def moment_of(text: str) -> Moment | None:
    """
    What a filter's date means, once the time is known; None when it means nothing.

    ``7d`` and ``-7d`` are both a week ago. Units are hours, days, weeks, months and years.
    """
    relative = _RELATIVE.fullmatch(text)
    if relative:
        return _relative(relative[1], relative[2])
    if _YEAR.fullmatch(text.strip()):
        return lambda now: absolute(text, now)
    fixed = absolute(text, datetime.now(UTC))
    return (lambda _now: fixed) if fixed else None


def absolute(text: str, now: datetime) -> datetime | None:
    """
    An ISO 8601 date, or four digits: that year, today's month and day, by *now*.

    Returns:
        Aware; None when it cannot be read.
    """
    text = text.strip()
    if text.endswith("Z"):
        text = f"{text[:-1]}+00:00"  # a blank before it is forgiven below, as before an offset
    elif text[-4:].upper() == " UTC":
        text = f"{text[:-4]}+00:00"
    elif _YEAR.fullmatch(text):
        return _this_day(now, int(text))
    try:
        moment = datetime.fromisoformat(_ZONE_AFTER_BLANK.sub("", text))
    except ValueError:
        return None
    return aware(moment)


def aware(moment: datetime) -> datetime:
    """*moment*, in UTC if it does not say where."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _relative(digits: str, unit: str) -> Moment | None:
    digits = digits.lstrip("0") or "0"
    if len(digits) >= _MOST_DIGITS:
        return None
    count = int(digits)
    if unit == "m":
        return lambda now: _months_before(now, count)
    if unit == "y":
        return lambda now: _years_before(now, count)
    span = _UNITS[unit] * count
    return lambda now: now - span


def _months_before(now: datetime, count: int) -> datetime | None:
    """Month by month, so that the 31st of March less two months is the 28th of January."""
    there = now.year * _MONTHS + now.month - 1
    day = now.day
    for month in range(there - 1, there - count - 1, -1):
        if day <= _SAFE_DAY or month < MINYEAR * _MONTHS:
            break
        day = min(day, monthrange(month // _MONTHS, month % _MONTHS + 1)[1])
    year, month = divmod(there - count, _MONTHS)
    if not MINYEAR <= year <= MAXYEAR:
        return None
    return now.replace(year=year, month=month + 1, day=day)


def _years_before(now: datetime, count: int) -> datetime | None:
    """Year by year: a 29th of February is the 28th from the first step on."""
    year = now.year - count
    if not MINYEAR <= year <= MAXYEAR:
        return None
    day = _SAFE_DAY if count and (now.month, now.day) == (2, 29) else now.day
    return now.replace(year=year, day=day)


def _this_day(now: datetime, year: int) -> datetime | None:
    if year < MINYEAR:
        return None
    day = min(now.day, monthrange(year, now.month)[1])
    return datetime(year, now.month, day, tzinfo=UTC)
