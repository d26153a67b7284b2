"""
Penstock beside the official Python SDKs, on this machine, now.

    python benchmarks/run.py                          # everything, writes docs/benchmarks.md
    python benchmarks/run.py --parts capture --sdks null,penstock --repeats 1

Only a complete run writes the page, unless ``--output`` names one.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import parts
import report
import sdks
from lab import Lab
from parts import Results, Scale

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parts import Cell

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
#: ``{sdk: module that must be importable}``
_MODULES = {"segment": "segment", "rudder": "rudderstack", "posthog": "posthog"}
#: Cells that mostly wait, at a time.
_PATIENT = 8


class Run:
    """
    One run of the measurements.

    Args:
        chosen: Parts, in the order of the page.
        names: SDKs, in the order of the tables.
        repeats: Repetitions; the SDKs take turns within one, so that a slow minute of the
            machine hits all of them.
        scale: How much of everything.
    """

    def __init__(self, chosen: list[str], names: list[str], repeats: int, scale: Scale) -> None:
        self._names = names
        self._repeats = repeats
        self._scale = scale
        self.results = {name: Results() for name in chosen}
        #: ``{cell: complaint}`` of those that could not be measured.
        self.failures: dict[str, str] = {}

    def measure(self, lab: Lab) -> None:
        """All repetitions."""
        for repetition in range(self._repeats):
            cells = list(self._cells())
            for cell in cells:
                if not cell.patient:
                    self._one(lab, cell, repetition)
            with ThreadPoolExecutor(_PATIENT) as pool:
                waits = [
                    pool.submit(self._one, lab, cell, repetition) for cell in cells if cell.patient
                ]
            for wait in waits:
                wait.result()  # an error of ours ends the run

    def _cells(self) -> Iterator[Cell]:
        for name in self.results:
            for sdk in self._names:
                if name not in sdks.ONLY.get(sdk, (name,)):
                    continue
                yield from import_module(f"parts.{name}").cells(sdk, self._scale)

    def _one(self, lab: Lab, cell: Cell, repetition: int) -> None:
        name = f"{cell.part} {cell.sdk} {cell.variant}"
        sys.stderr.write(f"{repetition + 1}/{self._repeats} {name}\n")
        try:
            self.results[cell.part].add(cell, lab.run(cell))
        except RuntimeError as error:
            sys.stderr.write(f"{name} could not be measured: {error}\n")
            self.failures[name] = str(error).splitlines()[-1]


def main() -> None:
    """Measure what the command line asks for and print it."""
    options = _options()
    names = [name for name in options.sdks.split(",") if _installed(name)]
    run = Run(options.parts.split(","), names, options.repeats, Scale(options.tiny))
    header = report.header(options.repeats, names)  # before: the load is the machine's, not ours
    with Lab() as lab:
        lab.compile(names)
        run.measure(lab)
    page = report.page(header, run.results, run.failures)
    sys.stdout.write(page)
    output = options.output or _usual_output(options, names)
    if output != "-":
        Path(output).write_text(page)


def _usual_output(options: argparse.Namespace, names: list[str]) -> str:
    """The page of the manual if this was a complete run, else nowhere."""
    everything = options.parts.split(",") == list(parts.NAMES) and names == list(sdks.NAMES)
    return str(PAGE) if everything and not options.tiny else "-"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument(
        "--parts", default=",".join(parts.NAMES), help=f"some of {parts.NAMES}, comma separated"
    )
    parser.add_argument("--sdks", default=",".join(sdks.NAMES), help="which, comma separated")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="show that it runs, measure nothing")
    parser.add_argument("--output", help='a Markdown file, or "-"; default: see above')
    return parser.parse_args()


def _installed(name: str) -> bool:
    present = name not in _MODULES or find_spec(_MODULES[name]) is not None
    if not present:
        sys.stderr.write(f"{name} is not installed here and is left out\n")
    return present


if __name__ == "__main__":
    main()
