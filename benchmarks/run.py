"""
Penstock beside the official Python SDKs, on this machine, now.

    python benchmarks/run.py                          # everything, writes docs/benchmarks.md
    python benchmarks/run.py --part capture --sdk null,penstock --output -
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import lab
import parts
import report
import sdks
from parts import Bar, Results, Scale

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
#: ``{sdk: module that must be importable}``
_MODULES = {"segment": "segment", "rudder": "rudderstack", "posthog": "posthog"}


def main() -> None:
    """Measure what the command line asks for and print it."""
    options = _options()
    names = [name for name in options.sdk.split(",") if _installed(name)]
    chosen = options.part.split(",")
    header = report.header(options.repeats, names)  # before: the load is the machine's, not ours
    results = _measure(chosen, names, options.repeats, Scale(options.tiny))
    bars: list[Bar] = []
    sections = []
    for name in chosen:
        part = import_module(f"parts.{name}")
        sections.append(report.section(part, results[name]))
        bars += part.bars(results[name])
    page = "\n".join([header, report.verdict(bars), *sections])
    sys.stdout.write(page)
    if options.output != "-":
        Path(options.output).write_text(page)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0] if __doc__ else "")
    parser.add_argument("--sdk", default=",".join(sdks.NAMES), help="which, comma separated")
    parser.add_argument("--part", default=",".join(parts.NAMES), help="which, comma separated")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="show that it runs, measure nothing")
    parser.add_argument("--output", default=str(PAGE), help='a Markdown file, or "-"')
    return parser.parse_args()


def _installed(name: str) -> bool:
    present = name not in _MODULES or find_spec(_MODULES[name]) is not None
    if not present:
        sys.stderr.write(f"{name} is not installed here and is left out\n")
    return present


def _measure(chosen: list[str], names: list[str], repeats: int, scale: Scale) -> dict[str, Results]:
    """Repetition by repetition, so that a slow minute of the machine hits every SDK."""
    results = {name: Results() for name in chosen}
    for repetition in range(repeats):
        for name in chosen:
            for sdk in names:
                for cell in import_module(f"parts.{name}").cells(sdk, scale):
                    sys.stderr.write(f"{repetition + 1}/{repeats} {name} {sdk} {cell.variant}\n")
                    results[name].add(cell, lab.run(cell))
    return results


if __name__ == "__main__":
    main()
