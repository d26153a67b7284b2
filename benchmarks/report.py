"""The results as Markdown, which is also what is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import machine
from sdks import DISTRIBUTIONS

if TYPE_CHECKING:
    from types import ModuleType

    from parts import Bar, Results, Table

CAVEATS = """\
Ratios travel; absolute figures do not. Everything runs on one machine over loopback without TLS,
with a sink written in Python on cores the client does not use, and the machine may be shared.
Each cell is a process of its own; SDKs take turns within a repetition; figures are medians of
the repetitions, "max" and everything lost is the worst of them. SDKs run on their defaults
unless a table says otherwise. Penstock writes every event to its disk journal, the others keep
theirs in memory. The page cache holds that journal: it survives the process, not a power cut.
`make bench` measures all of it again and writes this page.
"""


def header(repeats: int, sdks: list[str]) -> str:
    """Title, versions, machine, caveats."""
    lines = ["# Benchmarks", "", CAVEATS, "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in machine.facts().items()]
    lines += [f"| {d} | {machine.version_of(d)} |" for s, d in DISTRIBUTIONS.items() if s in sdks]
    lines += [f"| repetitions | {repeats} |", ""]
    return "\n".join(lines)


def section(part: ModuleType, results: Results) -> str:
    """One part: its title, how it is measured, its table."""
    explanation = (part.__doc__ or "").strip()
    return f"## {part.TITLE}\n\n{explanation}\n\n{rendered(part.table(results))}\n"


def verdict(bars: list[Bar]) -> str:
    """Every bar with what was measured; a missed one says so."""
    missed = sum(not bar.met for bar in bars)
    title = f"## The bars: {len(bars) - missed} of {len(bars)} met"
    lines = ["| what | bar | measured | |", "|---|---:|---:|---|"]
    lines += [
        f"| {bar.what} | {bar.wanted} | {bar.measured} | {'met' if bar.met else '**missed**'} |"
        for bar in bars
    ]
    return "\n".join([title, "", *lines, ""])


def rendered(table: Table) -> str:
    """A Markdown table, figures to the right."""
    rule = ["---", *["---:"] * (len(table.header) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [table.header, rule, *table.rows])
