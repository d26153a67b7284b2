"""Events per minute as a drawing: bars of what was stored, duplicate and quarantined."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.collector.pages.minutes import Minute

WIDTH, HEIGHT = 960, 120
#: Room for the words below the bars, and to their left.
_FOOT, _MARGIN = 18, 44
_GAP = 3
_TICK_MINUTES = 15


class Bar(msgspec.Struct, frozen=True):
    """A rectangle of the drawing."""

    kind: str
    x: float
    y: float
    width: float
    height: float


class Column(msgspec.Struct, frozen=True):
    """A minute."""

    title: str
    x: float
    width: float
    bars: list[Bar]


class Mark(msgspec.Struct, frozen=True):
    """A word at an axis."""

    text: str
    at: float


class Chart(msgspec.Struct, frozen=True):
    """What is drawn, by the template and by the script alike."""

    columns: list[Column]
    ticks: list[Mark]
    levels: list[Mark]
    #: Events of the hour.
    total: int
    #: Of the drawing, in its own units.
    width: int = WIDTH
    height: int = HEIGHT
    #: Where the bars begin.
    margin: int = _MARGIN


def chart_of(minutes: Sequence[Minute]) -> Chart:
    """
    Draw minutes.

    Args:
        minutes: The oldest first.
    """
    most = _round_up(max((minute.total for minute in minutes), default=0))
    room = HEIGHT - _FOOT - 8
    step = (WIDTH - _MARGIN) / max(1, len(minutes))
    columns = [
        _column(minute, _MARGIN + step * place, step, room / most)
        for place, minute in enumerate(minutes)
    ]
    ticks = [
        Mark(_clock(minute.number), column.x + step / 2)
        for minute, column in zip(minutes, columns, strict=True)
        if minute.number % _TICK_MINUTES == 0
    ]
    levels = [Mark(_short(most * part // 2), _y(most * part / 2, room / most)) for part in (1, 2)]
    return Chart(columns, ticks, levels, sum(minute.total for minute in minutes))


def _column(minute: Minute, x: float, step: float, unit: float) -> Column:
    bars: list[Bar] = []
    top = 0
    for kind in ("stored", "duplicates", "quarantined"):
        count = getattr(minute, kind)
        if count:
            height = max(1.5, count * unit)
            top += count
            y = min(_y(top, unit), HEIGHT - _FOOT - height)
            bars.append(
                Bar(kind, round(x, 1), round(y, 1), round(step - _GAP, 1), round(height, 1))
            )
    title = (
        f"{_clock(minute.number)}: {minute.stored:,} stored, {minute.duplicates:,} duplicate, "
        f"{minute.quarantined:,} quarantined"
    )
    return Column(title, round(x, 1), round(step, 1), bars)


def _y(count: float, unit: float) -> float:
    return round(HEIGHT - _FOOT - count * unit, 1)


def _round_up(count: int) -> int:
    """The next of 2, 4, 10, 20, 40, 100, ... so that half of it is a whole number."""
    scale = 1
    while True:
        for factor in (2, 4, 10):
            if count <= factor * scale:
                return factor * scale
        scale *= 10


def _short(count: float) -> str:
    for unit, word in ((1_000_000, "M"), (1000, "k")):
        if count >= unit:
            return f"{count / unit:g}{word}"
    return f"{count:g}"


def _clock(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%H:%M")
