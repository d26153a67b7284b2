"""What an import costs: milliseconds and modules a bare interpreter had not loaded yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parts import Bar, Cell, Results, Scale, Table, at_most, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "Import (wall clock, a fresh process each, bytecode cached)"
#: ``{sdk: {variant: statement}}``
STATEMENTS = {
    "penstock": {
        "package": "import penstock",
        "client": "from penstock import Client, Segment",
    },
    "segment": {"package": "import segment.analytics"},
    "rudder": {"package": "import rudderstack.analytics"},
    "posthog": {"package": "import posthog"},
}
_PROGRAM = """
import sys, time
before, began = len(sys.modules), time.perf_counter()
{statement}
took, modules = time.perf_counter() - began, len(sys.modules) - before
print('{{"ms": %f, "modules": %d, "ended_at": %f}}' % (took * 1000, modules, time.monotonic()))
"""


def cells(sdk: str, scale: Scale) -> Iterator[Cell]:
    """Ten processes for each repetition of the whole run would be 30: one third each."""
    for variant, statement in STATEMENTS.get(sdk, {}).items():
        for _ in range(scale.of(4, 1)):
            code = _PROGRAM.format(statement=statement)
            yield Cell("imports", sdk, variant, sink="", code=code)


def table(results: Results) -> Table:
    """A row per statement."""
    rows = []
    for sdk, variant in results.runs:
        figures = [shown(results.median(sdk, variant, key)) for key in ("ms", "modules")]
        rows.append([f"`{STATEMENTS[sdk][variant]}`", *figures])
    return Table(["statement", "ms", "new modules"], rows)


def bars(results: Results) -> list[Bar]:
    """Design, section 10."""
    return [
        *at_most("import penstock", 25, results.median("penstock", "package", "ms"), "ms"),
        *at_most(
            "import penstock", 40, results.median("penstock", "package", "modules"), "modules"
        ),
        *at_most(
            "from penstock import Client, Segment",
            25,
            results.median("penstock", "client", "ms"),
            "ms",
        ),
        *at_most(
            "from penstock import Client, Segment",
            40,
            results.median("penstock", "client", "modules"),
            "modules",
        ),
    ]
