"""One file per question; each says which cells it needs, how one is measured, and what is good."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

NAMES = ("capture", "throughput", "memory", "imports", "interference", "leaving")


class Cell(NamedTuple):
    """One SDK in one situation: a process of its own, with a fresh sink and a fresh journal."""

    part: str
    sdk: str
    variant: str
    options: dict[str, Any] | None = None
    #: What the sink does: ``count`` or ``hole``.
    sink: str = "count"
    #: A program to run instead of the part's ``measure``; it prints the same JSON.
    code: str = ""
    #: Afterwards, let the sink answer and start the SDK once more: what comes then was not lost.
    restart: bool = False
    #: Seconds after which the process is killed.
    limit_s: float = 200.0


class Scale(NamedTuple):
    """How much of everything: the real thing, or as little as shows that it runs."""

    tiny: bool

    def of(self, real: int, tiny: int) -> int:
        """The one that applies."""
        return tiny if self.tiny else real


@dataclass
class Results:
    """What the cells of one part measured: a dict per repetition."""

    runs: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, cell: Cell, measured: dict[str, Any]) -> None:
        """One more repetition."""
        self.runs.setdefault((cell.sdk, cell.variant), []).append(measured)

    def median(self, sdk: str, variant: str, key: str) -> float | None:
        """Over the repetitions; None when this SDK was not measured."""
        runs = self.runs.get((sdk, variant))
        return median(run[key] for run in runs) if runs else None

    def worst(self, sdk: str, variant: str, key: str) -> float | None:
        """The largest of the repetitions."""
        runs = self.runs.get((sdk, variant))
        return max(run[key] for run in runs) if runs else None

    def sdks(self) -> list[str]:
        """Those that were measured, in the order of the first cell."""
        return list(dict.fromkeys(sdk for sdk, _ in self.runs))


class Bar(NamedTuple):
    """A promise and what came out."""

    what: str
    wanted: str
    measured: str
    met: bool


class Table(NamedTuple):
    """Rows of text under a header."""

    header: list[str]
    rows: list[list[str]]


def at_most(what: str, limit: float, value: float | None, unit: str) -> list[Bar]:
    """A bar from above; none when there is no value."""
    if value is None:
        return []
    return [Bar(what, f"<= {limit:g} {unit}", f"{shown(value)} {unit}", value <= limit)]


def at_least(what: str, limit: float, value: float | None, unit: str) -> list[Bar]:
    """A bar from below; none when there is no value."""
    if value is None:
        return []
    return [Bar(what, f">= {limit:g} {unit}", f"{shown(value)} {unit}", value >= limit)]


def times_better(what: str, limit: float, ours: float | None, theirs: list[float]) -> list[Bar]:
    """How often *ours* fits into the smallest of *theirs*."""
    if not ours or not theirs:
        return []
    return at_least(what, limit, min(theirs) / ours, "times")


def shown(value: float | None) -> str:
    """A figure with as many digits as it deserves."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
