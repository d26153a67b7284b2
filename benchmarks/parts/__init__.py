"""One file per question; each says which cells it needs, how one is measured, and what is good."""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

from sdks import NAMES as ORDER

NAMES = (
    "capture", "throughput", "memory", "imports", "interference", "leaving", "loss", "errors",
    "collector_intake", "collector_store", "flags", "web",
)  # fmt: skip


class Cell(NamedTuple):
    """One SDK in one situation: a process of its own, with a fresh sink and a fresh journal."""

    part: str
    sdk: str
    variant: str
    options: dict[str, Any] | None = None
    #: What the sink does (`sink.behaviour.Behaviour`); it takes and answers when left out.
    sink: dict[str, Any] | None = None
    #: Seconds after which the sink recovers, while the process goes on.
    outage_s: float = 0.0
    #: A program to run instead of the part's ``measure``; it prints the same JSON.
    code: str = ""
    #: Afterwards, let the sink recover and start the SDK once more: what comes then was not lost.
    restart: bool = False
    #: Seconds after which the process is killed.
    limit_s: float = 200.0
    #: It mostly waits, so that others may run beside it.
    patient: bool = False


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

    def values(self, sdk: str, variant: str, key: str) -> list[Any]:
        """One for each repetition that has it."""
        runs = self.runs.get((sdk, variant), [])
        return [run[key] for run in runs if run.get(key) is not None]

    def median(self, sdk: str, variant: str, key: str) -> float | None:
        """Over the repetitions; None when this SDK was not measured."""
        values = self.values(sdk, variant, key)
        return median(values) if values else None

    def worst(self, sdk: str, variant: str, key: str) -> float | None:
        """The largest of the repetitions."""
        return max(self.values(sdk, variant, key), default=None)

    def spread(self, sdk: str, variant: str, key: str) -> str:
        """How far apart the repetitions are, in per cent of their median."""
        values = self.values(sdk, variant, key)
        if len(values) < 2 or not median(values):
            return "-"
        return f"{100 * (max(values) - min(values)) / abs(median(values)):.0f} %"

    def noise(self, sdk: str) -> str:
        """Cores that were busy with other things while *sdk* was measured."""
        known = [self.noises(name, variant) for name, variant in self.runs if name == sdk]
        found = [noise for noises in known for noise in noises]
        return f"{median(found):.1f}" if found else "-"

    def noises(self, sdk: str, variant: str) -> list[float]:
        """As many as are known."""
        return self.values(sdk, variant, "noise")

    def sdks(self) -> list[str]:
        """Those that were measured, in the order of the tables."""
        return sorted({sdk for sdk, _ in self.runs}, key=ORDER.index)


class Bar(NamedTuple):
    """A promise and what came out."""

    what: str
    wanted: str
    measured: str
    met: bool


class Table(NamedTuple):
    """Rows of text under a header, with a sentence before them if they need one."""

    header: list[str]
    rows: list[list[str]]
    about: str = ""


def at_most(what: str, limit: float, value: float | None, unit: str) -> list[Bar]:
    """A bar from above; none when there is no value."""
    if value is None:
        return []
    return [Bar(what, f"<= {limit:g} {unit}", f"{shown(value)} {unit}", value <= limit)]


def at_least(what: str, limit: float, value: float | None, unit: str) -> list[Bar]:
    """A bar from below; none when there is no value."""
    if value is None:
        return []
    return [Bar(what, f">= {limit:,g} {unit}", f"{shown(value)} {unit}", value >= limit)]


def times_better(what: str, limit: float, ours: float | None, theirs: list[float]) -> list[Bar]:
    """How often *ours* fits into the smallest of *theirs*."""
    if not ours or not theirs:
        return []
    return at_least(what, limit, min(theirs) / ours, "times")


def shown(value: float | None) -> str:
    """A figure with as many digits as it deserves."""
    if value is None:
        return "-"
    if abs(value) >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def tell(result: dict[str, Any]) -> None:
    """Print what a process measured; what it does afterwards counts as its end."""
    sys.stdout.write(json.dumps(result | {"ended_at": time.monotonic()}) + "\n")
    sys.stdout.flush()


def processor_s() -> tuple[float, float]:
    """User and system seconds of this process and of its children that ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime for usage in usages), sum(usage.ru_stime for usage in usages)
