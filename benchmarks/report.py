"""The results as Markdown, which is also what is printed."""

from __future__ import annotations

from importlib import import_module
from statistics import median
from typing import TYPE_CHECKING

import machine
from reasons import reasons
from sdks import DISTRIBUTIONS

if TYPE_CHECKING:
    from parts import Bar, Results, Table

#: Cores that other programs may keep busy before the page says so.
QUIET = 0.3
CAVEATS = """\
Ratios travel; absolute figures do not. Everything runs on one machine over loopback without TLS,
and the machine may be shared. The sink runs on cores the client does not use; it is Python, but it
only receives and counts after the run (section 2 says how busy it was, and what a client with
bodies made beforehand gets through it). Each cell is a process of its own with a fresh sink and a
fresh journal; SDKs take turns within a repetition; figures are medians of the repetitions; "max",
the exit times and everything lost are the worst of them. *spread* is the distance between the best
and the worst repetition in per cent of the median, *noise* the number of cores that other programs
(or the hypervisor) kept busy meanwhile: where either is large, measure again. SDKs run on their
defaults unless a table says otherwise. Penstock writes every event to its disk journal, the others
keep theirs in memory; the page cache holds that journal: it survives the process, not a power cut.
`pure` is Penstock without its native part, as it is where no compiler was at hand when it was
installed. Every event carries a number: what is lost is told by the numbers that did not arrive.

`make bench` measures all of it again and writes this page in some fifteen minutes.
`make bench ARGS="--parts capture --repeats 1"` prints one part and writes nothing, `--help` names
the parts, and `--sdks penstock,posthog` leaves the other SDKs out.
`.venv-bench/bin/python benchmarks/hot.py all` runs only Penstock's hot paths, for a profiler.
"""


def header(repeats: int, sdks: list[str]) -> str:
    """Title, versions, machine, caveats."""
    lines = ["# Benchmarks", "", CAVEATS, "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in machine.facts().items()]
    lines += [f"| {d} | {machine.version_of(d)} |" for s, d in DISTRIBUTIONS.items() if s in sdks]
    lines += [f"| repetitions | {repeats} |", ""]
    return "\n".join(lines)


def page(head: str, results: dict[str, Results], failures: dict[str, str]) -> str:
    """All of it: *head*, the bars, a section per part."""
    bars: list[Bar] = []
    sections = []
    for name, found in results.items():
        sections.append(_section(name, found))
        bars += import_module(f"parts.{name}").bars(found)
    return "\n".join([head, verdict(bars), *_warned(results), *_failed(failures), *sections])


def _section(name: str, results: Results) -> str:
    """One part: its title, how it is measured, its tables."""
    part = import_module(f"parts.{name}")
    pieces = [f"## {part.TITLE}", (part.__doc__ or "").strip()]
    for table in part.tables(results):
        pieces += [table.about, rendered(table)] if table.about else [rendered(table)]
    return "\n\n".join(pieces) + "\n"


def verdict(bars: list[Bar]) -> str:
    """Every bar with what was measured; a missed one says so."""
    missed = sum(not bar.met for bar in bars)
    title = f"## The bars: {len(bars) - missed} of {len(bars)} met"
    lines = ["| what | bar | measured | |", "|---|---:|---:|---|"]
    lines += [
        f"| {bar.what} | {bar.wanted} | {bar.measured} | {'met' if bar.met else '**missed**'} |"
        for bar in bars
    ]
    why = list(reasons(bar.what for bar in bars if not bar.met))
    return "\n".join(
        [title, "", *lines, "", *(["Why bars are missed:", "", *why, ""] if why else [])]
    )


def _warned(results: dict[str, Results]) -> list[str]:
    """A sentence when the machine was not quiet enough to judge by."""
    noises = [n for found in results.values() for cell in found.runs for n in found.noises(*cell)]
    noise = median(noises) if noises else 0.0
    if noise <= QUIET:
        return []
    words = f"other programs kept {noise:.1f} of its cores busy while this was measured"
    return [f"**The machine was not quiet: {words}. Measure again before judging by it.**", ""]


def _failed(failures: dict[str, str]) -> list[str]:
    """What could not be measured, with the last line of the complaint."""
    if not failures:
        return []
    lines = [f"- {cell}: `{complaint}`" for cell, complaint in failures.items()]
    return ["## Not measured", "", *lines, ""]


def rendered(table: Table) -> str:
    """A Markdown table, figures to the right."""
    rule = ["---", *["---:"] * (len(table.header) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [table.header, rule, *table.rows])
